"""What may be chosen one at a time: knobs, and when they are asked at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from greenfront.errors import UsageError

if TYPE_CHECKING:  # what is stored is read without either
    import numpy as np
    from optuna.distributions import BaseDistribution

__all__ = ["Categorical", "Integer", "Knob", "Point", "Real", "Value", "When"]

Value = str | int | float | bool
"""What a knob can be set to."""

Point = Mapping[str, Value]
"""The settings of the knobs that are asked, by name."""


@dataclass(frozen=True, slots=True)
class When:
    """A knob is asked only if another one, asked before it, has one of these values."""

    knob: str
    values: tuple[Value, ...]

    def holds(self, point: Point) -> bool:
        """Whether ``point`` meets the condition; a knob that was not asked meets none."""
        return self.knob in point and point[self.knob] in self.values


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of several values without order.

    Raises:
        UsageError: There is nothing to choose from, or the same twice.
    """

    name: str
    choices: tuple[Value, ...]
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        given: object = self.choices
        _require(
            self,
            isinstance(given, tuple) and len(given) > 0,
            f"choices must be a tuple of at least one value, not {self.choices!r}",
        )
        distinct = {(type(choice), choice) for choice in self.choices}
        _require(
            self,
            len(distinct) == len(self.choices),
            f"choices must be distinct, not {self.choices!r}: name each once",
        )

    def distribution(self) -> BaseDistribution:
        """The knob in Optuna's terms."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.choices)

    def count(self) -> int | None:
        """Number of settings; ``None`` for a continuum."""
        return len(self.choices)

    def sample(self, rng: np.random.Generator) -> Value:
        """One setting, uniformly."""
        return self.choices[int(rng.integers(len(self.choices)))]

    def at(self, share: float) -> Value:
        """The setting in this place of all of them, from 0 to below 1."""
        return self.choices[int(share * len(self.choices))]

    def near(self, value: Value, rng: np.random.Generator) -> Value:
        """A setting other than ``value`` where there is one: categories have no neighbours."""
        others = [choice for choice in self.choices if choice != value]
        return others[int(rng.integers(len(others)))] if others else value

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a setting of this knob."""
        return any(value == choice and type(value) is type(choice) for choice in self.choices)

    def values(self) -> tuple[Value, ...]:
        """Every setting."""
        return self.choices


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from ``low`` to ``high``, both included, in steps of ``step``.

    Raises:
        UsageError: No whole number is in the range.
    """

    name: str
    low: int
    high: int
    step: int = 1
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        whole = all(isinstance(each, int) for each in (self.low, self.high, self.step))
        _require(
            self,
            whole and self.low <= self.high and self.step > 0,
            "low, high and step must be whole numbers, low at most high and step above 0, not "
            f"{self.low!r}, {self.high!r} and {self.step!r}",
        )

    def distribution(self) -> BaseDistribution:
        """The knob in Optuna's terms."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.low + self.step * self._last(), step=self.step)

    def count(self) -> int | None:
        """Number of settings."""
        return (self.high - self.low) // self.step + 1

    def sample(self, rng: np.random.Generator) -> Value:
        """One setting, uniformly."""
        return self.low + self.step * int(rng.integers(self._last() + 1))

    def at(self, share: float) -> Value:
        """The setting in this place of the range, from 0 to below 1."""
        return self.low + self.step * int(share * (self._last() + 1))

    def near(self, value: Value, rng: np.random.Generator) -> Value:
        """A setting one or two steps away, within the range."""
        offset = int(rng.choice([-2, -1, 1, 2])) * self.step
        return min(max(int(value) + offset, self.low), self.low + self.step * self._last())

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a setting of this knob."""
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
            and (value - self.low) % self.step == 0
        )

    def values(self) -> tuple[Value, ...]:
        """Every setting."""
        return tuple(range(self.low, self.high + 1, self.step))

    def position(self, value: float) -> float:
        """Place in the range, from 0 to 1."""
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0

    def _last(self) -> int:
        return (self.high - self.low) // self.step


@dataclass(frozen=True, slots=True)
class Real:
    """A number from ``low`` to ``high``, on a grid of ``step`` or a continuum, linear or log.

    Raises:
        UsageError: No number is in the range, or its logarithm is not defined.
    """

    name: str
    low: float
    high: float
    step: float | None = None
    log: bool = False
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        _require(
            self,
            math.isfinite(self.high - self.low) and self.low <= self.high,
            f"low and high must be finite, low at most high, not {self.low!r} and {self.high!r}",
        )
        _require(
            self,
            self.step is None or (self.step > 0 and not self.log),
            f"step must be above 0, and without log, not {self.step!r}",
        )
        _require(
            self, not self.log or self.low > 0, f"low must be above 0 for log, not {self.low!r}"
        )

    def distribution(self) -> BaseDistribution:
        """The knob in Optuna's terms."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self._top(), log=self.log, step=self.step)

    def count(self) -> int | None:
        """Number of settings; ``None`` for a continuum."""
        if self.step is None:
            return None if self.high > self.low else 1
        return self._steps() + 1

    def sample(self, rng: np.random.Generator) -> Value:
        """One setting, uniformly (in the logarithm where ``log``)."""
        return self.at(float(rng.random()))

    def near(self, value: Value, rng: np.random.Generator, reach: float = 0.2) -> Value:
        """A Gaussian step away, within the range; ``reach``: its deviation in ranges."""
        position = self.position(float(value)) + reach * float(rng.standard_normal())
        return self.at(min(max(position, 0.0), 1.0))

    def at(self, share: float) -> float:
        """The setting in this place of the range, from 0 to 1 (of the logarithm where ``log``)."""
        if self.step is not None:
            return self._grid(min(int(share * (self._steps() + 1)), self._steps()))
        value = self.low + (self.high - self.low) * share
        if self.log:
            value = float(self.low * (self.high / self.low) ** share)
        return min(max(value, self.low), self.high)

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a setting of this knob."""
        if isinstance(value, (str, bool)) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < 1e-6

    def values(self) -> tuple[Value, ...]:
        """Every setting of a grid; the two ends of a continuum."""
        if self.step is None:
            return (self.low, self.high)
        return tuple(self._grid(index) for index in range(self._steps() + 1))

    def _steps(self) -> int:
        return math.floor((self.high - self.low) / (self.step or 1.0) + 1e-9)

    def _top(self) -> float:
        return self.high if self.step is None else self._grid(self._steps())

    def _grid(self, index: int) -> float:
        # Rounded, so that equal settings are equal floats whichever way they were reached.
        return round(self.low + index * (self.step or 0.0), 10)

    def position(self, value: float) -> float:
        """Place in the range, from 0 to 1 (in the logarithm where ``log``)."""
        if self.high == self.low:
            return 0.0
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


Knob = Categorical | Integer | Real


def _require(knob: Knob, holds: bool, rule: str) -> None:
    if not holds:
        raise UsageError(f"{type(knob).__name__} {knob.name!r}: {rule}")

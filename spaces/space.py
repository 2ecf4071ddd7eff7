"""The whole of what may be chosen: knobs that depend on each other, and what a choice means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from greenfront.errors import UsageError
from greenfront.spaces.knobs import Knob, Point, Real, Value

if TYPE_CHECKING:
    import numpy as np
    import optuna
    from optuna.distributions import BaseDistribution

__all__ = ["Choice", "PlainChoice", "SearchSpace", "on_grid", "stable_hash"]


def stable_hash(data: object) -> str:
    """Hex digest of JSON data: the same in every process, on every machine, in every order."""
    return hashlib.sha256(_PLAINLY.encode(data).encode()).hexdigest()[:16]


_PLAINLY = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class Choice(Protocol):
    """What a space decodes a point to. Equal keys mean: the same thing, never tried twice."""

    @property
    def key(self) -> str:
        """Stable identity."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        ...


@dataclass(frozen=True, slots=True)
class PlainChoice:
    """The choice of a space that needs no decoding: its settings as they are."""

    values: Mapping[str, Value]

    @property
    def key(self) -> str:
        """Hash of the settings."""
        return stable_hash(dict(self.values))

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return dict(self.values)


C = TypeVar("C", bound=Choice)


@dataclass(frozen=True)
class SearchSpace(Generic[C]):
    """Ordered knobs; a knob may be asked only when earlier ones have certain values.

    A *point* holds the settings of the knobs that are asked, and nothing else. ``decode`` turns
    a point into a choice; two points that mean the same must decode to the same key.

    Example:
        >>> from greenfront import Categorical, PlainChoice, Real, SearchSpace, When
        >>> space = SearchSpace(
        ...     (
        ...         Categorical("optimizer", ("sgd", "adamw")),
        ...         Real("momentum", 0.0, 0.9, step=0.1, when=(When("optimizer", ("sgd",)),)),
        ...     ),
        ...     decode=lambda point: PlainChoice(dict(point)),
        ... )
        >>> space.size()
        11

    Attributes:
        knobs: In the order in which they are asked; a condition names an earlier knob.
        decode: From point to choice.

    Raises:
        UsageError: No knobs, two knobs of one name, or a condition on a later or unknown knob.
    """

    knobs: tuple[Knob, ...]
    decode: Callable[[Point], C]
    _by_name: dict[str, Knob] = field(init=False, repr=False, compare=False)
    _opening: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.knobs:
            raise UsageError("the space is empty: give at least one knob two values to choose from")
        seen: dict[str, Knob] = {}
        for knob in self.knobs:
            if knob.name in seen:
                raise UsageError(f"the space has two knobs named {knob.name!r}: rename one")
            for condition in knob.when:
                if condition.knob not in seen:
                    raise UsageError(
                        f"knob {knob.name!r} depends on {condition.knob!r}, which is not asked "
                        "before it: put it first"
                    )
            seen[knob.name] = knob
        object.__setattr__(self, "_by_name", seen)
        opening = frozenset(condition.knob for knob in self.knobs for condition in knob.when)
        object.__setattr__(self, "_opening", opening)

    def suggest(self, trial: optuna.Trial) -> C:
        """Asks an Optuna trial for every knob that means something, and decodes the answers."""
        return self.decode(self.ask(lambda knob: _suggest(trial, knob)))

    def ask(self, answer: Callable[[Knob], Value]) -> dict[str, Value]:
        """A whole point: the answer for each knob that means something."""
        point: dict[str, Value] = {}
        for knob in self.knobs:
            if self._asked(knob, point):
                point[knob.name] = answer(knob)
        return point

    def distributions(self) -> dict[str, BaseDistribution]:
        """Every knob in Optuna's terms, whether or not it is asked."""
        return {knob.name: knob.distribution() for knob in self.knobs}

    def knob(self, name: str) -> Knob:
        """The knob of this name; ``KeyError`` where there is none."""
        return self._by_name[name]

    def changed(self, point: Point, settings: Point, rng: np.random.Generator) -> dict[str, Value]:
        """A whole point with some other settings; what is asked by them only is drawn.

        Args:
            point: A whole point.
            settings: Of knobs that it has, within their ranges.
            rng: Random numbers.
        """
        moved = {**point, **settings}
        return moved if self._opening.isdisjoint(settings) else self.complete(moved, rng)

    def complete(self, partial: Point, rng: np.random.Generator) -> dict[str, Value]:
        """A whole point that keeps of ``partial`` what means something and draws the rest."""

        def kept(knob: Knob) -> Value:
            given = partial.get(knob.name)
            return given if given is not None and knob.contains(given) else knob.sample(rng)

        return self.ask(kept)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A whole point, each knob that is asked drawn uniformly."""
        return self.complete({}, rng)

    def size(self) -> int | None:
        """Number of distinct points; ``None`` where a knob is a continuum."""

        def count(index: int, point: dict[str, Value]) -> int | None:
            product = 1
            for position in range(index, len(self.knobs)):
                knob = self.knobs[position]
                if not self._asked(knob, point):
                    continue
                settings = knob.count()
                if settings is None:
                    return None
                if knob.name in self._opening:
                    branches = [count(position + 1, {**point, knob.name: v}) for v in knob.values()]
                    known = [branch for branch in branches if branch is not None]
                    return product * sum(known) if len(known) == len(branches) else None
                product *= settings
            return product

        return count(0, {})

    @staticmethod
    def _asked(knob: Knob, point: Point) -> bool:
        for condition in knob.when:  # noqa: SIM110 - all() takes several times as long
            if not condition.holds(point):
                return False
        return True


def on_grid(knob: Knob, value: Value) -> Value:
    """A setting as knobs write it: equal ones are equal floats whichever way they were reached."""
    if isinstance(knob, Real) and knob.step is not None and isinstance(value, float):
        return round(value, 10)
    return value


def _suggest(trial: optuna.Trial, knob: Knob) -> Value:
    import optuna

    distribution = knob.distribution()
    value: Value
    match distribution:
        case optuna.distributions.CategoricalDistribution(choices=choices):
            value = trial.suggest_categorical(knob.name, choices)  # type: ignore[assignment]
        case optuna.distributions.IntDistribution() as whole:
            value = trial.suggest_int(knob.name, whole.low, whole.high, step=whole.step)
        case optuna.distributions.FloatDistribution() as real:
            value = trial.suggest_float(
                knob.name, real.low, real.high, step=real.step, log=real.log
            )
            value = on_grid(knob, value)
        case _:
            raise TypeError(f"no suggestion for {distribution!r}")
    return value

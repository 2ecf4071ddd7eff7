"""The one interface behind which every technique stands: training, pruning, precision and others.

A technique is one module of this package with an instance named ``TECHNIQUE``. It says which keys
it adds to the study file (a :class:`~greenfront.spaces.table.Table`), which knobs follow from
them, and what a point of the space means in its own terms (:class:`Settings`), which a stage of
the pipeline carries out.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum, auto
from functools import cache
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from greenfront.spaces.architectures.architecture import FamilyFacts
from greenfront.spaces.architectures.registry import architecture, is_fitted
from greenfront.spaces.knobs import Knob, Point, Value, When
from greenfront.spaces.table import Table

__all__ = [
    "Opening",
    "Scope",
    "Settings",
    "Surroundings",
    "Technique",
    "Together",
    "nearest",
    "neighbour",
]


class Settings:
    """Base of the frozen dataclasses in which a candidate holds what a technique does to it.

    Attributes:
        section: Name in a candidate's JSON form.
        for_fitted: Whether it can be done to models that are fitted, too.
    """

    __slots__ = ()

    section: ClassVar[str]
    for_fitted: ClassVar[bool] = False

    @property
    def untouched(self) -> bool:
        """Whether the network stays what it would be without the technique."""
        return True

    def describe(self) -> str:
        """A few words for people, such as ``pruned 50 %``; empty where there is nothing to say."""
        return ""

    def to_json(self) -> Any:
        """Plain values that ``json.dumps`` takes."""
        # Settings are flat, and what they hold cannot be changed: nothing has to be copied.
        return {name: getattr(self, name) for name in _names(type(self))}  # type: ignore[arg-type]

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Inverse of :meth:`to_json`."""
        return cls(**data)


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


@dataclass(frozen=True, slots=True)
class Scope:
    """What techniques may know of the study around them.

    Attributes:
        families: Names of the architectures to choose from.
        device: Where trials are trained, ``"cpu"`` or ``"cuda"``.
        measured_on: Where predictions are measured, ``"cpu"`` or ``"cuda"``.
        mixed_precision: Whether bfloat16 training gains anything there.
        int8_pays: Families that int8 kernels make cheaper here.
        fine_tune_epochs: Passes over the training split after a technique.
        task: Name of the data.
        inputs: What they are made of: ``"images"``, ``"texts"`` or ``"tables"``.
        examples: In the training split.
        defaults: Which defaults stand for what a study file leaves out; see ``[study] defaults``.
        regression: Whether numbers are to be predicted, not classes.
        batch_scales: What batches of a family's trainings are multiplied by, where they are scaled.
        found: Facts of the families that are code of the user's, as an evaluator found them.
    """

    families: tuple[str, ...]
    device: str = "cpu"
    measured_on: str = "cpu"
    mixed_precision: bool = False
    int8_pays: frozenset[str] = frozenset()
    fine_tune_epochs: int = 5
    task: str = ""
    inputs: str = "images"
    examples: int = 3000
    defaults: int = 3
    regression: bool = False
    batch_scales: Mapping[str, int] = field(default_factory=dict)
    found: Mapping[str, FamilyFacts] = field(default_factory=dict)

    def family(self, name: str) -> FamilyFacts:
        """What is known of one of the families."""
        found = self.found.get(name)
        return architecture(name).facts() if found is None else found

    @property
    def networks(self) -> tuple[str, ...]:
        """The families whose models are trained: techniques are for these alone."""
        return tuple(name for name in self.families if not is_fitted(name))

    def asked_for(self, fits: Callable[[FamilyFacts], bool]) -> tuple[When, ...] | None:
        """Condition of a knob for networks that fit; empty where all do, ``None`` if none."""
        fitting = tuple(name for name in self.networks if fits(self.family(name)))
        if not fitting:
            return None
        return () if fitting == self.networks else (When("architecture", fitting),)


class Together(Enum):
    """Where techniques meet in a first generation, in this order, after each was tried alone."""

    SMALL = auto()
    SMALL_ROUNDED = auto()
    PRUNED_ROUNDED = auto()
    PRUNED_ROUNDED_TAUGHT = auto()
    SMALL_ROUNDED_TAUGHT = auto()
    MILDLY_PRUNED_ROUNDED_TAUGHT = auto()
    SMALL_MILDLY_PRUNED_TAUGHT = auto()

    @property
    def small(self) -> bool:
        """Whether it begins with a smaller shape of the family."""
        return self.name.startswith("SMALL")

    @property
    def trains_anew(self) -> bool:
        """Whether it is trained from scratch, and shares no training with a baseline."""
        return self.small or "TAUGHT" in self.name


@dataclass(frozen=True, slots=True)
class Opening:
    """What of a technique a first generation tries.

    Attributes:
        alone: Settings of its knobs, each tried on the baselines with nothing else.
        together: Its share in combinations with others.
        varied: Names of knobs that take a value of their own in each combination that is trained
            from scratch, spread evenly over what is on offer.
    """

    alone: Sequence[Point] = ()
    together: Mapping[Together, Point] = field(default_factory=dict)
    varied: Sequence[str] = ()


S = TypeVar("S", bound=Settings)
O = TypeVar("O", bound=Table)  # noqa: E741 - of options


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a step from one network to another depends on, beside the network's settings.

    Attributes:
        family: Its architecture.
        scope: What is known of the study.
        knobs: Those that are asked, by name.
        bytes_count: Whether a smaller file is a step, too, that takes no less to run.
    """

    family: str
    scope: Scope
    knobs: Mapping[str, Knob]
    bytes_count: bool


class Technique(abc.ABC, Generic[S, O]):
    """Something that can be done to a network, with its keys, its knobs and their meaning.

    Attributes:
        settings: What a candidate holds of it.
        options: The keys that it adds to the study file, each with a default.
        table: Which table of the study file they stand in.
        order: Place among the techniques, lowest first: of its knobs and of its words.
        turn: Place among those that a first generation tries alone; ``order`` by default.
        later_keys: Those of its keys that the first release did not have: left at their defaults
            they are no part of a study's identity.
    """

    settings: type[S]
    options: type[O]
    table: Literal["space", "training"] = "space"
    order: int
    turn: int | None = None
    later_keys: tuple[str, ...] = ()

    @abc.abstractmethod
    def knobs(self, options: O, scope: Scope) -> Iterable[Knob]:
        """What may be chosen; a knob with one value is not asked, but fixed."""

    @abc.abstractmethod
    def decode(self, point: Point, family: str, options: O, scope: Scope) -> S | None:
        """What a point means, the same for equal networks; ``None`` where it is left out."""

    @abc.abstractmethod
    def baseline(self, options: O, scope: Scope) -> Mapping[str, Value]:
        """Settings of its knobs that leave a network untouched, on offer or not."""

    def opening(self, options: O, scope: Scope, knobs: Mapping[str, Knob]) -> Opening:
        """What of it a first generation tries, with the knobs that are asked, by name."""
        return Opening()

    def stricter(self, point: Point, around: Surroundings) -> Point:
        """One step of it towards a cheaper network; empty where there is none.

        Args:
            point: The settings of a network.
            around: What else the step depends on.

        Returns:
            The settings that change. What the space does not ask for is dropped.
        """
        return {}

    def looser(self, point: Point, around: Surroundings) -> Point:
        """One step of it towards a more accurate network, the inverse of :meth:`stricter`."""
        return {}

    def missing(self, options: O) -> str | None:
        """A key, and what it needs that is not installed, in words; ``None`` where all is here."""
        return None

    def objection(self, options: O, scope: Scope) -> str | None:
        """A key, and why it cannot be had in this study, in words; ``None`` where all fits."""
        return None

    def remarks(self, options: O, scope: Scope) -> Iterable[str]:
        """What a user should know of the technique, in sentences, before and after a search."""
        return ()


def neighbour(knob: Knob, value: Value, *, higher: bool) -> Value | None:
    """The next setting of a knob with ordered settings; ``None`` at the end of its range."""
    ordered = sorted(knob.values(), key=float)
    beyond = [each for each in ordered if (each > value if higher else each < value)]  # type: ignore[operator]
    if not beyond:
        return None
    return beyond[0] if higher else beyond[-1]


def nearest(knob: Knob, wish: float) -> Value:
    """The value of a numeric knob that is nearest to ``wish``."""
    return min(knob.values(), key=lambda value: abs(float(value) - wish))

"""Structured pruning: whole channels, neurons and attention heads leave the tensors."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from greenfront.spaces.architectures.nni_import import INSTALL
from greenfront.spaces.knobs import Categorical, Knob, Point, Real, Value
from greenfront.spaces.table import Choices, Range, Share, Table
from greenfront.spaces.techniques.technique import (
    Opening,
    Scope,
    Settings,
    Surroundings,
    Technique,
    Together,
    nearest,
)

__all__ = [
    "IMPORTANCES",
    "TECHNIQUE",
    "Importance",
    "Pruning",
    "PruningOptions",
    "importance_objection",
    "is_of_nni",
]

STEP = 0.05
"""Finer ratios round to the same number of channels in small networks."""

FOLLOW_UP = 0.2
"""More or less of the channels where a target was missed."""

Importance = Literal[
    "magnitude", "taylor", "fpgm", "random", "nni:l1", "nni:fpgm", "nni:taylor", "nni:movement"
]
"""What makes a channel worth keeping; those with a prefix are scores of NNI's pruners."""

IMPORTANCES: tuple[Importance, ...] = get_args(Importance)


def is_of_nni(name: str) -> bool:
    """Whether an importance is one of NNI's."""
    return name.startswith("nni:")


def importance_objection(name: str) -> str | None:
    """Why an importance cannot be had here, in words; imports nothing."""
    if is_of_nni(name) and importlib.util.find_spec("nni") is None:
        return f"{name!r} needs the package 'nni', which is not installed: {INSTALL}"
    return None


@dataclass(frozen=True, slots=True)
class Pruning(Settings):
    """How many channels leave, which ones, and when.

    Attributes:
        ratio: Share of the channels of each group to remove; 0 is no pruning.
        scope: ``"uniform"`` takes the ratio of every group, ``"global"`` takes the least important
            channels of the whole network.
        importance: What makes a channel worth keeping: ``"magnitude"`` of its weights,
            ``"taylor"`` (the change of the loss, by its gradient), ``"fpgm"`` (its distance to the
            other channels), ``"random"``, or the metric of a pruner of NNI: ``"nni:l1"``,
            ``"nni:fpgm"``, ``"nni:taylor"``, ``"nni:movement"``.
        gradual: Whether it is pruned in steps between the epochs of its fine-tuning, instead of at
            once before them.
    """

    section: ClassVar[str] = "pruning"

    ratio: float = 0.0
    scope: str = "uniform"
    importance: str = "magnitude"
    gradual: bool = False

    @property
    def untouched(self) -> bool:
        """Whether no channel leaves."""
        return self.ratio == 0

    def describe(self) -> str:
        """How many channels leave."""
        return f"pruned {self.ratio:.0%}" if self.ratio else ""

    def steps(self, fine_tune_epochs: int) -> int:
        """In how many steps it is pruned: a gradual one takes two epochs of the fine-tuning."""
        return max(1, fine_tune_epochs // 2) if self.gradual else 1


class PruningOptions(Table):
    """What of pruning may be searched: see :class:`Pruning`."""

    pruning: Range[Share] = (0.0, 0.8)
    pruning_scope: Choices[Literal["uniform", "global"]] = ("uniform",)
    importance: Choices[Importance] = ("magnitude",)
    gradual: Choices[bool] = (False,)


class PruningTechnique(Technique[Pruning, PruningOptions]):
    """Pruning of the families that can be pruned."""

    settings = Pruning
    options = PruningOptions
    order = 10

    def knobs(self, options: PruningOptions, scope: Scope) -> Iterator[Knob]:
        """The ratio and the way, of families that can be pruned."""
        when = scope.asked_for(lambda family: family.cannot_prune is None)
        if when is not None:
            yield Real("pruning", *options.pruning, step=STEP, when=when)
            yield Categorical("pruning_scope", options.pruning_scope, when)
            yield Categorical("importance", options.importance, when)
            yield Categorical("gradual", options.gradual, when)

    def decode(self, point: Point, family: str, options: PruningOptions, scope: Scope) -> Pruning:
        """Without a ratio nothing else of it counts, and one step is no gradual pruning."""
        if scope.family(family).cannot_prune is not None or not point["pruning"]:
            return Pruning()
        way = str(point["pruning_scope"]), str(point["importance"])
        pruning = Pruning(float(point["pruning"]), *way, gradual=bool(point["gradual"]))
        at_once = pruning.steps(scope.fine_tune_epochs) == 1
        return Pruning(pruning.ratio, *way) if at_once else pruning

    def baseline(self, options: PruningOptions, scope: Scope) -> Mapping[str, Value]:
        """Nothing leaves."""
        return {
            "pruning": 0.0,
            "pruning_scope": options.pruning_scope[0],
            "importance": options.importance[0],
            "gradual": min(options.gradual),
        }

    def opening(self, options: PruningOptions, scope: Scope, knobs: Mapping[str, Knob]) -> Opening:
        """Half of the channels alone, and with others; a third with most of the others."""
        knob = knobs.get("pruning")
        half: Point = {} if knob is None else {"pruning": nearest(knob, 0.5)}
        mild: Point = {} if knob is None else {"pruning": nearest(knob, 0.3)}
        return Opening(
            alone=[half],
            together={
                Together.PRUNED_ROUNDED: half,
                Together.PRUNED_ROUNDED_TAUGHT: half,
                Together.MILDLY_PRUNED_ROUNDED_TAUGHT: mild,
                Together.SMALL_MILDLY_PRUNED_TAUGHT: mild,
            },
        )

    def stricter(self, point: Point, around: Surroundings) -> Point:
        """A fifth more of the channels leave."""
        return _moved(point, around.knobs, FOLLOW_UP)

    def looser(self, point: Point, around: Surroundings) -> Point:
        """A fifth of the channels stay that would have left."""
        return _moved(point, around.knobs, -FOLLOW_UP)

    def missing(self, options: PruningOptions) -> str | None:
        """Whether NNI is asked for and not here."""
        told = filter(None, map(importance_objection, options.importance))
        return next((f"importance: {objection}" for objection in told), None)


def _moved(point: Point, knobs: Mapping[str, Knob], by: float) -> Point:
    if "pruning" not in point or "pruning" not in knobs:
        return {}
    return {"pruning": nearest(knobs["pruning"], float(point["pruning"]) + by)}


TECHNIQUE = PruningTechnique()

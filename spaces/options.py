"""The tables of a study file that say what a search of networks may choose from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from greenfront.spaces.families import FamilyOptions
from greenfront.spaces.techniques.registry import table_of_options
from greenfront.spaces.techniques.technique import Scope, Technique

if TYPE_CHECKING:  # for readers and type checkers: the keys of the techniques that come with us
    from greenfront.spaces.techniques.distillation import DistillationOptions
    from greenfront.spaces.techniques.precision import PrecisionOptions
    from greenfront.spaces.techniques.pruning import PruningOptions
    from greenfront.spaces.techniques.sparsity import SparsityOptions
    from greenfront.spaces.techniques.training import TrainingOptions

    class SpaceTable(
        DistillationOptions, PrecisionOptions, SparsityOptions, PruningOptions, FamilyOptions
    ):
        """``[space]``: architectures and compression."""

    class TrainingTable(TrainingOptions):
        """``[training]``: how weights are found."""
else:
    SpaceTable = table_of_options("space", FamilyOptions)
    TrainingTable = table_of_options("training")

__all__ = ["NetworkOptions", "SpaceTable", "TrainingTable"]


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What a study lets the search choose from. A range of one value is fixed, not asked.

    Attributes:
        scope: Its families, and the machine.
        space: What its file says of compression.
        training: What its file says of training.
    """

    scope: Scope
    space: SpaceTable = field(default_factory=SpaceTable)
    training: TrainingTable = field(default_factory=TrainingTable)

    def of(self, technique: Technique[Any, Any]) -> Any:
        """The options of a technique: the table in which its keys stand."""
        return getattr(self, technique.table)

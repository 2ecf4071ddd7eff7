"""Unstructured sparsity: single weights are set to zero and stay in their tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from greenfront.spaces.knobs import Knob, Point, Real, Value
from greenfront.spaces.table import Range, Share, Table
from greenfront.spaces.techniques.technique import Opening, Scope, Settings, Technique, nearest

__all__ = ["TECHNIQUE", "Sparsity", "SparsityOptions"]

STEP = 0.05


@dataclass(frozen=True, slots=True)
class Sparsity(Settings):
    """Zeros among the weights that pruning has left.

    They are stored and multiplied like other weights: they save neither time nor bytes.

    Attributes:
        share: Of the weights to set to zero.
    """

    section: ClassVar[str] = "sparsity"

    share: float = 0.0

    @property
    def untouched(self) -> bool:
        """Whether no weight is set to zero."""
        return self.share == 0

    def describe(self) -> str:
        """How many zeros there are."""
        return f"{self.share:.0%} zeros" if self.share else ""

    def to_json(self) -> float:
        """The share."""
        return self.share

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Inverse of :meth:`to_json`."""
        return cls(data)


class SparsityOptions(Table):
    """What of sparsity may be searched: lowest and highest share of zeros."""

    sparsity: Range[Share] = (0.0, 0.0)


class SparsityTechnique(Technique[Sparsity, SparsityOptions]):
    """Zeros among the weights."""

    settings = Sparsity
    options = SparsityOptions
    order = 20
    turn = 35  # a first generation tries what saves energy before

    def knobs(self, options: SparsityOptions, scope: Scope) -> Iterator[Knob]:
        """The share."""
        yield Real("sparsity", *options.sparsity, step=STEP)

    def decode(self, point: Point, family: str, options: SparsityOptions, scope: Scope) -> Sparsity:
        """The share, of any family."""
        return Sparsity(float(point["sparsity"]))

    def baseline(self, options: SparsityOptions, scope: Scope) -> Mapping[str, Value]:
        """No zeros."""
        return {"sparsity": 0.0}

    def opening(self, options: SparsityOptions, scope: Scope, knobs: Mapping[str, Knob]) -> Opening:
        """Half of the weights."""
        knob = knobs.get("sparsity")
        return Opening(alone=[{} if knob is None else {"sparsity": nearest(knob, 0.5)}])

    def remarks(self, options: SparsityOptions, scope: Scope) -> Iterator[str]:
        """What zeros do not save."""
        if options.sparsity[1] > 0:
            yield (
                "zeros among the weights (sparsity) are stored and multiplied like any other "
                "weight: they save no bytes of the file and no energy, only a part of a "
                "compressed download"
            )


TECHNIQUE = SparsityTechnique()

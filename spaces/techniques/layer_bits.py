"""Bits by layer: of a network in int8 kernels, the layers that stay floating because that pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from greenfront.spaces.techniques.afterwards import Afterwards
from greenfront.spaces.techniques.technique import Settings

__all__ = ["TECHNIQUE", "LayerBits"]


@dataclass(frozen=True, slots=True)
class LayerBits(Settings):
    """Which layers of a network whose others compute in 8 bits stay at 32.

    Attributes:
        floating: Their names in the exported graph, sorted.
    """

    section: ClassVar[str] = "layer_bits"

    floating: tuple[str, ...] = ()

    @property
    def untouched(self) -> bool:
        """Whether all layers have the same bits."""
        return not self.floating

    def describe(self) -> str:
        """How many of them."""
        count = len(self.floating)
        return f"{count} layer{'s' if count > 1 else ''} at 32 bits" if count else ""

    def to_json(self) -> Any:
        """The names."""
        return list(self.floating)

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Inverse of :meth:`to_json`."""
        return cls(tuple(data))


class LayerBitsTechnique(Afterwards[LayerBits]):
    """8 bits where they pay."""

    settings = LayerBits
    order = 31


TECHNIQUE = LayerBitsTechnique()

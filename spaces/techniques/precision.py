"""Precision: bits of the exported weights, and tuning with weights rounded to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from greenfront.spaces.knobs import Categorical, Knob, Point, Value, When
from greenfront.spaces.table import Choices, Table
from greenfront.spaces.techniques.technique import (
    Opening,
    Scope,
    Settings,
    Surroundings,
    Technique,
    Together,
    neighbour,
)

__all__ = ["TECHNIQUE", "Precision", "PrecisionOptions"]

COMPUTED_BITS = {"cpu": 8, "cuda": 16}
"""Bits below 32 that a device has kernels for: a GPU for half floats, and none for int8."""

MOST_BITS_TUNED = 8
"""Half floats round too little for tuning to mend anything."""


@dataclass(frozen=True, slots=True)
class Precision(Settings):
    """Bits of the exported weights.

    Attributes:
        bits: 32, 16, 8, 4 or 2. 8 bits run in int8 kernels; weights of 16, 4 and 2 bits are packed
            on disk and computed as 32. On a GPU 16 bits run in kernels for half floats.
        weight_only: Of 8 bits: packed on disk and computed as 32, too.
        quantization_aware: Whether the network is tuned with its weights rounded as they will be.
    """

    section: ClassVar[str] = "precision"

    bits: int = 32
    weight_only: bool = False
    quantization_aware: bool = False

    @property
    def untouched(self) -> bool:
        """Whether weights stay in single precision."""
        return self.bits == 32

    @property
    def packed(self) -> bool:
        """Whether whole numbers are stored that are computed as floating ones."""
        return self.bits in (2, 4) or (self.bits == 8 and self.weight_only)

    @property
    def computes_int8(self) -> bool:
        """Whether the weights run in int8 kernels, instead of being packed on disk alone."""
        return self.bits == 8 and not self.weight_only

    def computed_on(self, device: Literal["cpu", "cuda"]) -> bool:
        """Whether a device computes in these bits; else weights are widened when they are read.

        Args:
            device: That predictions are measured on.
        """
        return self.bits == 32 or (self.bits == COMPUTED_BITS[device] and not self.weight_only)

    @property
    def in_int8(self) -> Precision | None:
        """The same weights in int8 kernels; ``None`` where they were tuned for other bits."""
        if self.quantization_aware and self.bits != 8:
            return None
        return replace(self, bits=8, weight_only=False)

    def describe(self) -> str:
        """How many bits, and how they came about."""
        if self.bits == 32:
            return ""
        packed = " (weights)" if self.weight_only else ""
        return f"{self.bits} bits{packed}{' tuned' if self.quantization_aware else ''}"


class PrecisionOptions(Table):
    """What of precision may be searched: see :class:`Precision`."""

    bits: Choices[Literal[32, 16, 8, 4, 2]] = (32, 16, 8)
    quantization_aware: Choices[bool] = (False,)


class PrecisionTechnique(Technique[Precision, PrecisionOptions]):
    """Fewer bits; int8 kernels where a family gains by them, half floats on a GPU."""

    settings = Precision
    options = PrecisionOptions
    order = 30

    def knobs(self, options: PrecisionOptions, scope: Scope) -> Iterator[Knob]:
        """The bits; tuning where they are few."""
        yield Categorical("bits", options.bits)
        few = tuple(bits for bits in options.bits if bits <= MOST_BITS_TUNED)
        if few:
            when = (When("bits", few),) if len(options.bits) > 1 else ()
            yield Categorical("quantization_aware", options.quantization_aware, when)

    def decode(
        self, point: Point, family: str, options: PrecisionOptions, scope: Scope
    ) -> Precision:
        """Eight bits of a family that int8 kernels do not make cheaper are packed weights."""
        bits = int(point["bits"])
        return Precision(
            bits,
            weight_only=bits == 8 and family not in scope.int8_pays,
            quantization_aware=bits <= MOST_BITS_TUNED and bool(point["quantization_aware"]),
        )

    def baseline(self, options: PrecisionOptions, scope: Scope) -> Mapping[str, Value]:
        """Single precision."""
        return {"bits": 32, "quantization_aware": min(options.quantization_aware)}

    def opening(
        self, options: PrecisionOptions, scope: Scope, knobs: Mapping[str, Knob]
    ) -> Opening:
        """8, 16 and 4 bits alone; with others, 8. On a GPU 16 in the place of 8."""
        order = sorted((8, 16, 4), key=lambda bits: bits != COMPUTED_BITS[scope.measured_on])
        offered: list[dict[str, Value]] = [
            {"bits": bits} if bits in options.bits else {} for bits in order
        ]
        computed, _, packed = offered
        if packed and "quantization_aware" in knobs:
            packed["quantization_aware"] = True
        rounded = [step for step in Together if "ROUNDED" in step.name]
        return Opening(alone=offered, together=dict.fromkeys(rounded, computed))

    def stricter(self, point: Point, around: Surroundings) -> Point:
        """The bits that kernels compute in; where bytes count, the next fewer bits on offer."""
        if around.bytes_count:
            return _moved(point, around.knobs, higher=False)
        scope = around.scope
        pays = scope.measured_on == "cuda" or around.family in scope.int8_pays
        return {"bits": COMPUTED_BITS[scope.measured_on]} if pays else {}

    def looser(self, point: Point, around: Surroundings) -> Point:
        """The next more bits on offer."""
        return _moved(point, around.knobs, higher=True)

    def remarks(self, options: PrecisionOptions, scope: Scope) -> Iterator[str]:
        """Which bits save bytes alone."""
        computed = (32, COMPUTED_BITS[scope.measured_on])
        packed = [str(bits) for bits in sorted(options.bits, reverse=True) if bits not in computed]
        if packed:
            told = f"{' and '.join(packed)} bits are packed weights: smaller files, no cheaper "
            where = ", since ONNX Runtime has no int8 kernels for them on a GPU"
            yield told + "predictions" + (where if "8" in packed else "")


def _moved(point: Point, knobs: Mapping[str, Knob], *, higher: bool) -> Point:
    bits = neighbour(knobs["bits"], point["bits"], higher=higher) if "bits" in point else None
    return {} if bits is None else {"bits": bits}


TECHNIQUE = PrecisionTechnique()

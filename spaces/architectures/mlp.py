"""Multi-layer perceptrons."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from greenfront.spaces.architectures.architecture import Architecture, Extent
from greenfront.spaces.knobs import Categorical, Integer, Knob, Value, When

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MLP", "dense_extent"]

MAX_DEPTH = 3
WIDTHS = (16, 32, 64, 128, 256)


class MLP(Architecture):
    """Fully connected layers with ReLU, one to three hidden ones.

    The baseline is the 64-32 network that studies of green AutoML commonly start from.
    """

    name = "mlp"

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes numbers of any shape: they are flattened."""
        return None if input_shape else "it needs numbers, not texts"

    def knobs(self) -> tuple[Knob, ...]:
        """Depth, then the width of each hidden layer there is."""
        widths = tuple(
            Categorical(
                f"width_{layer}", WIDTHS, when=(When("depth", tuple(range(layer, MAX_DEPTH + 1))),)
            )
            for layer in range(1, MAX_DEPTH + 1)
        )
        return (Integer("depth", 1, MAX_DEPTH), *widths)

    def baseline(self) -> Mapping[str, Value]:
        """Two hidden layers, 64 and 32 wide."""
        return {"depth": 2, "width_1": 64, "width_2": 32}

    def smaller(self) -> Mapping[str, Value]:
        """Half as wide."""
        return {"width_1": 32, "width_2": 16}

    def extent(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], outputs: int
    ) -> Extent:
        """See :meth:`ModelFamily.extent`."""
        return dense_extent(math.prod(input_shape), shape, outputs)

    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from torch import nn

        widths = [int(shape[f"width_{layer}"]) for layer in range(1, int(shape["depth"]) + 1)]
        sizes = [math.prod(input_shape), *widths]
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in zip(sizes, widths, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


def dense_extent(inputs: int, shape: Mapping[str, Value], outputs: int) -> Extent:
    """Of fully connected layers: ``depth`` hidden ones, ``width_1`` and so on wide."""
    widths = [int(shape[f"width_{layer}"]) for layer in range(1, int(shape["depth"]) + 1)]
    sizes = [inputs, *widths, outputs]
    weights = sum(a * b for a, b in itertools.pairwise(sizes))
    return Extent(weights, weights)

"""Small convolutional networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from greenfront.spaces.architectures.architecture import Architecture, Extent
from greenfront.spaces.knobs import Categorical, Integer, Knob, Value, When

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CNN", "SMALLEST_MAP", "image_objection"]

BASE_CHANNELS = 32
SMALLEST_MAP = 4
"""Every block halves the maps until an edge would fall below this."""


def image_objection(input_shape: tuple[int, ...]) -> str | None:
    """Why a convolutional network cannot take such inputs; ``None`` if it can."""
    if len(input_shape) != 3:
        return "it needs images [channels, height, width]"
    if min(input_shape[1:]) < SMALLEST_MAP:
        return f"it needs images of at least {SMALLEST_MAP} pixels an edge"
    return None


class CNN(Architecture):
    """A stack of blocks whose channels double as the maps shrink, then a linear classifier.

    Blocks are ``standard`` (convolution), ``separable`` (depthwise, then pointwise; Howard et
    al., arXiv 1704.04861) or ``inverted`` (expand, depthwise, project, with a skip where shapes
    agree; Sandler et al., arXiv 1801.04381).
    """

    name = "cnn"
    effort = 0.5  # each of its epochs is dear

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes images of at least 4 pixels an edge."""
        return image_objection(input_shape)

    def knobs(self) -> tuple[Knob, ...]:
        """Block, depth, width multiplier, kernel, and the expansion of inverted blocks."""
        return (
            Categorical("block", ("standard", "separable", "inverted")),
            Integer("depth", 2, 4),
            Categorical("width", (0.25, 0.5, 0.75, 1.0, 1.5)),
            Categorical("kernel", (3, 5)),
            Categorical("expansion", (2, 4), when=(When("block", ("inverted",)),)),
        )

    def baseline(self) -> Mapping[str, Value]:
        """Three standard 3×3 blocks of 32, 64 and 128 channels."""
        return {"block": "standard", "depth": 3, "width": 1.0, "kernel": 3}

    def smaller(self) -> Mapping[str, Value]:
        """Half as wide."""
        return {"width": 0.5}

    def extent(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], outputs: int
    ) -> Extent:
        """See :meth:`ModelFamily.extent`."""
        channels, edges = input_shape[0], input_shape[1:]
        weights = products = 0
        for kind, inputs, width, stride in _blocks(shape, input_shape):
            taps, hidden = int(shape["kernel"]) ** 2, inputs * int(shape.get("expansion", 1))
            # What an inverted block expands is not narrowed yet.
            expanded = inputs * hidden if kind == "inverted" else 0
            held = {
                "standard": taps * inputs * width,
                "separable": taps * inputs + inputs * width,
                "inverted": taps * hidden + hidden * width,
            }[kind]
            products += expanded * math.prod(edges)
            edges = tuple(-(-edge // stride) for edge in edges)
            weights, products = weights + expanded + held, products + held * math.prod(edges)
            channels = width
        return Extent(weights + channels * outputs, products + channels * outputs)

    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from torch import nn

        from greenfront.spaces.architectures.blocks import block

        blocks: list[nn.Module] = []
        channels = input_shape[0]
        for kind, inputs, width, stride in _blocks(shape, input_shape):
            expansion = int(shape.get("expansion", 1))
            blocks.append(block(kind, inputs, width, int(shape["kernel"]), stride, expansion))
            channels = width
        return nn.Sequential(
            *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
        )


def _blocks(
    shape: Mapping[str, Value], input_shape: tuple[int, ...]
) -> Iterator[tuple[str, int, int, int]]:
    """Kind, channels that come in and go out, and stride of each block."""
    channels, edge = input_shape[0], min(input_shape[1:])
    for index in range(int(shape["depth"])):
        # Multiples of 8 fill the vector registers of every CPU in use.
        width = max(8, round(BASE_CHANNELS * float(shape["width"]) * 2**index / 8) * 8)
        # Splitting the convolution of few input channels saves nothing.
        kind = "standard" if index == 0 else str(shape["block"])
        stride = 2 if edge // 2 >= SMALLEST_MAP else 1
        edge = -(-edge // stride)
        yield kind, channels, width, stride
        channels = width

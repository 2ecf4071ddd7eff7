"""Small convolutional networks that shrink maps early and end in a hidden layer, like LeNet-5."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from greenfront.spaces.architectures.architecture import Architecture, Extent
from greenfront.spaces.architectures.cnn import image_objection
from greenfront.spaces.knobs import Categorical, Knob, Value

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LeNet"]

LARGEST_MAP = 7
"""Maps are halved until no edge is longer: the hidden layer reads all of their pixels."""
LARGEST_STRIDED_MAP = 8
"""The same where convolutions are strided: one convolution by 3 is enough for 28 pixels."""
FEWEST_BLOCKS = 2
"""Of those that pool."""
UNPADDED_MAP = 8
"""Convolutions are not padded where that leaves maps of at least this edge: fewer products."""
MOST_DOUBLED = 2
"""Times that channels double."""
POOLED = 1
"""The stride of convolutions whose maps are then pooled by two."""


class LeNet(Architecture):
    """Convolution and pooling in turn, then a hidden layer and a linear classifier.

    LeNet-5 (LeCun et al., 1998) with batch normalisation and ReLU. On small images it takes a tenth
    of the operations of a stack of convolutions that is as accurate. With a stride above 1 the
    convolutions themselves shrink the maps and nothing is pooled (Springenberg et al., "Striving
    for Simplicity", 2015): about half of the cost.
    """

    name = "lenet"

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes images of at least 4 pixels an edge."""
        return image_objection(input_shape)

    def knobs(self) -> tuple[Knob, ...]:
        """Channels of the first convolution, kernel, width of the hidden layer, and stride."""
        return (
            Categorical("channels", (4, 8, 12, 16, 24)),
            Categorical("kernel", (3, 5)),
            Categorical("hidden", (32, 64, 128)),
            Categorical("stride", (POOLED, 2, 3)),
        )

    def baseline(self) -> Mapping[str, Value]:
        """8 channels, 5×5, 64 hidden neurons, pooled."""
        return {"channels": 8, "kernel": 5, "hidden": 64, "stride": POOLED}

    def smaller(self) -> Mapping[str, Value]:
        """Convolutions by 3: of 28 pixels one is enough."""
        return {"stride": 3}

    def extent(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], outputs: int
    ) -> Extent:
        """See :meth:`ModelFamily.extent`."""
        kernel, hidden = int(shape["kernel"]), int(shape["hidden"])
        channels, (height, width) = input_shape[0], input_shape[1:]
        weights = products = 0
        for block in _blocks(shape, input_shape):
            held = kernel**2 * channels * block.channels
            weights += held
            products += held * math.prod(block.convolved)
            channels, (height, width) = block.channels, block.map
        dense = channels * height * width * hidden + hidden * outputs
        return Extent(weights + dense, products + dense)

    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from torch import nn

        kernel, stride = int(shape["kernel"]), _stride(shape)
        channels, (height, width) = input_shape[0], input_shape[1:]
        layers: list[nn.Module] = []
        for block in _blocks(shape, input_shape):
            layers += [
                nn.Conv2d(
                    channels,
                    block.channels,
                    kernel,
                    stride=stride,
                    padding=block.padding,
                    bias=False,
                ),
                nn.BatchNorm2d(block.channels),
                nn.ReLU(),
            ]
            if stride == POOLED:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            channels, (height, width) = block.channels, block.map
        hidden = int(shape["hidden"])
        return nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(channels * height * width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )


@dataclass(frozen=True, slots=True)
class _Block:
    """A convolution and what shrinks its map: ``convolved`` before pooling, ``map`` after it."""

    channels: int
    padding: int
    convolved: tuple[int, int]
    map: tuple[int, int]


def _stride(shape: Mapping[str, Value]) -> int:
    # Shapes of studies that began before there was a stride do not have one.
    return int(shape.get("stride", POOLED))


def _blocks(shape: Mapping[str, Value], input_shape: tuple[int, ...]) -> Iterator[_Block]:
    kernel, stride = int(shape["kernel"]), _stride(shape)
    fewest, largest = (FEWEST_BLOCKS, LARGEST_MAP) if stride == POOLED else (1, LARGEST_STRIDED_MAP)
    height, width = input_shape[1:]
    blocks = 0
    while blocks < fewest or max(height, width) > largest:
        lost = kernel - 1 if min(height, width) - kernel + 1 >= UNPADDED_MAP else 0
        convolved = (-(-(height - lost) // stride), -(-(width - lost) // stride))
        height, width = (-(-edge // 2) for edge in convolved) if stride == POOLED else convolved
        channels = int(shape["channels"]) * 2 ** min(blocks, MOST_DOUBLED)
        yield _Block(channels, (kernel - 1 - lost) // 2, convolved, (height, width))
        blocks += 1

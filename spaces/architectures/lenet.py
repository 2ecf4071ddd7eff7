"""Small convolutional networks that pool early and end in a hidden layer, as LeNet-5 does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from greenfront.spaces.architectures.architecture import Architecture, Extent
from greenfront.spaces.architectures.cnn import image_objection
from greenfront.spaces.knobs import Categorical, Knob, Value

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LeNet"]

LARGEST_MAP = 7
"""Maps are halved until no edge is longer: the hidden layer reads all of their pixels."""
FEWEST_BLOCKS = 2
UNPADDED_MAP = 8
"""Convolutions are not padded where that leaves maps of at least this edge: fewer products."""
MOST_DOUBLED = 2
"""Times that channels double."""


class LeNet(Architecture):
    """Convolution and pooling in turn, then a hidden layer and a linear classifier.

    LeNet-5 (LeCun et al., 1998) with batch normalisation and ReLU. On small images it takes a tenth
    of the operations of a stack of convolutions that is as accurate.
    """

    name = "lenet"

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes images of at least 4 pixels an edge."""
        return image_objection(input_shape)

    def knobs(self) -> tuple[Knob, ...]:
        """Channels of the first convolution, kernel, and width of the hidden layer."""
        return (
            Categorical("channels", (4, 8, 12, 16, 24)),
            Categorical("kernel", (3, 5)),
            Categorical("hidden", (32, 64, 128)),
        )

    def baseline(self) -> Mapping[str, Value]:
        """8 channels, 5×5, 64 hidden neurons."""
        return {"channels": 8, "kernel": 5, "hidden": 64}

    def smaller(self) -> Mapping[str, Value]:
        """Half the channels and neurons."""
        return {"channels": 4, "hidden": 32}

    def extent(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], outputs: int
    ) -> Extent:
        """See :meth:`ModelFamily.extent`."""
        kernel, hidden = int(shape["kernel"]), int(shape["hidden"])
        channels, (height, width) = input_shape[0], input_shape[1:]
        weights = products = 0
        for wider, lost in _blocks(shape, input_shape):
            held = kernel**2 * channels * wider
            weights += held
            products += held * (height - lost) * (width - lost)
            channels, height, width = wider, -(-(height - lost) // 2), -(-(width - lost) // 2)
        dense = channels * height * width * hidden + hidden * outputs
        return Extent(weights + dense, products + dense)

    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from torch import nn

        kernel = int(shape["kernel"])
        channels, (height, width) = input_shape[0], input_shape[1:]
        layers: list[nn.Module] = []
        for outputs, lost in _blocks(shape, input_shape):
            layers += [
                nn.Conv2d(channels, outputs, kernel, padding=(kernel - 1 - lost) // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
            channels, height, width = outputs, -(-(height - lost) // 2), -(-(width - lost) // 2)
        hidden = int(shape["hidden"])
        return nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(channels * height * width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )


def _blocks(shape: Mapping[str, Value], input_shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Channels of each convolution, and by how much it narrows a map before that is halved."""
    kernel, (height, width) = int(shape["kernel"]), input_shape[1:]
    blocks = 0
    while blocks < FEWEST_BLOCKS or max(height, width) > LARGEST_MAP:
        lost = kernel - 1 if min(height, width) - kernel + 1 >= UNPADDED_MAP else 0
        yield int(shape["channels"]) * 2 ** min(blocks, MOST_DOUBLED), lost
        height, width = -(-(height - lost) // 2), -(-(width - lost) // 2)
        blocks += 1

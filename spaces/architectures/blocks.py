"""Convolutional blocks. Imports torch."""

from __future__ import annotations

from torch import Tensor, nn

from greenfront.errors import UsageError

__all__ = ["InvertedResidual", "block"]


def _conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, depthwise: bool = False
) -> list[nn.Module]:
    groups = inputs if depthwise else 1
    padding = kernel // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; with a skip where input and output agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.skip = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            *_conv(inputs, hidden),
            nn.ReLU(),
            *_conv(hidden, hidden, kernel, stride, depthwise=True),
            nn.ReLU(),
            *_conv(hidden, outputs),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """From ``[n, inputs, h, w]`` to ``[n, outputs, h / stride, w / stride]``."""
        outputs: Tensor = self.layers(inputs)
        return inputs + outputs if self.skip else outputs


def block(
    kind: str, inputs: int, outputs: int, kernel: int, stride: int, expansion: int
) -> nn.Module:
    """A ``"standard"``, ``"separable"`` or ``"inverted"`` block; only the last one expands.

    Raises:
        UsageError: The kind is unknown.
    """
    match kind:
        case "standard":
            return nn.Sequential(*_conv(inputs, outputs, kernel, stride), nn.ReLU())
        case "separable":
            return nn.Sequential(
                *_conv(inputs, inputs, kernel, stride, depthwise=True),
                nn.ReLU(),
                *_conv(inputs, outputs),
                nn.ReLU(),
            )
        case "inverted":
            return InvertedResidual(inputs, outputs, kernel, stride, expansion)
        case _:
            raise UsageError(
                f"block {kind!r} is unknown: take 'standard', 'separable' or 'inverted'"
            )

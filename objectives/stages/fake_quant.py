"""Tuning a network with its weights rounded to the very grid that the packed file will hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from greenfront.errors import UsageError

__all__ = ["SMALLEST_PACKED", "fake_quantized", "grid", "grid_steps"]

SMALLEST_PACKED = 256
"""Tensors with fewer numbers stay at 32 bits: scales and nodes would cost more than they save."""
TERNARY_THRESHOLD = 0.7
"""Of the mean magnitude: smaller weights become 0 when only -1, 0 and 1 can be told apart."""


def grid_steps(bits: int, *, reduce_range: bool = False) -> int:
    """Steps of a symmetric grid on either side of zero, of one bit less with ``reduce_range``.

    Raises:
        UsageError: There is no such grid.
    """
    if not 2 <= bits <= 8:
        raise UsageError(f"weights are rounded to 2 to 8 bits, not to {bits}")
    return 64 if reduce_range and bits == 8 else 2 ** (bits - 1) - 1


def grid(weight: Tensor, steps: int, axis: int = 0) -> Tensor:
    """Width of one step for each output channel, as a tensor that broadcasts against ``weight``.

    The largest weight falls on the outermost step. A grid of one step would then round nearly
    everything to zero: there the step is the mean of the weights that are not small (Li et al.,
    Ternary Weight Networks, arXiv 1605.04711). A tensor that lies on its grid gives the same grid
    again.
    """
    others = tuple(other for other in range(weight.ndim) if other != axis)
    size = weight.detach().abs()
    if steps == 1:
        large = size > TERNARY_THRESHOLD * size.mean(others, keepdim=True)
        width = (size * large).sum(others, keepdim=True) / large.sum(others, keepdim=True)
        width = torch.nan_to_num(width)  # a channel of zeros
    else:
        width = size.amax(others, keepdim=True) / steps
    return width.clamp_min(torch.finfo(torch.float32).tiny)


@contextlib.contextmanager
def fake_quantized(model: nn.Module, bits: int, *, reduce_range: bool = False) -> Iterator[None]:
    """Rounds the weights of convolutions, linear layers and embeddings while inside.

    The rounded weights are used, the unrounded ones are trained (straight-through gradients, Bengio
    et al., arXiv 1308.3432). On leaving, the rounded ones are baked into the layers. The state
    dictionary has other names while inside.
    """
    steps = grid_steps(bits, reduce_range=reduce_range)
    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear, nn.Embedding))
        and layer.weight.numel() >= SMALLEST_PACKED
    ]
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", _Rounded(steps))
    try:
        yield
    finally:
        for layer in layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


class _Rounded(nn.Module):
    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, weight: Tensor) -> Tensor:
        rounded: Tensor = _StraightThrough.apply(weight, self.steps)  # type: ignore[no-untyped-call]
        return rounded


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, weight: Tensor, steps: int) -> Tensor:
        width = grid(weight, steps)
        return (weight / width).round().clamp(-steps, steps) * width

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None

"""Unstructured pruning: single weights become zero, and stay stored and multiplied like any other.

No tensor gets smaller and no kernel gets faster by it. What shrinks is a compressed copy of the
file, and that is all that is reported.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils import parametrize

from greenfront.objectives.stages.export import stored_weights
from greenfront.objectives.stages.subgraphs import graphs_of

__all__ = ["compressed_bytes", "zero_share", "zero_weakest", "zeros_kept"]

Layer = nn.Conv1d | nn.Conv2d | nn.Linear | nn.Embedding
LARGEST_SHARE = 0.99
"""A global ranking takes at most this share of one layer: it must never be emptied."""
CHUNK_BYTES = 2**20


@torch.no_grad()
def zero_weakest(model: nn.Module, share: float) -> None:
    """Zeros the smallest weights of all convolutions, linear layers and embeddings, in place."""
    layers = list(_layers(model))
    sizes = [layer.weight.abs().flatten() for layer in layers]
    if not sizes or share == 0:
        return
    least = _smallest(torch.cat(sizes), share)
    for layer, size in zip(layers, sizes, strict=True):
        weak = layer.weight.abs() <= torch.minimum(least, _smallest(size, LARGEST_SHARE))
        layer.weight.masked_fill_(weak, 0.0)


@contextlib.contextmanager
def zeros_kept(model: nn.Module) -> Iterator[None]:
    """Keeps weights that are zero now at zero while inside, whatever trains the network.

    May be entered around :func:`~greenfront.objectives.stages.fake_quant.fake_quantized`, which
    then rounds what is left. The state dictionary has other names while inside.
    """
    layers = list(_layers(model))
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", _Kept(layer.weight == 0))
    try:
        yield
    finally:
        for layer in layers:
            if parametrize.is_parametrized(layer, "weight"):  # unless an inner context has baked it
                parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def zero_share(path: Path) -> float:
    """Share of zeros among the numbers in the tensors of two and more axes that a file stores."""
    zeros = numbers = 0
    graph = onnx.load(path).graph
    stored = {tensor.name: tensor for each in graphs_of(graph) for tensor in each.initializer}
    for tensor in stored_weights(graph):
        values = numpy_helper.to_array(tensor)
        # The runtime's quantizer may shift unsigned numbers: then another one stands for zero.
        shift = stored.get(f"{tensor.name.removesuffix('_quantized')}_zero_point")
        zero = 0 if shift is None or shift.dims else int(numpy_helper.to_array(shift))
        zeros += int((values.astype(np.float32) == zero).sum())
        numbers += values.size
    return zeros / numbers if numbers else 0.0


def compressed_bytes(path: Path) -> int:
    """What a file takes where it is sent or stored compressed: deflate, as in zip and gzip."""
    packer = zlib.compressobj()
    with path.open("rb") as file:
        packed = sum(
            len(packer.compress(part)) for part in iter(lambda: file.read(CHUNK_BYTES), b"")
        )
    return packed + len(packer.flush())


def _layers(model: nn.Module) -> Iterator[Layer]:
    for layer in model.modules():
        if isinstance(layer, Layer):
            yield layer


def _smallest(sizes: Tensor, share: float) -> Tensor:
    """The largest of the smallest ``share`` of some sizes; below 0 where there are none."""
    count = round(share * sizes.numel())
    return sizes.kthvalue(count).values if count else sizes.new_tensor(-1.0)


class _Kept(nn.Module):
    def __init__(self, zero: Tensor) -> None:
        super().__init__()
        self.register_buffer("zero", zero)
        self.zero: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        # A product would leave negative zeros, whose sign bits do not compress.
        return weight.masked_fill(self.zero, 0.0)

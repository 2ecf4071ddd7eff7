"""Members of NNI's spaces as plain torch modules, for images of any size and number of channels.

NNI's spaces are made for 224 pixels and three channels. Here the first layer is fitted to the
channels, and small images are downsampled less often; scaling them up instead would multiply the
cost of each prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from greenfront.spaces.architectures.cnn import SMALLEST_MAP

__all__ = ["PLAIN", "patch_edge"]

FEWEST_PATCHES = 7
LARGEST_PATCH = 16


def patch_edge(edge: int) -> int:
    """Pixels of a patch's edge: a power of two that leaves at least seven patches in a row."""
    patch = LARGEST_PATCH
    while patch > 1 and edge // patch < FEWEST_PATCHES:
        patch //= 2
    return patch


class Cell(nn.Module):
    """A cell of NAS-Bench-201: each node is the sum of operations on the nodes before it.

    Edges on no path from the input to the output are left out.

    Args:
        operations: ``operations[t][s]`` leads from node ``s`` to node ``t + 1``; ``None`` where
            there is no edge.
    """

    def __init__(self, operations: list[list[nn.Module | None]]) -> None:
        super().__init__()
        self.last = len(operations)
        present = {
            (target, source): operation
            for target, row in enumerate(operations, 1)
            for source, operation in enumerate(row)
            if operation is not None
        }
        fed, used = {0}, {self.last}
        for target in range(1, self.last + 1):
            fed |= {target for source in fed if (target, source) in present}
        for source in range(self.last - 1, -1, -1):
            used |= {source for target in used if (target, source) in present}
        self.edges = sorted(edge for edge in present if edge[0] in used and edge[1] in fed)
        self.operations = nn.ModuleList(present[edge] for edge in self.edges)

    def forward(self, inputs: Tensor) -> Tensor:
        """The last node."""
        nodes = {0: inputs}
        for (target, source), operation in zip(self.edges, self.operations, strict=True):
            value = operation(nodes[source])
            nodes[target] = nodes[target] + value if target in nodes else value
        # Without any path the cell gives zeros, as in the benchmark.
        return nodes[self.last] if self.edges else inputs * 0.0


class Patches(nn.Module):
    """Cuts images into patches and embeds them, in the way of a strided convolution.

    A linear layer does the same work as the convolution, and has fast int8 kernels without
    calibration.
    """

    def __init__(self, convolution: nn.Conv2d, edge: int) -> None:
        super().__init__()
        self.patch = convolution.kernel_size[0]
        self.row = -(-edge // self.patch)
        missing = self.row * self.patch - edge
        self.pad = nn.ZeroPad2d((0, missing, 0, missing)) if missing else nn.Identity()
        channels = convolution.in_channels * self.patch**2
        self.embed = nn.Linear(channels, convolution.out_channels)
        self.embed.weight = nn.Parameter(convolution.weight.detach().flatten(1))
        if convolution.bias is not None:
            self.embed.bias = nn.Parameter(convolution.bias.detach())

    def forward(self, inputs: Tensor) -> Tensor:
        """From ``[n, channels, height, width]`` to ``[n, patches, features]``."""
        channels = inputs.shape[1]
        cut = self.pad(inputs).reshape(-1, channels, self.row, self.patch, self.row, self.patch)
        cut = cut.permute(0, 2, 4, 1, 3, 5)
        embedded: Tensor = self.embed(cut.reshape(-1, self.row**2, channels * self.patch**2))
        return embedded


class RelativePosition(nn.Module):
    """Embeddings of the offset between any two patches, as AutoFormer's attention adds them.

    NNI computes the offsets in each call from the number of patches, which cannot be exported.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, vertical: nn.Parameter, horizontal: nn.Parameter, row: int) -> None:
        super().__init__()
        self.vertical, self.horizontal = vertical, horizontal
        place = torch.arange(row**2)
        self.register_buffer("rows", _offsets(place // row, row))
        self.register_buffer("columns", _offsets(place % row, row))

    def forward(self) -> Tensor:
        """Embeddings ``[tokens, tokens, features]``; the first token is the class token."""
        tables: tuple[Tensor, Tensor] = (self.vertical, self.horizontal)
        if not self.training:
            # Pruning follows gradients through the module in evaluation mode, and would take the
            # features of the tables for channels of the network; heads keep their width.
            tables = (self.vertical.detach(), self.horizontal.detach())
        return tables[0][self.rows] + tables[1][self.columns]


class RelativeAttention(nn.Module):
    """AutoFormer's self-attention: heads of a fixed width that also see the offset of two patches.

    The layers have the names by which pruning finds the parts of attention.
    """

    def __init__(self, attention: Any, row: int) -> None:
        super().__init__()
        self.query, self.key, self.value = attention.q, attention.k, attention.v
        self.join = attention.proj
        self.num_heads, self.width = attention.num_heads, attention.head_dim
        tables = attention.rel_pos_embed_k, attention.rel_pos_embed_v
        self.offset_keys, self.offset_values = (
            RelativePosition(table.embeddings_table_v, table.embeddings_table_h, row)
            for table in tables
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """From and to ``[n, tokens, features]``."""
        count, tokens = inputs.shape[0], inputs.shape[1]
        split = (count, tokens, self.num_heads, self.width)
        query, key, value = (
            layer(inputs).reshape(split).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) + _by_token(
            query, self.offset_keys().transpose(1, 2)
        )
        weights = (scores * self.width**-0.5).softmax(dim=-1)
        heads = weights @ value + _by_token(weights, self.offset_values())
        joined: Tensor = self.join(
            heads.transpose(1, 2).reshape(count, tokens, self.num_heads * self.width)
        )
        return joined


def _by_token(heads: Tensor, matrices: Tensor) -> Tensor:
    """Multiplies each token's rows of ``[n, heads, tokens, in]`` by its matrix ``[in, out]``."""
    count, number, tokens, width = heads.shape
    rows = heads.permute(2, 0, 1, 3).reshape(tokens, count * number, width) @ matrices
    return rows.reshape(tokens, count, number, -1).permute(1, 2, 0, 3)


def _offsets(place: Tensor, row: int) -> Tensor:
    # Row 0 of the tables is the class token's.
    offsets = place[None, :] - place[:, None] + row + 1
    return nn.functional.pad(offsets, (1, 0, 1, 0))


class MeanOfPatches(nn.Module):
    """Averages over all tokens but the class token."""

    def forward(self, tokens: Tensor) -> Tensor:
        """From ``[n, 1 + patches, features]`` to ``[n, features]``."""
        return tokens[:, 1:].mean(dim=1)


def _sequence(parts: Iterable[nn.Module]) -> nn.Sequential:
    return nn.Sequential(*(part for part in parts if not isinstance(part, nn.Identity)))


def _with_channels(convolution: nn.Conv2d, channels: int) -> nn.Conv2d:
    if channels == convolution.in_channels:
        return convolution
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    outputs, bias = convolution.out_channels, convolution.bias is not None
    replaced = nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, bias=bias)
    nn.init.normal_(replaced.weight, std=float(convolution.weight.detach().std()))
    return replaced


def _fit(network: nn.Sequential, input_shape: tuple[int, ...]) -> nn.Sequential:
    """Fits the first layer to the channels and the strides to the size of the images."""
    first: Any = network[0]
    first[0] = _with_channels(first[0], input_shape[0])

    def halve_or_not(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        height, width = inputs[0].shape[-2:]
        if min(height, width) // 2 < SMALLEST_MAP:
            layer.stride = (1, 1)
            if isinstance(layer, nn.AvgPool2d):
                layer.kernel_size = (1, 1)
        elif isinstance(layer, nn.AvgPool2d) and (height % 2 or width % 2):
            # The convolution beside it rounds up.
            layer.ceil_mode = True

    hooks = [
        layer.register_forward_pre_hook(halve_or_not)
        for layer in network.modules()
        if isinstance(layer, (nn.Conv2d, nn.AvgPool2d)) and layer.stride in (2, (2, 2))
    ]
    # Each layer that halves decides when the maps reach it, so those before have decided already.
    with torch.no_grad():
        network.eval()(torch.zeros(1, *input_shape))
    for hook in hooks:
        hook.remove()
    return network.train()


def _mobilenetv3(member: Any, input_shape: tuple[int, ...]) -> nn.Module:
    parts = (member.stem, *member.blocks, nn.Flatten(), *member.classifier)
    return _fit(_sequence(parts), input_shape)


def _proxylessnas(member: Any, input_shape: tuple[int, ...]) -> nn.Module:
    body = (member.stem, *member.blocks, member.feature_mix_layer, member.global_avg_pooling)
    return _fit(
        _sequence((*body, nn.Flatten(), member.dropout_layer, member.classifier)), input_shape
    )


def _nasbench201(member: Any, input_shape: tuple[int, ...]) -> nn.Module:
    cells = (_cell(cell) if hasattr(cell, "layers") else cell for cell in member.cells)
    parts = (member.stem, *cells, member.lastact, member.global_pooling)
    return _fit(_sequence((*parts, nn.Flatten(), member.classifier)), input_shape)


def _cell(cell: Any) -> Cell:
    return Cell([[None if hasattr(op, "is_zero") else op for op in node] for node in cell.layers])


def _shufflenet(member: Any, input_shape: tuple[int, ...]) -> nn.Module:
    parts = (member.first_conv, *member.features, member.conv_last, member.globalpool)
    end = (member.dropout, nn.Flatten(), *member.classifier)
    return _fit(_sequence((*parts, *end)), input_shape)


def _autoformer(member: Any, input_shape: tuple[int, ...]) -> nn.Module:
    patches = Patches(member.patch_embed, input_shape[1])
    for block in member.blocks:
        block.attn = RelativeAttention(block.attn, patches.row)
    body = (patches, member.cls_token, member.pos_embed, *member.blocks, member.norm)
    return _sequence((*body, MeanOfPatches(), member.head))


PLAIN: dict[str, Callable[[Any, tuple[int, ...]], nn.Module]] = {
    "mobilenetv3": _mobilenetv3,
    "proxylessnas": _proxylessnas,
    "nasbench201": _nasbench201,
    "shufflenet": _shufflenet,
    "autoformer": _autoformer,
}
"""From a frozen member of each space and the shape of its inputs to a module; the head is last."""

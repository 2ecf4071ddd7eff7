"""From a torch module to an ONNX file at 32 bits."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn

from greenfront.errors import TrialFailed, first_line
from greenfront.objectives.stages.fold_sizes import fold_sizes
from greenfront.objectives.stages.session import RUNTIME_FAULTS
from greenfront.objectives.stages.subgraphs import graphs_of

__all__ = ["INPUT", "OPSET", "OUTPUT", "fixes_batch", "to_onnx", "weight_count"]

INPUT, OUTPUT = "input", "logits"
OPSET = 18
"""From this one on, axes of reductions are inputs."""
PROBES = (1, 2, 3, 8)
"""Batches with which constants are told from sizes."""
UNTRACEABLE = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What an exporter raises for a module that it cannot follow."""
COUNTED = tuple(
    getattr(TensorProto, name)
    for name in ("FLOAT", "FLOAT16", "BFLOAT16", "INT8", "UINT8", "INT4", "UINT4", "INT2", "UINT2")
    if hasattr(TensorProto, name)
)
"""Types that weights are stored in; wider integers are positions and shapes."""

PACKED, SCALE = "_packed", "_scale"
"""After a weight's name: its numbers of few bits, and what they are multiplied with."""


def to_onnx(model: nn.Module, example: Tensor | tuple[int, ...], path: Path) -> None:
    """Exports at 32 bits, with a free batch axis and batch normalisation folded in.

    The length of token sequences is free, too. What follows from fixed sizes is stored, not
    computed at each call.

    Args:
        model: From float32 ``[n, …]`` or int64 token numbers ``[n, length]`` to logits
            ``[n, classes]``; it is left in evaluation mode.
        example: One batch of inputs, or the shape of one float32 input without the batch axis.
        path: Written.

    Raises:
        TrialFailed: No exporter can follow the module, or it fixes the size of the batch (cause
            ``"cannot export"``).
    """
    device = next(model.parameters()).device
    if not isinstance(example, Tensor):
        example = torch.zeros((1, *example))
    example = example.to(device)
    free = {0: "n"} if example.is_floating_point() else {0: "n", 1: "length"}
    model.eval()
    with warnings.catch_warnings():
        # About the tracing exporter's own age and the module's Python branches: what matters of
        # them shows where the file's answers are compared with the module's.
        warnings.simplefilter("ignore")
        try:
            _trace(model, example, path, free)
        except UNTRACEABLE as failure:
            _capture(model, example, path, free, failure)
    try:
        fold_sizes(path, _probes(example))
    except RUNTIME_FAULTS as failure:
        raise fixes_batch(PROBES[1]) from failure


def fixes_batch(count: int) -> TrialFailed:
    """What is to be said of a file that fails for a batch of ``count``."""
    return TrialFailed(
        "cannot export",
        f"the exported file must take batches of any size, but fails for {count}: the network "
        f"fixes the batch of {1 if count > 1 else 2} with which it is traced, so leave the size "
        "to the tensor, as in x.flatten(1), or x.reshape(x.shape[0], -1) without int(), and loop "
        "over no examples",
    )


def weight_count(path: Path) -> int:
    """Numbers in the tensors of two and more axes that the file stores."""
    return sum(int(np.prod(tensor.dims)) for tensor in stored_weights(onnx.load(path).graph))


def stored_weights(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """The tensors of two and more axes that a file stores, without the scales of packed ones."""
    tensors = [tensor for each in graphs_of(graph) for tensor in each.initializer]
    scales = {
        tensor.name.removesuffix(PACKED) + SCALE
        for tensor in tensors
        if tensor.name.endswith(PACKED)
    }
    return [
        tensor
        for tensor in tensors
        if len(tensor.dims) >= 2 and tensor.data_type in COUNTED and tensor.name not in scales
    ]


def _trace(model: nn.Module, example: Tensor, path: Path, free: dict[int, str]) -> None:
    # The tracing exporter is deprecated, but ten times faster than its successor and needs no
    # further package; it stays until it goes.
    torch.onnx.export(
        model,
        (example,),
        str(path),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={INPUT: free, OUTPUT: {0: "n"}},
        opset_version=OPSET,
        dynamo=False,
    )


def _capture(
    model: nn.Module, example: Tensor, path: Path, free: dict[int, str], untraceable: Exception
) -> None:
    if len(example) == 1:
        example = torch.cat([example, example])  # an axis of length 1 would be taken for a constant
    try:
        torch.onnx.export(
            model,
            (example,),
            str(path),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=(dict.fromkeys(free, torch.export.Dim.DYNAMIC),),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    except ImportError as missing:
        raise TrialFailed(
            "cannot export",
            f"{first_line(untraceable)}; torch's other exporter may do better, but needs a "
            f"package that is not installed: pip install {missing.name}",
        ) from untraceable
    except UNTRACEABLE as failure:
        raise TrialFailed(
            "cannot export",
            f"neither exporter can follow this network: {first_line(untraceable)}; "
            f"{first_line(failure)}",
        ) from failure
    onnx.save(_bare(onnx.load(path)), path)


def _probes(example: Tensor) -> list[dict[str, NDArray[Any]]]:
    """Batches of an example; sequences are cut to lengths over the whole range that is used."""
    row = example[0].detach().cpu().numpy()
    longest = max(2, len(row))
    lengths = (longest, 2, (longest + 1) // 2, 1)
    shapes = [row.shape if example.is_floating_point() else (length,) for length in lengths]
    return [
        {INPUT: np.resize(row, (count, *shape))}
        for count, shape in zip(PROBES, shapes, strict=True)
    ]


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the notes on where each node came from, which outweigh a small network."""
    del model.graph.value_info[:]
    for part in (model.graph, *model.graph.node):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    return model

"""The same network as a file for torch: where a GPU runs it, ONNX Runtime's kernels do not."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import torch
from torch import nn

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.examples import Examples

__all__ = ["torch_error", "write_torch_file"]

CHUNK = 32


def write_torch_file(model: nn.Module, examples: Examples, path: Path) -> None:
    """Writes a network with its graph: ``torch.export.load(path).module()`` runs it.

    No class of ours is needed to load it. Weights are in single precision: few bits are what the
    ONNX file has. Of two examples or more, the batch and the length of texts stay free.

    Raises:
        RuntimeError: Torch cannot follow the network's Python code; subclasses of it say why.
    """
    inputs = examples.batch(slice(0, 2)).clone()  # of a view, its base would be demanded, too
    free = {0: torch.export.Dim.DYNAMIC}
    if examples.padding is not None:
        free[1] = torch.export.Dim.AUTO  # up to as many tokens as the network has places for
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own making, about its own internals
        program = torch.export.export(model.eval(), (inputs,), dynamic_shapes=(free,), strict=False)
        torch.export.save(program, path)


@torch.no_grad()
def torch_error(model: nn.Module, path: Path, examples: Examples) -> float:
    """Largest difference of a logit between a network and its file of :func:`write_torch_file`.

    Raises:
        TrialFailed: The file answers NaN or infinity (cause ``"not finite"``).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = torch.export.load(path).module()
    model.eval()
    largest = 0.0
    for start in range(0, len(examples), CHUNK):
        chunk = examples.batch(slice(start, start + CHUNK))
        difference = float((loaded(chunk) - model(chunk)).abs().max())
        if not math.isfinite(difference):
            raise TrialFailed("not finite", f"{path.name} answers NaN or infinity")
        largest = max(largest, difference)
    return largest

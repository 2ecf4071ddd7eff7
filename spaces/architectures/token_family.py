"""What all families have in common that read texts as token numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from greenfront.spaces.architectures.architecture import Encoder, ModelFamily
from greenfront.spaces.architectures.tokens import PADDING, learnt_tokenizer, numbering, save
from greenfront.spaces.knobs import Value

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

__all__ = ["TokenFamily"]


class TokenFamily(ModelFamily):
    """Numbers tokens, as many of a text as the knob ``length`` says; of networks and of others."""

    padding: int = PADDING
    encoding_knobs = ("length",)

    def encoder(self, shape: Mapping[str, Value], corpus: NDArray[Any]) -> Encoder:
        """Numbers tokens; see :meth:`ModelFamily.encoder`."""
        return numbering(self._tokenizer(corpus), int(shape["length"]), self.padding)

    def save_encoder(self, shape: Mapping[str, Value], corpus: NDArray[Any], folder: Path) -> None:
        """Writes ``tokenizer.json``; see :meth:`ModelFamily.save_encoder`."""
        length = int(shape["length"])
        save(self._tokenizer(corpus), folder, length=length, padding=self.padding)

    def _tokenizer(self, corpus: NDArray[Any]) -> Tokenizer:
        """By default one that is learnt from the training texts."""
        return learnt_tokenizer(tuple(corpus.tolist()))

"""Bags of words and word pairs, for texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from greenfront.spaces.architectures.architecture import Architecture, Extent
from greenfront.spaces.architectures.token_family import TokenFamily
from greenfront.spaces.architectures.tokens import PADDING, VOCABULARY, require_tokenizers
from greenfront.spaces.knobs import Categorical, Knob, Value

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Bag"]

LENGTHS = (64, 128, 256, 512)
USUAL_LENGTH = 512


class Bag(TokenFamily, Architecture):
    """Embeddings of words and hashed word pairs, added up, then a linear classifier.

    fastText's idea (Joulin et al., arXiv 1607.01759). Words are the pieces of a vocabulary that is
    learnt from the training texts; pairs are hashed by the network itself, so that what they cost
    is measured with it.
    """

    name = "bag"
    body_rate = 3.0  # a row moves only when its word is seen
    effort = 0.3
    cannot_prune = "it has no channels but those of its embedding, whose width is a knob"

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes texts."""
        if input_shape != ():
            return "it needs texts"
        require_tokenizers(self.name)
        return None

    def knobs(self) -> tuple[Knob, ...]:
        """Width of the embedding, rows for pairs (0: words alone), and length of texts."""
        return (
            Categorical("width", (8, 16, 32, 64)),
            Categorical("pairs", (0, 4096, 16384)),
            Categorical("length", LENGTHS),
        )

    def baseline(self) -> Mapping[str, Value]:
        """32 wide, words and pairs of the first 512 pieces."""
        return {"width": 32, "pairs": 16384, "length": USUAL_LENGTH}

    def smaller(self) -> Mapping[str, Value]:
        """Words alone, half as wide."""
        return {"width": 16, "pairs": 0}

    def extent(
        self,
        shape: Mapping[str, Value],
        input_shape: tuple[int, ...],  # noqa: ARG002
        outputs: int,
    ) -> Extent:
        """Rows of the embeddings; each piece of a text adds one, or two with its pair."""
        width, pairs = int(shape["width"]), int(shape["pairs"])
        read = int(shape["length"]) * (2 if pairs else 1)
        return Extent((VOCABULARY + pairs + outputs) * width, (read + outputs) * width)

    def build(
        self,
        shape: Mapping[str, Value],
        input_shape: tuple[int, ...],  # noqa: ARG002
        classes: int,
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from greenfront.spaces.architectures.bag_module import BagModule

        return BagModule(VOCABULARY, int(shape["pairs"]), int(shape["width"]), classes, PADDING)

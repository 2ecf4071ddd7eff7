"""The network of the family ``bag``. Imports torch."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["BagModule"]

MIXER = 40_503
"""Odd, so that pairs spread over all rows; near 2¹⁶ over the golden ratio (Knuth)."""


class BagModule(nn.Module):
    """From token numbers to logits: sums of embeddings, then a linear layer.

    Sums are divided by the root of the number of tokens, not by the number: of a mean of hundreds
    each row would get next to no gradient, and plain SGD would not move.

    Args:
        vocabulary: Rows for tokens.
        pairs: Rows for hashed pairs of neighbours; 0 leaves pairs out.
        width: Of the embeddings.
        classes: Outputs.
        padding: Number of the token that does not count.
    """

    def __init__(self, vocabulary: int, pairs: int, width: int, classes: int, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.pairs = pairs
        self.words = nn.Embedding(vocabulary, width)
        self.neighbours = nn.Embedding(pairs, width) if pairs else None
        self.head = nn.Linear(width, classes)
        for table in self.modules():
            if isinstance(table, nn.Embedding):
                nn.init.normal_(table.weight, std=0.1)

    def forward(self, ids: Tensor) -> Tensor:
        """From int64 ``[n, tokens]`` to ``[n, classes]``."""
        there = (ids != self.padding).unsqueeze(-1).float()
        total = (self.words(ids) * there).sum(1)
        count = there.sum(1)
        if self.neighbours is not None:
            hashed = (ids[:, :-1] * MIXER + ids[:, 1:]) % self.pairs
            total = total + (self.neighbours(hashed) * there[:, 1:]).sum(1)
        logits: Tensor = self.head(total / count.clamp(min=1.0).sqrt())
        return logits

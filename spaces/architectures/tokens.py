"""From texts to token numbers, with a stored vocabulary or one learnt from the training texts."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "PADDING",
    "SPECIAL",
    "VOCABULARY",
    "learnt_tokenizer",
    "numbered",
    "require_tokenizers",
    "save",
    "stored_tokenizer",
]

VOCABULARY = 8192
"""Size of a learnt vocabulary, at most, and rows of the embedding of networks that use it."""

PADDING = 0
"""Number of the padding token in a learnt vocabulary."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
SPECIAL = len(_SPECIAL)
"""Tokens of a learnt vocabulary, the lowest numbers, that stand for no piece of a word."""

_MOST_LETTERS = 1000
"""Rarer letters are unknown: each takes two tokens of the vocabulary."""


def require_tokenizers(name: str) -> None:
    """Checks that a family for texts can number tokens here.

    Raises:
        UsageError: The package for it is missing.
    """
    if importlib.util.find_spec("tokenizers") is None:
        raise UsageError(
            f"architecture {name!r} needs the package tokenizers, which is not installed: "
            'pip install "greenfront[text]"'
        )


@functools.lru_cache(maxsize=4)
def stored_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer of a ``tokenizer.json``."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))


@functools.lru_cache(maxsize=2)
def learnt_tokenizer(corpus: tuple[str, ...]) -> Tokenizer:
    """Learns word pieces from texts; the same texts give the same tokens in every process."""
    from tokenizers import Tokenizer, models, trainers

    _one_thread()
    bare = _prepared(Tokenizer(models.WordPiece(unk_token="[UNK]")))
    texts = [bare.normalizer.normalize_str(text) for text in corpus]
    counts = Counter(letter for text in texts for letter in text if not letter.isspace())
    ordered = sorted(counts, key=lambda letter: (-counts[letter], letter))
    letters, rare = sorted(ordered[:_MOST_LETTERS]), ordered[_MOST_LETTERS:]
    blanked = str.maketrans(dict.fromkeys(rare, " "))
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        # Letters that the trainer came upon by itself, it would number in the order of a hash map,
        # another one in each process, and ties between pieces go by these numbers.
        special_tokens=[*_SPECIAL, *letters, *(f"##{letter}" for letter in letters)],
        show_progress=False,
    )
    bare.train_from_iterator((text.translate(blanked) for text in texts), trainer=trainer)
    return _finished(bare.get_vocab())


def numbered(
    tokenizer: Tokenizer, texts: Sequence[str], *, length: int, padding: int
) -> NDArray[np.int64]:
    """Numbers the tokens of texts, of which those longer than ``length`` lose their end.

    Returns:
        int64 ``[n, tokens]``, as wide as the longest text has tokens.
    """
    _one_thread()
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    result = np.full((len(rows), max(map(len, rows))), padding, dtype=np.int64)
    for row, ids in zip(result, rows, strict=True):
        row[: len(ids)] = ids
    return result


def numbering(
    tokenizer: Tokenizer, length: int, padding: int
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """:func:`numbered`, ready for texts as a task holds them, an array of ``str`` ``[n]``."""

    def encode(texts: NDArray[Any]) -> NDArray[Any]:
        return numbered(tokenizer, texts.tolist(), length=length, padding=padding)

    return encode


def save(tokenizer: Tokenizer, folder: Path, *, length: int, padding: int) -> None:
    """Writes ``tokenizer.json`` with the length and the padding that a network was made for.

    ``Tokenizer.from_file(…).encode_batch(texts)`` then gives what :func:`numbered` gave.
    """
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(pad_id=padding, pad_token=tokenizer.id_to_token(padding))
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()


def _finished(vocabulary: dict[str, int]) -> Tokenizer:
    from tokenizers import Tokenizer, models, processors

    # Made anew, because the trained one would take its letters for tokens that stand alone.
    tokenizer = _prepared(Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]")))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _prepared(tokenizer: Tokenizer) -> Tokenizer:
    from tokenizers import normalizers, pre_tokenizers

    # Marks tell words apart: パ, バ and ハ are three syllables, Hindi without them has no vowels.
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.BertNormalizer(lowercase=True, strip_accents=False)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _one_thread() -> None:
    # The library's own threads would run beside those that a study grants, and it warns of them
    # at every later fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from unicodedata import normalize

import numpy as np
import pytest

from contracts.texts import sentences
from greenfront.spaces.architectures.tokens import (
    PADDING,
    VOCABULARY,
    learnt_tokenizer,
    numbered,
    stored_tokenizer,
)

CORPUS = tuple(sentences(60, seed=0)[0])
PROGRAM = """
import sys, json, hashlib
from greenfront.spaces.architectures.tokens import learnt_tokenizer
vocabulary = learnt_tokenizer(tuple(json.load(sys.stdin))).get_vocab()
print(hashlib.sha256(json.dumps(sorted(vocabulary.items())).encode()).hexdigest())
"""


def ids(tokenizer, texts, length=16, padding=PADDING) -> list[list[int]]:
    return numbered(tokenizer, texts, length=length, padding=padding).tolist()


@pytest.mark.parametrize("parallel", ["true", "false"])
def test_a_vocabulary_is_the_same_in_every_process(parallel: str) -> None:
    # Pieces that are all as frequent as each other: nothing but their order tells them apart.
    rng = np.random.default_rng(0)
    texts = ["".join(rng.permutation(list("abcdefgh"))) for _ in range(40)] * 2
    vocabulary = learnt_tokenizer(tuple(texts)).get_vocab()
    mine = hashlib.sha256(json.dumps(sorted(vocabulary.items())).encode()).hexdigest()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input=json.dumps(texts),
            env={**os.environ, "TOKENIZERS_PARALLELISM": parallel},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == mine
        assert done.stderr == ""


def test_a_corpus_is_learnt_once() -> None:
    assert learnt_tokenizer(CORPUS) is learnt_tokenizer((*CORPUS[:7], *CORPUS[7:]))
    assert learnt_tokenizer(CORPUS[:20]) is not learnt_tokenizer(CORPUS)


def test_frequent_words_are_whole_and_others_fall_into_pieces() -> None:
    tokenizer = learnt_tokenizer(CORPUS)
    assert tokenizer.encode("The PROFIT, of").tokens == [
        "[CLS]",
        "the",
        "profit",
        "[UNK]",
        "of",
        "[SEP]",
    ]
    assert tokenizer.encode("profits").tokens == ["[CLS]", "profit", "##s", "[SEP]"]


def test_numbers_fit_the_vocabulary() -> None:
    rng = np.random.default_rng(0)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
    texts = tuple("".join(rng.choice(letters, 30)) + " and the rest" for _ in range(400))
    tokenizer = learnt_tokenizer(texts)
    numbers = numbered(tokenizer, texts, length=64, padding=PADDING)
    assert 0 <= numbers.min() < numbers.max() < VOCABULARY
    assert tokenizer.encode("and the").tokens == ["[CLS]", "and", "the", "[SEP]"]


def test_long_texts_lose_their_end_and_short_ones_are_filled_up() -> None:
    tokenizer = learnt_tokenizer(CORPUS)
    begins, ends, goal, team = (
        tokenizer.token_to_id(t) for t in ("[CLS]", "[SEP]", "goal", "team")
    )
    texts = ["goal", "goal team " * 20]
    assert ids(tokenizer, texts, length=5) == [
        [begins, goal, ends, PADDING, PADDING],
        [begins, goal, team, goal, ends],
    ]
    assert ids(tokenizer, ["goal", "team goal"], length=32, padding=7) == [
        [begins, goal, ends, 7],
        [begins, team, goal, ends],
    ]
    assert numbered(tokenizer, texts, length=5, padding=0).dtype == np.int64


def test_texts_cannot_write_special_tokens() -> None:
    tokenizer = learnt_tokenizer(CORPUS)
    special = {tokenizer.token_to_id(token) for token in ("[PAD]", "[CLS]", "[SEP]")}
    (row,) = ids(tokenizer, ["goal [PAD] [SEP] [CLS] ball"])
    assert not special & set(row[1:-1])


def test_what_a_stored_tokenizer_says_of_length_and_padding_is_overruled(tmp_path) -> None:
    tokenizer = learnt_tokenizer(CORPUS[:40])
    tokenizer.enable_padding(length=12, pad_id=3)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    stored = stored_tokenizer(tmp_path / "tokenizer.json")
    wanted = ids(learnt_tokenizer(CORPUS[:40]), ["goal team goal team", "goal"], padding=9)
    assert ids(stored, ["goal team goal team", "goal"], padding=9) == wanted
    assert len(wanted[0]) == 6


@pytest.mark.parametrize(
    "words",
    [
        ("パン", "バン", "ハン"),
        ("かき", "かぎ"),
        ("où", "ou"),
        ("कि", "कु", "क"),
        ("все", "всё"),
        ("ไม่", "ไม้"),
    ],
)
def test_marks_tell_words_apart(words) -> None:
    tokenizer = learnt_tokenizer(tuple(f"{word} and {word}" for word in words for _ in range(20)))
    rows = ids(tokenizer, words)
    assert len({tuple(row) for row in rows}) == len(words)
    assert all(tokenizer.token_to_id("[UNK]") not in row for row in rows)


def test_composed_and_decomposed_letters_are_the_same() -> None:
    tokenizer = learnt_tokenizer(tuple(["über café パン"] * 20))
    assert ids(tokenizer, ["über café パン"]) == ids(
        tokenizer, [normalize("NFD", "über café パン")]
    )
    assert ids(tokenizer, ["ÜBER"]) == ids(tokenizer, ["über"]) != ids(tokenizer, ["uber"])

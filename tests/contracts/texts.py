"""Texts to learn from, and tiny pretrained models in the format of the hub."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from greenfront.spaces.architectures.tokens import learnt_tokenizer

WORDS = (
    ("ball", "goal", "team", "match"),
    ("bank", "share", "price", "profit"),
    ("film", "actor", "song", "stage"),
)
CLASSES = len(WORDS)

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 32,
}
DISTILBERT_SIZES = {"dim": 16, "n_layers": 4, "n_heads": 4, "hidden_dim": 32}


def sentences(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Short texts of unequal length, and their classes, told by one or two words each."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    texts = np.empty(count, dtype=object)
    for index, label in enumerate(labels):
        told = rng.choice(WORDS[label], int(rng.integers(1, 3)))
        filler = rng.choice(["the", "of", "and", "said", "on", "a"], int(rng.integers(3, 9)))
        texts[index] = " ".join(rng.permutation([*told, *filler]))
    return texts, labels.astype(np.int64)


def saved_model(folder: Path, family: str = "bert", positions: int = 40) -> Path:
    """Saves an untrained model with a tokenizer of :func:`sentences`, as from the hub."""
    from greenfront.spaces.architectures.torchvision_shim import allow_torchvision

    allow_torchvision()
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()

    sizes = DISTILBERT_SIZES if family == "distilbert" else SIZES
    # Large enough to make a difference where parts of an untrained model are left out.
    config = AutoConfig.for_model(
        family, vocab_size=300, max_position_embeddings=positions, initializer_range=0.3, **sizes
    )
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    learnt_tokenizer(tuple(sentences(60, seed=0)[0])).save(str(folder / "tokenizer.json"))
    return folder

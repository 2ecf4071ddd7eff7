"""Answers are kept whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenfront.objectives.pipeline.answers import ANSWERS, load_answers, save_answers


def test_answers_and_labels_come_back(tmp_path: Path) -> None:
    answers, labels = np.ones((3, 2), np.float32), np.arange(3)
    path = tmp_path / ANSWERS
    assert load_answers(path) is None
    for given in (answers, 2 * answers):
        save_answers(path, given, labels)
        kept = load_answers(path)
        assert kept is not None
        np.testing.assert_array_equal(kept[0], given)
        np.testing.assert_array_equal(kept[1], labels)
    assert [file.name for file in tmp_path.iterdir()] == [ANSWERS]


def test_nothing_is_left_of_what_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space"):
        save_answers(tmp_path / ANSWERS, np.ones((3, 2), np.float32), np.arange(3))
    assert list(tmp_path.iterdir()) == []

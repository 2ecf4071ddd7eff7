"""The best models of several families answer together after a real search, where that is better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.observers import notes_of
from greenfront.objectives.tuning.ensembles import MOST_TOGETHER
from greenfront.search.afterwards.ensembling import best_of_families
from greenfront.spaces.techniques.ensemble import Ensemble
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView, view
from greenfront.studies.config import sections
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.storage import Storage


def study(trials: int = 5, folds: int | str = 1, **space: object) -> StudyFile:
    return StudyFile.from_stored(
        {
            "study": {"name": "together"},
            "task": {"kind": "csv", "path": str(Path("table.csv").resolve()), "target": "goal"},
            "space": {"architectures": ["mlp"], "bits": [32], **space},
            "training": {"epochs": 2, "learning_rate": [1e-3, 1e-3]},
            "objectives": {"repeats": 1, "folds": folds, "metric": "roc_auc"},
            "metering": {"block_seconds": 0.002},
            "budget": {"trials": trials},
        }
    )


def search(file: StudyFile, storage: Storage) -> tuple[list[str], StudyView]:
    return notes_of(file, storage), view(storage, "together")


def lines_and_steps(folder: Path) -> None:
    """What a line finds, and what trees find: together they know more than each."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(600, 6))
    line = numbers[:, :3].sum(axis=1)
    steps = np.where(np.abs(numbers[:, 3]) > 0.7, 1.0, -1.0)
    goal = line + steps + random.normal(size=600) > 0
    rows = (
        ",".join([*(f"{each:.6f}" for each in row), "yes" if right else "no"])
        for row, right in zip(numbers.tolist(), goal.tolist(), strict=True)
    )
    text = "a,b,c,d,e,f,goal\n" + "\n".join(rows) + "\n"
    (folder / "table.csv").write_text(text, encoding="utf-8")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    lines_and_steps(tmp_path)
    return tmp_path


def ensembles(found: StudyView) -> list[ScoredTrial]:
    return [row for row in found.complete if row.candidate.companions]


def test_what_is_better_together_becomes_a_trial(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "AUTO_SHARE", 0.0)
    notes, found = search(study(folds="auto"), storage)
    (row,) = ensembles(found)
    assert len([note for note in notes if "averaged with" in note]) == 1
    derived = row.outcome.derived
    assert derived is not None
    # Its models are some of the best of their families, the most accurate first.
    best = [each.trial for each in best_of_families(found)]
    assert list(derived.origins) == [trial for trial in best if trial in derived.origins]
    assert 2 <= len(derived.origins) <= MOST_TOGETHER
    assert derived.beside == best[0]
    rows = {each.trial: each for each in found.complete}
    assert list(row.candidate.parts) == [rows[each].candidate for each in derived.origins]
    assert row.score - rows[best[0]].score == pytest.approx(derived.gain)
    assert derived.gain > 0
    assert derived.ratio > 1
    # It shows what more there is to be had, and asks no more of the others.
    assert found.front.most_accurate is not None
    assert found.front.most_accurate.trial == row.trial
    assert found.front.floor is not None
    assert found.front.floor.best == rows[best[0]].score
    assert Ledger(storage, 1).by("phase")["ensemble"].kwh > 0
    # What was too dear to cross-validate before there was an ensemble is not told of again.
    *_, last = [note for note in notes if "not cross-validated" in note]
    assert last.startswith("1 model not cross-validated: ")
    # The study asked for five trials and has five; resuming it makes the same one no second time.
    assert sum(found.counts.values()) == 5
    _, again = search(study(folds="auto"), storage)
    assert [each.number for each in again.trials] == [each.number for each in found.trials]


@pytest.mark.parametrize(
    "space", [{"ensemble": False}, {"references": False}], ids=("unwanted", "one family")
)
def test_none_is_made(storage: Storage, space: dict[str, object]) -> None:
    _, found = search(study(trials=3, **space), storage)
    assert ensembles(found) == []
    assert "ensemble" not in Ledger(storage, 1).by("phase")


def test_a_wish_for_none_changes_no_identity() -> None:
    assert study().identity("data") == study(ensemble=False).identity("data")


def test_it_says_who_answers() -> None:
    told = [{"architecture": {"family": name}} for name in ("a", "b", "c")]
    assert Ensemble.of(told).describe() == "averaged with a, b and c"
    assert Ensemble.of(told[:1]).describe() == "averaged with a"
    assert Ensemble().describe() == ""
    assert Ensemble.from_json(Ensemble.of(told).to_json()) == Ensemble.of(told)

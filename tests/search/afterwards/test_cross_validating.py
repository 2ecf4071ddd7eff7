"""The best models of a real search on few examples are trained anew and judged on other splits."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.observers import notes_of
from greenfront.errors import StudyFileError
from greenfront.objectives.tasks.load import load_task
from greenfront.search.afterwards import cross_validating
from greenfront.search.session import open_session
from greenfront.studies.analysis.choosing.advice import advice
from greenfront.studies.analysis.view import view
from greenfront.studies.config import sections
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger_writer import CROSS_VALIDATION
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

ROWS, TRIALS = 120, 3


def table(path: Path) -> Path:
    """Two numbers of which one tells a little of the class, and whose split each row is."""
    random = np.random.default_rng(0)
    values = random.normal(size=(ROWS, 2))
    good = values[:, 0] + random.normal(size=ROWS) > 0
    lines = [
        f"{a:.3f},{b:.3f},{'good' if is_good else 'bad'},{'dev' if row % 4 == 0 else 'train'}"
        for row, ((a, b), is_good) in enumerate(zip(values.tolist(), good, strict=True))
    ]
    path.write_text("\n".join(["a,b,class,split", *lines]))
    return path


def study(name: str, budget: dict[str, float] | None = None, **changed: Any) -> StudyFile:
    return StudyFile.from_stored(
        {
            "study": {"name": name},
            "task": {
                "kind": "csv",
                "path": str(Path.cwd() / "table.csv"),
                "target": "class",
                **changed.get("task", {"drop_columns": ["split"]}),
            },
            "space": {"architectures": ["mlp"], "bits": [32, 8], "references": False},
            "training": {"epochs": 2, "fine_tune_epochs": 1},
            "objectives": {"repeats": 1, "folds": changed.get("folds", 4)},
            "metering": {"block_seconds": 0.01},
            "budget": budget or {"trials": TRIALS},
        }
    )


def search(file: StudyFile, storage: Storage) -> list[str]:
    return [note for note in notes_of(file, storage) if "cross-validat" in note]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    table(folder / "table.csv")
    return folder


def test_scores_are_means_over_folds(storage: Storage, here: Path) -> None:
    file = study("means")
    told = search(file, storage)
    assert told[0] == "cross-validating the best models on 4 folds of the examples"
    found, stored = view(storage, "means"), Study.open(storage, "means")
    front = found.front
    sizes = found.facts.task.sizes
    for row in (front.most_accurate, front.greenest, found.baseline):
        assert row is not None
        folds = row.outcome.folds
        assert len(folds) == 4
        assert row.score == pytest.approx(statistics.fmean(fold.score for fold in folds))
        for fold in folds:
            assert fold.score * fold.examples == pytest.approx(round(fold.score * fold.examples))
        told_of_it = row.to_json(found.metric)
        assert told_of_it["score_examples"] == ROWS - sizes["test"]
        assert told_of_it["score_folds"] == [fold.score for fold in folds]
    # The study's own split stands first, and what is stored as the trial's value is of it alone.
    for trial in stored.trials.all():
        assert trial.outcome is not None
        assert trial.values is not None
        assert trial.values[0] == trial.outcome.score
        if trial.outcome.folds:
            assert trial.outcome.folds[0].score == trial.outcome.score
            assert trial.outcome.folds[0].resampled == trial.outcome.resampled
    examples = [
        len(load_task(file.task, cache=here / "cache", seed=0, fold=fold).validation)
        for fold in range(4)
    ]
    assert front.most_accurate is not None
    assert [fold.examples for fold in front.most_accurate.outcome.folds] == examples
    spent = stored.ledger.by("phase")
    assert spent[CROSS_VALIDATION].kwh > 0
    assert "cross-validated on 4 folds" in " ".join(advice(found))


def test_what_is_judged_is_not_judged_again(storage: Storage) -> None:
    search(study("means"), storage)
    before = [trial.outcome for trial in Study.open(storage, "means").trials.all()]
    assert search(study("means"), storage) == []
    assert [trial.outcome for trial in Study.open(storage, "means").trials.all()] == before


def test_an_interrupted_one_goes_on_where_it_was(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, folds = cross_validating.replace_detail, list[int]()

    def interrupted(trials: Any, number: int, detail: dict[str, Any]) -> None:
        kept(trials, number, detail)
        folds.append(number)
        if len(folds) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(cross_validating, "replace_detail", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(study("broken-off"), storage)
    left = {t.number: t.outcome for t in Study.open(storage, "broken-off").trials.all()}
    (begun,) = set(folds)
    half = left[begun]
    assert half is not None
    assert len(half.folds) == 3
    search(study("broken-off"), storage)
    done = {t.number: t.outcome for t in Study.open(storage, "broken-off").trials.all()}
    whole = done[begun]
    assert whole is not None
    assert len(whole.folds) == 4
    assert whole.folds[:3] == half.folds
    assert folds.count(begun) == 3  # one for each further fold


def test_a_budget_that_is_spent_ends_it(storage: Storage) -> None:
    assert search(study("poor", folds=1), storage) == []
    spent = Study.open(storage, "poor").ledger.total().kwh
    (told,) = search(study("poor", {"trials": TRIALS, "kwh": spent}), storage)
    assert told.startswith("no more models are cross-validated: ")
    assert not any(t.outcome and t.outcome.folds for t in Study.open(storage, "poor").trials.all())


def test_it_costs_no_more_than_its_share_of_the_search(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "AUTO_SHARE", 0.0)
    (told,) = search(study("thrifty", folds="auto"), storage)
    assert "0% of the search, would have been spent on it" in told
    assert CROSS_VALIDATION not in Study.open(storage, "thrifty").ledger.by("phase")
    monkeypatch.setattr(sections, "AUTO_SHARE", 100.0)
    assert len(search(study("thrifty", folds="auto"), storage)) > 1
    monkeypatch.setattr(sections, "SMALL_SPLIT", 23)
    assert search(study("many", folds="auto"), storage) == []


def test_a_validation_split_of_ones_own_is_the_only_one(storage: Storage) -> None:
    own = {"split_column": "split"}
    assert search(study("own", task=own, folds="auto"), storage) == []
    assert CROSS_VALIDATION not in Study.open(storage, "own").ledger.by("phase")
    with (
        pytest.raises(StudyFileError, match=r"folds: must be at most 1 for this task, got 3"),
        open_session(study("own-too", task=own, folds=3), new_in=storage),
    ):
        pass

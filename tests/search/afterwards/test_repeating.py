"""The front of a real search is measured again, in full, and what is shown are medians."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path

import pytest

from contracts.observers import notes_of
from greenfront.objectives.pipeline.cache import entries
from greenfront.studies.analysis.ranking.membership import FEWEST_RESIDUALS
from greenfront.studies.analysis.scores.medians import Measurements
from greenfront.studies.analysis.view import view
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.repeats import Repeats
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study


def study(repeats: int, trials: int = 3) -> StudyFile:
    return StudyFile.from_stored(
        {
            "study": {"name": "again"},
            "task": {"kind": "digits", "eval_fraction": 0.5},
            "space": {"architectures": ["mlp"], "bits": [32, 8], "references": False},
            "training": {"epochs": 2, "fine_tune_epochs": 1},
            "objectives": {"repeats": repeats},
            "metering": {"block_seconds": 0.01},
            "budget": {"trials": trials},
        }
    )


def search(file: StudyFile, storage: Storage) -> list[str]:
    return [note for note in notes_of(file, storage) if note.startswith("measuring")]


def test_one_measurement_is_enough_where_no_more_are_asked_for(storage: Storage) -> None:
    assert search(study(repeats=1), storage) == []
    assert Repeats(storage, 1).all() == {}
    assert "repeat" not in Ledger(storage, 1).by("phase")
    assert {row.probability for row in view(storage, "again").front.rows} == {None}


def test_graphs_of_the_front_and_the_baseline_are_measured_again(storage: Storage) -> None:
    notes = search(study(repeats=3), storage)
    found, repeats = view(storage, "again"), Repeats(storage, 1).all()
    members = {row.candidate.key: row for row in found.front.rows}
    assert found.baseline is not None
    members.setdefault(found.baseline.candidate.key, found.baseline)
    # Trials are judged on a part of the split: each member is judged on all of it.
    assert members.keys() <= repeats.keys()
    stored = Study.open(storage, "again").trials.all()
    known = Measurements.of(stored, repeats)
    again = Counter(known.graphs[key] for key, taken in repeats.items() for _ in taken)
    assert {again[known.graphs[key]] for key in members} <= {1, 2, 3}
    assert again[known.graphs[found.baseline.candidate.key]] >= 2
    # One that a median took off the front is not measured on.
    told = sum(int(note.split(": ")[1].split(" model")[0]) for note in notes)
    assert told == sum(len(taken) for taken in repeats.values())
    # Each round goes over all members before the next begins.
    rounds = [int(note.split("round ")[1][0]) for note in notes]
    assert rounds == sorted(rounds)
    assert Ledger(storage, 1).by("phase")["repeat"].kwh > 0
    assert "search" not in {n for n, s in Ledger(storage, 1).by("trial").items() if s.kwh == 0}

    for key, row in members.items():
        readings = known.readings[known.graphs[key]]
        assert row.outcome.inference.joules == statistics.median(
            reading.inference.joules or 0.0 for reading in readings
        )
        assert row.outcome.measurements == len(readings) >= 2
        assert row.outcome.inference_spread is not None
        assert row.outcome.batched is not None
        assert row.outcome.batched.batch == 32
        assert row.outcome.batched.inference.joules is not None
        assert row.outcome.inference.joules is not None
        assert 0 < row.outcome.batched.inference.joules < row.outcome.inference.joules
        assert row.score == repeats[key][0].score
    # A trial that left the front after one repeat has fewer to tell.
    if sum(len(each) for each in known.readings.values() if len(each) > 1) >= FEWEST_RESIDUALS:
        assert all(row.probability is not None for row in found.front.rows)
        assert found.front.rows[0].to_json(found.metric)["front_probability"] > 0


def test_trials_are_judged_on_a_part_and_members_on_all(storage: Storage) -> None:
    search(study(repeats=3), storage)
    found = view(storage, "again")
    sizes = found.facts.task.sizes
    assert sizes["evaluation"] < sizes["validation"]
    for row in Study.open(storage, "again").trials.all():
        assert row.values is not None
        right = row.values[0] * sizes["evaluation"]
        assert right == pytest.approx(round(right), abs=1e-6)
    for row in found.front.rows:
        right = row.score * sizes["validation"]
        assert right == pytest.approx(round(right), abs=1e-6)


def test_what_is_measured_is_not_measured_again(storage: Storage) -> None:
    before = Repeats(storage, 1).all()
    assert search(study(repeats=3), storage) == []
    assert Repeats(storage, 1).all() == before


def test_a_file_that_is_gone_keeps_its_measurements(storage: Storage, here: Path) -> None:
    before = Repeats(storage, 1).all()
    for file in (here / ".greenfront" / "lineage").rglob("model.onnx"):
        file.unlink()
    assert search(study(repeats=4), storage) != []
    assert Repeats(storage, 1).all() == before


def test_a_cap_on_the_cache_leaves_the_files_of_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Storage("sqlite:///greenfront.db")
    file = study(repeats=2)
    capped = file.model_copy(update={"study": file.study.model_copy(update={"cache_gb": 1e-6})})
    assert search(capped, storage) != []
    left = {entry.stage for entry in entries(tmp_path / ".greenfront" / "lineage")}
    assert "export" in left
    assert not left & {"train", "prune"}
    trials = Study.open(storage, "again").trials.all()
    assert {trial.state for trial in trials} == {"complete"}
    storage.close()

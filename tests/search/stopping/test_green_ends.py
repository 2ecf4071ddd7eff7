"""The racing sampler with targets, and when it is not worth going on."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from greenfront.search.session import open_session
from greenfront.studies.analysis.view import StudyView, view
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage


def searched(folder: Path, **sections: dict[str, Any]) -> tuple[StudyView, str]:
    usual: dict[str, dict[str, Any]] = {
        "study": {"name": "green"},
        "task": {"kind": "digits"},
        "space": {"architectures": ["mlp"], "references": False, "temperature": None},
        "training": {"epochs": 3, "fine_tune_epochs": 1},
        "objectives": {"repeats": 1, "folds": 1, "predictions": 1e9},
        "metering": {"block_seconds": 0.01},
        "search": {"sampler": "green", "stop_below": 0.0},
        "budget": {"trials": 4},
    }
    for section, keys in sections.items():
        usual[section] = usual.get(section, {}) | keys
    file = StudyFile.from_stored(usual)
    with contextlib.chdir(folder):
        storage = Storage("sqlite:///greenfront.db")
        with contextlib.closing(storage):
            with open_session(file, new_in=storage) as session:
                reason = session.search(storage).reason
            return view(storage, "green"), reason


def test_a_target_that_is_missed_is_followed_up(tmp_path: Path) -> None:
    found, _ = searched(tmp_path, targets={"energy_reduction": 0.9, "accuracy_drop": 0.5})
    # The baseline saves nothing against itself, and is accurate enough.
    assert found.links
    assert all(link.stricter for link in found.links)
    numbers = {row.number for row in found.trials}
    assert {link.trial for link in found.links} <= numbers
    assert found.baseline is not None
    assert found.baseline.trial in {link.origin for link in found.links}


def test_it_ends_when_a_kwh_gains_too_little(tmp_path: Path) -> None:
    found, reason = searched(
        tmp_path,
        space={"bits": [32], "pruning": 0.0},
        search={"stop_below": 1e30, "population": 4},
        budget={"trials": 30},
    )
    assert reason.startswith("the next kWh is expected to add")
    assert reason.endswith("[search] stop_below = 0 goes on")
    # A baseline and a generation were tried, however few of them were trained to the end.
    assert 5 <= sum(found.counts.values()) < 15
    assert not found.counts["paused"]  # what waited is over, and says why
    assert found.front.rows

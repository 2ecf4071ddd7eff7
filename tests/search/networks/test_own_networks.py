"""A search of networks of the user's: their code runs in evaluators, and its faults are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from greenfront.cli.plan_text import plan_text
from greenfront.errors import SearchAborted, StudyError, TrialFailed
from greenfront.objectives.codec import from_json
from greenfront.objectives.context import TrialContext
from greenfront.search.optimize import SearchResult
from greenfront.search.planning.plan import plan_study
from greenfront.search.session import open_session
from greenfront.spaces.knobs import Categorical
from greenfront.studies.analysis.machine.remarks import compression_remarks
from greenfront.studies.analysis.view import view
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

MODULE = "greenfront_own_networks"
RECURRENT, CHOOSY = f"{MODULE}:recurrent", f"{MODULE}:choosy"
TOLD = "the gates of its recurrent layers (LSTM) stay as they are"
SOURCE = """
from torch import nn
from greenfront.spaces.knobs import Categorical

class Recurrent(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.rnn, self.fc = nn.LSTM(features, 8, batch_first=True), nn.Linear(8, classes)
    def forward(self, x):
        return self.fc(self.rnn(x.squeeze(1))[0][:, -1])

def recurrent(shape, classes):
    return Recurrent(shape[-1], classes)

def choosy(shape, classes, width):
    if width == 13:
        raise ValueError("thirteen is unlucky")
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))

choosy.knobs = (Categorical("width", (16, 20, 24, 28, 32, 13)),)
choosy.baseline = {"width": 16}
"""


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("project")
    (folder / f"{MODULE}.py").write_text(SOURCE)
    (folder / "greenfront_crashing.py").write_text("import ctypes\nctypes.string_at(0)")
    (folder / "greenfront_hanging.py").write_text("import time\ntime.sleep(1000)")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield folder


def study(*families: str, **sections: dict[str, Any]) -> StudyFile:
    return StudyFile.from_stored(
        {
            "study": {"name": "own"},
            "task": {"kind": "digits"},
            "space": {"architectures": families, "pruning": [0.0, 0.5], "bits": [32]},
            "training": {"epochs": 1, "fine_tune_epochs": 1},
            "objectives": {"repeats": 1, "folds": 1},
            "metering": {"block_seconds": 0.01},
            "search": {"stop_below": 0},
            "budget": {"trials": 9},
            **sections,
        }
    )


FILE = study(RECURRENT, CHOOSY)


@dataclass(frozen=True)
class Finished:
    storage: Storage
    result: SearchResult
    unlucky: TrialFailed

    @property
    def facts(self) -> StudyFacts:
        stored = Study.open(self.storage, "own").facts
        assert stored is not None
        return from_json(StudyFacts, stored)


@pytest.fixture(scope="module")
def finished(here: Path) -> Iterator[Finished]:
    storage = Storage("sqlite:///greenfront.db")
    with open_session(FILE, new_in=storage) as session:
        problem = session.problem
        baseline = problem.space.decode({"architecture": CHOOSY, f"{CHOOSY}.width": 13})
        with problem.worker() as worker, pytest.raises(TrialFailed) as failure:
            worker.evaluate(baseline, TrialContext())
        result = session.search(storage)
    yield Finished(storage, result, failure.value)
    storage.close()


def test_no_code_of_the_users_runs_in_the_supervisor(finished: Finished) -> None:
    assert MODULE not in sys.modules
    assert {row.state for row in finished.result.trials} >= {"complete"}


def test_a_family_that_cannot_be_pruned_is_never_pruned(finished: Finished) -> None:
    of_recurrent = [
        row.candidate for row in finished.result.trials if RECURRENT in row.candidate.describe()
    ]
    assert of_recurrent
    assert all(candidate.pruning.ratio == 0 for candidate in of_recurrent)
    assert any(row.candidate.pruning.ratio for row in finished.result.trials)
    assert f"{RECURRENT} is not pruned: {TOLD}" in compression_remarks(FILE, finished.facts)


def test_what_was_found_of_the_families_is_kept_with_the_study(finished: Finished) -> None:
    families = finished.facts.families
    assert families[RECURRENT].cannot_prune == TOLD
    assert families[CHOOSY].cannot_prune is None
    assert families[CHOOSY].knobs == (Categorical("width", (16, 20, 24, 28, 32, 13)),)
    assert families[CHOOSY].baseline == {"width": 16}


def test_a_shape_that_cannot_be_built_costs_one_trial(finished: Finished) -> None:
    assert finished.unlucky.cause == "refused"
    assert "ValueError: thirteen is unlucky" in finished.unlucky.reason


def test_a_front_is_shown_without_the_code(finished: Finished, here: Path) -> None:
    file = here / f"{MODULE}.py"
    file.rename(file.with_suffix(".away"))
    try:
        assert view(finished.storage, "own").name == "own"
    finally:
        file.with_suffix(".away").rename(file)


def test_a_resumed_study_keeps_its_space(finished: Finished, here: Path) -> None:
    space = FILE.options(finished.facts)
    with open_session(FILE, new_in=finished.storage) as session:
        assert session.problem.options == space
        assert session.problem.facts.families == finished.facts.families
    file = here / f"{MODULE}.py"
    file.write_text(SOURCE.replace("32, 13)", "32, 12)"))
    try:
        with (
            pytest.raises(StudyError, match=f"{CHOOSY}.* must keep the knobs .* restore them"),
            open_session(FILE, new_in=finished.storage),
        ):
            pass
    finally:
        file.write_text(SOURCE)


def test_a_plan_says_which_family_is_not_pruned() -> None:
    found = plan_study(study(RECURRENT))
    assert "pruning" not in found.knobs
    assert f"{RECURRENT} is not pruned: {TOLD}" in found.remarks
    plan_text(found)


@pytest.mark.parametrize(
    ("module", "minutes", "words"),
    [
        ("greenfront_crashing", 4, "crashed: ended by SIGSEGV in .*, line"),
        ("greenfront_hanging", 0.02, "timed out: no end after 1 s; raise .limits. trial_minutes"),
    ],
)
def test_code_that_crashes_or_hangs_ends_a_study_in_words(
    module: str, minutes: float, words: str
) -> None:
    file = study(f"{module}:net", limits={"trial_minutes": minutes})
    with (
        pytest.raises(SearchAborted, match=f"'{module}:net' could not be tried: {words}"),
        open_session(file),
    ):
        pass

"""A race of real trainings by the command line, killed in its middle and gone on with."""

from __future__ import annotations

import os
import signal

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from contracts.command import Command
from contracts.peek import rows
from contracts.waiting import PATIENCE_SECONDS, eventually
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import Slot

EFFORT = 3
RUNGS = 3


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A finished study whose first run was killed with several rungs done."""
    command = Command(tmp_path_factory.mktemp("green"))
    command.write_study(
        # No two candidates share a training: each begins at the first rung, and most end early.
        space='architectures = ["mlp"]\npruning = 0.0\nbits = 32',
        training="epochs = 9",
        search='sampler = "green"',
        budget=f"trials = {EFFORT}",
    )
    process = command.fork("run", "study.toml")
    query = "SELECT 1 FROM greenfront_rungs"
    eventually(lambda: len(rows(command.folder, query)) >= RUNGS + 2, "rungs enough", process)
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
    said = command.read("run", "study.toml")
    assert f"the effort of {EFFORT} whole trials is spent" in said
    return command


def slots(command: Command) -> list[Slot]:
    storage = Storage(f"sqlite:///{command.folder}/greenfront.db", create=False)
    found = Study.open(storage, "study").trials.progress(0)
    storage.close()
    return found


def test_only_the_whole_effort_is_finished(raced: Command) -> None:
    states = [slot.state for slot in slots(raced)]
    assert 1 <= states.count("complete") <= EFFORT
    assert set(states) == {"complete", "dropped"}
    reasons = rows(raced.folder, "SELECT reason FROM greenfront_trials WHERE state = 'dropped'")
    assert {tuple(reason) for reason in reasons} == {
        (f"not promoted: the effort of {EFFORT} whole trials is spent",)
    }
    front = raced.read_json("front", "study")
    whole = {slot.number for slot in slots(raced) if slot.state == "complete"}
    assert {row["trial"] for row in front["rows"]} <= whole


def test_rungs_are_consistent_after_the_kill(raced: Command) -> None:
    found = rows(raced.folder, "SELECT key, rung FROM greenfront_rungs")
    assert len(found) == len(set(found))
    for slot in slots(raced):
        done = sorted(int(str(rung)) for key, rung in found if key == slot.key)
        # What shares a training begins at its first rung beyond that; none is left out from there.
        first, after = (done[0], done[-1] + 1) if done else (0, 0)
        assert done == list(range(first, after))
        assert (after == RUNGS) == (slot.state == "complete")
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{raced.folder}/greenfront.db")
    numbers = {slot.number: slot.state for slot in slots(raced)}
    ended = {"complete": TrialState.COMPLETE, "dropped": TrialState.PRUNED}
    for trial in study.trials:
        if trial.number in numbers:
            assert trial.state == ended[numbers[trial.number]]
        else:
            assert trial.state == TrialState.FAIL


def test_its_energy_is_accounted_for(raced: Command) -> None:
    parts = raced.read_json("ledger", "study", "--by", "state")["parts"]
    by_state = {state: part["kwh"] for state, part in parts.items()}
    assert {"complete", "dropped", "search"} <= set(by_state)
    assert all(kwh > 0 for kwh in by_state.values())


def test_it_is_shown(raced: Command) -> None:
    listed = raced.read("studies")
    assert "study" in listed
    raced.read("report", "study", "-o", "report.html")
    page = (raced.folder / "report.html").read_text()
    assert "dropped" in page
    assert "not promoted" in page

"""Rungs of raced trials, in each kind of database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenfront.studies.store.rungs import Rung, Rungs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.trials import Slot, Start, Trials

RUNG = Rung("k0", 0, (0.5, 2.0), (None, 9.0), 1e-6, {"epochs": 3})


@pytest.fixture
def trials(storage: Storage) -> Trials:
    return Trials(storage, 1)


@pytest.fixture
def rungs(storage: Storage) -> Rungs:
    return Rungs(storage, 1)


def only(trials: Trials) -> Slot:
    (slot,) = trials.progress(0)
    return slot


def test_a_rung_is_kept_and_its_trial_waits(trials: Trials, rungs: Rungs) -> None:
    start = Start(0, {"size": 3})
    assert trials.claim("a", 7, "k0", {"size": 3}, 1, start) == "granted"
    assert rungs.finish("a", 7, RUNG, pause=True)
    assert only(trials) == Slot(0, "k0", 7, "paused", None, 0, {"size": 3})
    entry, found = rungs.since(0)
    assert found == [RUNG]
    assert rungs.since(entry) == (entry, [])
    # A run that has lost it, or finished it already, changes nothing.
    assert not rungs.finish("b", 7, replace(RUNG, rung=1), pause=True)
    assert not rungs.finish("a", 7, replace(RUNG, rung=1), pause=True)
    assert len(rungs.since(0)[1]) == 1


def test_a_rung_that_is_done_again_counts_once(trials: Trials, rungs: Rungs) -> None:
    trials.claim("a", 7, "k0", {}, None, Start(None, {}))
    assert rungs.finish("a", 7, RUNG, pause=False)
    assert rungs.finish("a", 7, replace(RUNG, kwh=2e-6), pause=False)
    assert [rung.kwh for rung in rungs.since(0)[1]] == [2e-6]
    assert only(trials).state == "running"


def test_one_run_promotes_what_waits(trials: Trials, rungs: Rungs) -> None:
    trials.claim("a", 7, "k0", {}, None, Start(0, {}))
    seen = only(trials)
    assert rungs.promote("b", seen, 7, 1, None) == "duplicate"  # it is being trained
    rungs.finish("a", 7, RUNG, pause=True)
    seen = only(trials)
    assert rungs.promote("a", seen, 7, 1, None) == "granted"
    assert rungs.promote("b", seen, 7, 1, None) == "duplicate"
    assert (only(trials).state, only(trials).rung) == ("running", 1)
    # Its run dies: the next one goes on.
    (taken,) = trials.requeue(["a"])
    assert taken.key == "k0"
    assert rungs.promote("b", only(trials), 8, 1, None) == "granted"
    assert (only(trials).state, only(trials).number) == ("running", 8)


def test_the_whole_effort_takes_a_slot_of_the_budget(trials: Trials, rungs: Rungs) -> None:
    for number in range(3):  # below it, no limit
        key = f"k{number}"
        assert trials.claim("a", number, key, {}, 1, Start(0, {})) == "granted"
        assert rungs.finish("a", number, replace(RUNG, key=key), pause=True)
    first, second, _ = trials.progress(0)
    assert rungs.promote("a", first, 0, None, 1) == "granted"
    assert rungs.promote("a", second, 1, None, 1) == "full"
    assert trials.claim("a", 9, "k9", {}, 1) == "full"
    assert rungs.promote("a", second, 1, 1, 1) == "granted"
    trials.finish("a", 0, "complete", values=[1.0])
    # What was interrupted in it keeps its slot.
    assert trials.claim("a", 9, "k9", {}, 2) == "granted"
    trials.requeue(["a"])
    again = next(slot for slot in trials.progress(0) if slot.key == "k9")
    assert rungs.promote("b", again, 9, None, 2) == "granted"


def test_what_waits_below_is_dropped_and_can_be_taken_up(trials: Trials, rungs: Rungs) -> None:
    for number, rung in enumerate((0, 0, None)):
        trials.claim("a", number, f"k{number}", {}, None, Start(rung, {}))
    rungs.finish("a", 0, RUNG, pause=True)
    trials.requeue(["a"])
    dropped = rungs.drop("not promoted: the end")
    assert [slot.key for slot in dropped] == ["k0", "k1"]
    assert rungs.drop("not promoted: again") == []
    states = {row.key: (row.state, row.reason) for row in trials.all()}
    assert states == {
        "k0": ("dropped", "not promoted: the end"),
        "k1": ("dropped", "not promoted: the end"),
        "k2": ("requeued", None),  # of the whole effort: it is finished whatever comes
    }
    slot = trials.progress(0)[0]
    assert rungs.promote("b", slot, 5, 1, None) == "granted"
    assert trials.get(5).reason is None
    assert trials.finish("b", 5, "failed", reason="diverged")
    assert trials.progress(0)[0].rung is None

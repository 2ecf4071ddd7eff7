from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from greenfront.errors import StudyError
from greenfront.studies.store import trials
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.trials import FINISHED, Claim, Slot, Trial, Trials

STUDY = 1


@pytest.fixture
def book(storage: Storage) -> Trials:
    return Trials(storage, STUDY)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Gives the trials 1, 2, 3 and so on for the time; lists what was given."""
    looks: list[float] = []

    class Clock:
        @staticmethod
        def time() -> float:
            looks.append(len(looks) + 1.0)
            return looks[-1]

    monkeypatch.setattr(trials, "time", Clock)
    return looks


def claim(book: Trials, number: int, key: str, run: str = "a", limit: int | None = None) -> Claim:
    return book.claim(run, number, key, {"key": key}, limit)


def test_a_claim_makes_a_running_trial(book: Trials, clock: list[float]) -> None:
    assert claim(book, 7, "x") == "granted"
    assert book.all() == [Trial(0, 7, "x", "running", {"key": "x"}, None, None, None, 1.0, None)]


def test_slots_count_up_and_numbers_are_optunas(book: Trials) -> None:
    for number, key in [(3, "x"), (9, "y"), (5, "z")]:
        claim(book, number, key)
    assert [(row.slot, row.number) for row in book.all()] == [(0, 3), (2, 5), (1, 9)]


def test_a_choice_is_tried_once_whatever_became_of_it(book: Trials) -> None:
    for number, state in enumerate(("running", *FINISHED)):
        assert claim(book, 2 * number, state) == "granted"
        if state != "running":
            assert book.finish("a", 2 * number, state)
        assert claim(book, 2 * number + 1, state, run="b") == "duplicate"
    assert [row.number for row in book.all()] == list(range(0, 2 * len(FINISHED) + 2, 2))


def test_a_full_study_gives_nothing_out(book: Trials) -> None:
    assert [claim(book, n, f"k{n}", limit=2) for n in range(4)] == ["granted"] * 2 + ["full"] * 2
    assert claim(book, 4, "k0", limit=2) == "duplicate"
    assert claim(book, 5, "k5", limit=3) == "granted"
    assert claim(book, 6, "k6", limit=None) == "granted"
    assert len(book.all()) == 4


def test_finish_records_the_end(book: Trials, clock: list[float]) -> None:
    claim(book, 0, "x")
    claim(book, 1, "y")
    assert book.finish("a", 0, "complete", values=(0.5, 2.0), detail={"n": [1, None]})
    assert book.finish("a", 1, "failed", reason="crashed: it fell")
    assert book.all() == [
        Trial(*(0, 0, "x", "complete", {"key": "x"}, (0.5, 2.0), {"n": [1, None]}, None, 1.0, 3.0)),
        Trial(1, 1, "y", "failed", {"key": "y"}, None, None, "crashed: it fell", 2.0, 4.0),
    ]


def test_finish_happens_once_and_by_the_owner(book: Trials) -> None:
    claim(book, 0, "x")
    assert not book.finish("b", 0, "failed")
    assert not book.finish("a", 1, "failed")
    assert book.get(0).state == "running"
    assert book.finish("a", 0, "complete", values=[1.0])
    assert not book.finish("a", 0, "failed", reason="too late")
    assert (book.get(0).state, book.get(0).values, book.get(0).reason) == ("complete", (1.0,), None)


def test_requeue_takes_running_trials_of_the_dead_once(book: Trials) -> None:
    for number, run in enumerate(("dead", "alive", "dead", "gone")):
        claim(book, number, f"k{number}", run=run)
    book.finish("dead", 2, "complete", values=[1.0])
    assert book.requeue([]) == []
    assert [(row.number, row.state) for row in book.requeue(["dead", "gone"])] == [
        (0, "running"),
        (3, "running"),
    ]
    assert book.requeue(["dead", "gone"]) == []
    states = {row.number: row.state for row in book.all()}
    assert states == {0: "requeued", 1: "running", 2: "complete", 3: "requeued"}


def test_a_requeued_choice_is_adopted_in_its_slot(book: Trials, clock: list[float]) -> None:
    claim(book, 0, "x", run="dead", limit=2)
    claim(book, 1, "y", limit=2)
    book.requeue(["dead"])
    assert claim(book, 2, "z", limit=2) == "full"
    assert claim(book, 5, "x", run="b", limit=2) == "granted"
    assert book.get(5) == Trial(
        *(0, 5, "x", "running", {"key": "x"}, None, None, None, clock[-1], None)
    )
    assert claim(book, 6, "x", run="c", limit=2) == "duplicate"
    assert not book.finish("dead", 0, "complete", values=[1.0])
    assert not book.finish("dead", 5, "complete", values=[1.0])
    assert book.finish("b", 5, "complete", values=[2.0])
    assert book.get(5).values == (2.0,)
    assert len(book.all()) == 2


def test_a_trial_that_ends_while_it_is_being_taken_stays_ended(
    book: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(book, 0, "x")
    claim(book, 1, "y")
    stale = book.all()
    book.finish("a", 0, "complete", values=[1.0])
    monkeypatch.setattr(Trials, "all", lambda self, **_: stale)
    assert [row.number for row in book.requeue(["a"])] == [1]
    monkeypatch.undo()
    assert [row.state for row in book.all()] == ["complete", "requeued"]


def test_filters(book: Trials, clock: list[float]) -> None:
    for number, run in enumerate("aabb"):
        claim(book, number, f"k{number}", run=run)  # at 1, 2, 3, 4
    book.finish("a", 0, "complete", values=[1.0])  # at 5
    book.finish("b", 2, "failed")  # at 6
    book.finish("a", 1, "stopped")  # at 7

    def numbers(**filters: Any) -> list[int]:
        return [row.number for row in book.all(**filters)]

    assert numbers() == [0, 1, 2, 3]
    assert numbers(states=("complete", "running")) == [0, 3]
    assert numbers(states=()) == []
    assert numbers(runs=["b"]) == [2, 3]
    assert numbers(runs=[]) == []
    assert numbers(states=("stopped", "complete"), runs=["a"]) == [0, 1]
    assert book.counts() == Counter(running=1, complete=1, failed=1, stopped=1)
    assert book.counts()["requeued"] == 0
    begun = [
        (0, "k0", "complete", (1.0,)),
        (1, "k1", "stopped", None),  # what failed or was stopped has no values
        (2, "k2", "failed", None),
        (3, "k3", "running", None),
    ]

    def seen(slots: list[Slot]) -> list[Any]:
        return [(each.slot, each.key, each.state, each.values) for each in slots]

    assert seen(book.progress(0)) == begun
    assert seen(book.progress(2)) == begun[2:]
    assert book.progress(4) == []
    assert seen(book.progress(3, also=[1])) == [begun[1], begun[3]]


def test_a_trial_that_is_not_there_is_named(book: Trials) -> None:
    with pytest.raises(StudyError, match=r"trial 3 does not exist: greenfront front lists those"):
        book.get(3)


def test_studies_of_one_storage_do_not_touch_each_other(storage: Storage) -> None:
    one, other = Trials(storage, 1), Trials(storage, 2)
    assert claim(one, 0, "x", limit=1) == claim(other, 0, "x", limit=1) == "granted"
    assert claim(one, 1, "y", limit=1) == "full"
    assert one.finish("a", 0, "complete", values=[1.0])
    assert one.requeue(["a"]) == []
    assert [row.state for row in other.all()] == ["running"]
    assert other.requeue(["a"])
    assert claim(one, 2, "x") == "duplicate"
    assert (one.counts(), other.counts()) == (Counter(complete=1), Counter(requeued=1))
    assert one.get(0).state == "complete"
    assert one.progress(0) == [Slot(0, "x", 0, "complete", (1.0,), None, None)]
    assert other.progress(0) == [Slot(0, "x", 0, "requeued", None, None, None)]
    assert claim(one, 3, "w") == claim(other, 3, "w") == "granted"
    assert [row.number for row in one.requeue(["a"])] == [3]
    assert (one.get(3).state, other.get(3).state) == ("requeued", "running")


@pytest.mark.parametrize("limit", [12, None])
def test_processes_that_race_never_share_a_trial(
    storage: Storage, storage_url: str, in_processes: Callable[..., Any], limit: int | None
) -> None:
    events = [
        event for process in in_processes("claims", storage_url, 4, limit or 0) for event in process
    ]
    rows = Trials(storage, STUDY).all()
    answers = Counter(answer for what, _, answer in events if what == "claim")
    granted: dict[str, list[int]] = defaultdict(list)
    for what, asked, answer in events:
        if what == "claim" and answer == "granted":
            granted[asked[0]].append(asked[1])
    taken = [tuple(pair) for what, _, pairs in events if what == "requeue" for pair in pairs]
    finished = {number for what, number, ours in events if what == "finish" and ours}
    lost = {number for what, number, ours in events if what == "finish" and not ours}

    # Every kind of event has happened, so that what follows is no empty promise.
    assert min(answers["granted"], answers["duplicate"], len(taken), len(finished)) > 0
    assert sorted(row.slot for row in rows) == list(range(len(rows)))
    assert len({row.key for row in rows}) == len(rows)
    assert {row.key for row in rows} == set(granted)
    if limit is None:
        assert answers["full"] == 0
        assert len(rows) > 12
    else:
        assert answers["full"] > 0
        assert len(rows) == limit
    # A choice is given out anew only after it was taken from the one who had it.
    assert len(set(taken)) == len(taken)
    times_taken = Counter(key for key, _ in taken)
    for row in rows:
        assert len(granted[row.key]) == times_taken[row.key] + (row.state != "requeued")
        assert row.number in granted[row.key]
    # Who has lost a trial cannot end it, and nobody ends it twice.
    assert finished == {row.number for row in rows if row.state == "complete"}
    assert lost <= {number for _, number in taken}
    assert not finished & {number for _, number in taken}

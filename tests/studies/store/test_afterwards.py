"""Trials that are over when a study learns of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenfront.studies.store.afterwards import Finished, add_finished, replace_detail
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.trials import Trials

ONE = Finished(
    number=9,
    key="made",
    choice={"key": "made"},
    state="complete",
    values=(0.5, 1.0, 2.0),
    detail={"score": 0.5},
    reason=None,
    started_at=1.0,
)


@pytest.fixture
def book(storage: Storage) -> Trials:
    return Trials(storage, 1)


def test_it_is_there_as_if_it_had_been_run(book: Trials) -> None:
    assert book.claim("a", 3, "x", {"key": "x"}, None) == "granted"
    assert add_finished(book, "b", ONE)
    first, made = book.all()
    assert (first.number, first.state) == (3, "running")
    assert (made.slot, made.number, made.state, made.values) == (1, 9, "complete", (0.5, 1.0, 2.0))
    assert made.finished_at is not None
    # Nothing of it is left to do by whoever looks for what a dead run has left.
    assert [row.number for row in book.requeue(["b"])] == []


def test_it_counts_in_no_budget_of_trials(book: Trials) -> None:
    assert book.claim("a", 0, "x", {"key": "x"}, 2) == "granted"
    assert book.finish("a", 0, "complete", values=(1.0, 1.0, 1.0))
    assert add_finished(book, "b", ONE)
    assert add_finished(
        book, "b", replace(ONE, number=10, key="worse", values=None, state="stopped")
    )
    assert book.counts() == {"complete": 1}
    assert [(slot.number, slot.afterwards) for slot in book.progress(0)] == [
        *((0, False), (9, True), (10, True))
    ]
    assert book.claim("a", 11, "y", {"key": "y"}, 2) == "granted"
    assert book.claim("a", 12, "z", {"key": "z"}, 2) == "full"


def test_each_candidate_is_held_once(book: Trials) -> None:
    assert add_finished(book, "a", ONE)
    assert not add_finished(book, "b", replace(ONE, number=10, values=None, state="stopped"))
    assert [row.number for row in book.all()] == [9]
    assert book.claim("a", 11, "made", {"key": "made"}, None) == "duplicate"


def test_what_is_known_of_it_can_be_replaced(book: Trials) -> None:
    add_finished(book, "a", ONE)
    add_finished(book, "a", replace(ONE, number=10, key="other"))
    replace_detail(book, 9, {"score": 0.25})
    assert [row.outcome for row in book.all()] == [{"score": 0.25}, {"score": 0.5}]

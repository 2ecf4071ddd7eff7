"""A study as one machine reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from greenfront.errors import UsageError
from greenfront.objectives.outcome import GraphReading, Outcome, Repeat
from greenfront.objectives.readings import Reading
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.studies.analysis.scores.machines import as_read_on, chosen_machine, machines_of
from greenfront.studies.store.trials import NetworkTrial, Trial

PINNED = [{"component": "cpu", "kind": "modelled", "source": "watts", "machine": "One"}]
UNLIKE = [{**PINNED[0], "other_machines": "Two"}]


def reading(joules: float) -> Reading:
    return Reading(joules, joules, joules, "modelled", "watts", joules, joules)


def repeat(joules: float, machine: str, preprocessing: float | None = None) -> Repeat:
    extra = None if preprocessing is None else reading(preprocessing)
    id_ = f"{machine} {joules}"
    return Repeat(0.9, reading(joules), 0.1, id=id_, machine=machine, preprocessing=extra)


@pytest.fixture
def trial(make_outcome: Callable[..., Outcome]) -> Callable[..., NetworkTrial]:
    def make(number: int, joules: float, machine: str, graph: str | None = None) -> NetworkTrial:
        first = GraphReading(f"first {number}", reading(joules), 0.1, machine=machine)
        return Trial(
            slot=number,
            number=number,
            key=f"k{number}",
            candidate=Candidate(ArchitectureChoice("mlp", ())),
            state="complete",
            values=(0.9, 1.0, 1.0),
            outcome=replace(make_outcome(0.9, 1.0, joules), graph=graph, measured=(first,)),
            reason=None,
            started_at=0.0,
            finished_at=1.0,
        )

    return make


def read(row: NetworkTrial) -> list[float | None]:
    assert row.outcome is not None
    return [one.inference.joules for one in row.outcome.measured]


def test_without_a_choice_each_trial_has_its_own_machines_readings_alone(
    trial: Callable[..., NetworkTrial],
) -> None:
    rows = [trial(0, 1.0, "One"), trial(1, 20.0, "Two")]
    again = {"k0": (repeat(10.0, "Two"), repeat(1.1, "One")), "k1": (repeat(21.0, "Two"),)}
    told, kept = as_read_on(None, rows, again, UNLIKE)
    assert told == rows
    assert kept == {"k0": (again["k0"][1],), "k1": again["k1"]}
    assert machines_of(rows, again, PINNED) == ("One", "Two")


def test_a_chosen_one_ranks_what_it_has_read_and_nothing_else(
    trial: Callable[..., NetworkTrial],
) -> None:
    rows = [trial(0, 1.0, "One", "g"), trial(1, 1.0, "One", "g"), trial(2, 3.0, "One", "h")]
    told, kept = as_read_on("Two", rows, {"k0": (repeat(10.0, "Two"),)}, PINNED)
    assert read(told[0]) == read(told[1]) == [10.0]  # they execute one graph
    assert told[2].values is None
    assert told[2].state == "complete"
    assert list(kept) == ["k0"]
    assert told[0].outcome is not None
    assert told[0].outcome.phases == rows[0].outcome.phases


def test_readings_that_name_no_machine_are_of_a_studys_only_one(
    trial: Callable[..., NetworkTrial],
) -> None:
    rows = [trial(0, 1.0, "")]
    again = {"k0": (repeat(1.1, ""),)}
    told, kept = as_read_on("One", rows, again, PINNED)
    assert (told, kept) == (rows, again)
    unknown, _ = as_read_on("One", rows, again, UNLIKE)
    assert unknown[0].values is None


def test_a_missing_part_is_no_zero(trial: Callable[..., NetworkTrial]) -> None:
    """Predictions count with their preprocessing, which another machine has to read, too."""
    first = trial(0, 1.0, "One")
    assert first.outcome is not None
    row = replace(first, outcome=replace(first.outcome, preprocessing=reading(0.5)))
    without, _ = as_read_on("Two", [row], {"k0": (repeat(10.0, "Two"),)}, PINNED)
    assert without[0].values is None
    both, _ = as_read_on("Two", [row], {"k0": (repeat(10.0, "Two", 5.0),)}, PINNED)
    assert both[0].outcome is not None
    assert both[0].outcome.preprocessing == reading(5.0)
    uncounted, _ = as_read_on("Two", [first], {"k0": (repeat(10.0, "Two", 5.0),)}, PINNED)
    assert uncounted[0].outcome is not None
    assert uncounted[0].outcome.preprocessing is None


def test_a_machine_is_known_by_enough_of_its_name() -> None:
    known = ["AMD EPYC 7763", "Intel Xeon"]
    assert chosen_machine("epyc", known) == known[0]
    assert chosen_machine("each", known) == "each"
    for name in ("", "e", "arm"):
        with pytest.raises(UsageError, match="enough of its name"):
            chosen_machine(name, known)

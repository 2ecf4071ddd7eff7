from __future__ import annotations

import time
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.studies.analysis.history.timing import timing, timing_lines
from greenfront.studies.store.intervals import length, minus, union
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.ledger_writer import WAITING, Moment
from greenfront.studies.store.pauses import Pauses
from greenfront.studies.store.runs import Runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import moments_table, runs_table

SPANS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 10)).map(lambda s: (float(s[0]), float(sum(s))))
)
CARBON = CarbonModel(Intensity(300.0, "here", "as told"), pue=2.0)


def seconds_of(spans: list[tuple[float, float]]) -> set[int]:
    return {second for start, end in spans for second in range(int(start), int(end))}


@given(SPANS, SPANS)
def test_intervals_are_sets_of_seconds(
    first: list[tuple[float, float]], second: list[tuple[float, float]]
) -> None:
    for found, expected in (
        (union(first), seconds_of(first)),
        (minus(first, second), seconds_of(first) - seconds_of(second)),
    ):
        assert seconds_of(found) == expected
        assert length(found) == len(expected)
        assert all(a[1] < b[0] for a, b in zip(union(found), union(found)[1:], strict=False))


def begun(storage: Storage) -> Study:
    return Study.create(
        storage,
        "study",
        directions=["minimize"],
        identity="one",
        configuration={},
        meters=None,
        facts=None,
    )


def test_a_wait_is_kept_by_both_clocks(storage: Storage) -> None:
    record = begun(storage)
    run = Runs(storage, record.study_id).begin()
    clock = Clock(1000.0, 5000.0, 10.0)
    book = Pauses(storage, record.study_id).writer(run.run_id, clock)
    first, second = book.begin(None, 1001.0, "why"), book.begin(3, 1004.0, "again")
    book.end(first, 1005.0)
    book.end(second, 1007.0)
    found = Pauses(storage, record.study_id).all()
    assert [(p.number, p.span, p.reason) for p in found] == [
        (None, (1001.0, 1005.0), "why"),
        (3, (1004.0, 1007.0), "again"),
    ]
    assert [(p.clock_started_at, p.clock_ended_at) for p in found] == [
        (5010.0, 5050.0),
        (5040.0, 5070.0),
    ]
    assert Pauses(storage, record.study_id).waited_seconds() == 6.0
    assert Pauses(storage, record.study_id + 1).all() == []


def test_a_wait_ends_with_the_last_sign_of_life_of_a_run_that_died_in_it(storage: Storage) -> None:
    record = begun(storage)
    run = Runs(storage, record.study_id).begin()
    began = time.time() - 100
    Pauses(storage, record.study_id).writer(run.run_id, Clock()).begin(None, began, "why")
    with storage.writing() as connection:
        connection.execute(sa.update(runs_table).values(heartbeat_at=began + 40, pid=2**30))
    (pause,) = Pauses(storage, record.study_id).all()
    assert pause.ended_at == began + 40
    assert pause.clock_ended_at is None


class Told:
    """One intensity now, another without pauses."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment

    def at(self, started_at: float, ended_at: float, worker: int | None) -> Moment:
        return self.moment


def charge(storage: Storage, record: Study, moment: Moment | None, phase: str) -> None:
    joules = JOULES_PER_KWH
    reading = Reading(joules, joules, joules, "measured", "meter", 1.0, 1.0)
    moments = None if moment is None else Told(moment)
    ledger = Ledger(storage, record.study_id).writer("run", CARBON, moments)
    ledger.charge(phase, {"cpu": reading}, number=0, started_at=1.0, ended_at=2.0, worker=0)


@pytest.mark.parametrize(
    ("moment", "phase", "emitted", "unpaused"),
    [
        (Moment(100.0, "trace", 400.0, 1.0), "train", 0.2, 0.8),
        (Moment(100.0, "trace", 400.0, 0.5), "train", 0.2, 0.4),
        (Moment(100.0, "live", None, 1.0), "train", 0.2, 0.2),
        (Moment(None, "average", None, 1.0), "train", 0.6, 0.6),
        (Moment(100.0, "trace", 400.0, 0.1), WAITING, 0.2, 0.0),
        (None, "train", 0.6, None),
    ],
)
def test_an_entry_knows_what_it_would_have_emitted_without_pauses(
    storage: Storage,
    moment: Moment | None,
    phase: str,
    emitted: float,
    unpaused: float | None,
) -> None:
    record = begun(storage)
    charge(storage, record, moment, phase)
    found = timing(record)
    assert found.co2_kg == pytest.approx(emitted)
    assert found.unpaused_co2_kg == (None if unpaused is None else pytest.approx(unpaused))
    assert found.told_share == (0.0 if moment is None or moment.basis == "average" else 1.0)
    with storage.reading() as connection:
        bases = connection.scalars(sa.select(moments_table.c.basis)).all()
    assert bases == ([] if moment is None else [moment.basis])


def test_waiting_that_has_cost_is_called_so(storage: Storage) -> None:
    record = begun(storage)
    run = Runs(storage, record.study_id).begin()
    book = Pauses(storage, record.study_id).writer(run.run_id, Clock())
    book.end(book.begin(None, 10.0, "why"), 40.0)
    charge(storage, record, Moment(400.0, "trace", 100.0, 1.0), "train")
    found = timing(record)
    assert found.waited_seconds == 30.0
    fast = " ".join(timing_lines(replace(found, clock=Clock(start=0.0, speed=600.0))))
    assert "Waited 30.0 s (5.00 h of the replayed clock) for cleaner electricity" in fast
    said = " ".join(timing_lines(found))
    assert "Waited 30.0 s for cleaner electricity, in 1 pause, 0 of them between epochs." in said
    assert "Emitted 800 g CO₂" in said
    assert "would have emitted 200 g (modelled): waiting has cost 600 g (300%)" in said

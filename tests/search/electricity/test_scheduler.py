"""Waiting for clean hours in simulated time, with problems that cost nothing to try."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from contracts.observers import Listener
from contracts.problems import Menu, begun_study
from contracts.simulated_time import SimulatedEvent, SimulatedTime
from contracts.waiting import eventually
from greenfront.errors import DataError, Interrupted
from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.carbon.traces import IntensityStep, Trace, as_instant
from greenfront.objectives.context import TrialContext
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.search.electricity.intensity import TraceProvider, continued
from greenfront.search.electricity.scheduler import (
    CarbonScheduler,
    Electricity,
    RunMoments,
    ScheduleSettings,
    foreseen,
)
from greenfront.search.optimize import SearchResult, search_study
from greenfront.search.problem import Evaluation
from greenfront.search.runs import heartbeat
from greenfront.search.runs.quota import Quota
from greenfront.search.settings import SearchSettings
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import PlainChoice
from greenfront.studies.analysis.history.timing import timing, timing_lines
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.ledger_writer import Moment
from greenfront.studies.store.pauses import Pauses
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import runs_table

START = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
HOUR = 3600.0
SPEED = 7200.0
"""An hour takes half a second of the simulated time."""

CARBON = CarbonModel(Intensity(300.0, "here", "as told"))


def trace(*grams: float, start: float = START) -> Trace:
    steps = tuple(
        IntensityStep(start + hour * HOUR, start + (hour + 1) * HOUR, value)
        for hour, value in enumerate(grams)
    )
    return Trace(steps, "here", "told")


class Epochs(Menu):
    """Each trial works for a while in epochs and can pause between them."""

    def __init__(self, now: SimulatedTime) -> None:
        super().__init__()
        self.now = now

    @contextlib.contextmanager
    def worker(self) -> Iterator[Epochs]:
        try:
            yield self
        finally:
            self.now.leave()

    def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
        for _ in range(12):
            began = time.time()
            self.now.sleep(0.05)
            joules = 1e-6 * JOULES_PER_KWH
            reading = Reading(joules, joules, joules, "modelled", "told", 0.05, 0.05)
            context.charge("train", {"cpu": reading}, began, time.time())
            context.hold(self.now.sleep)
        return Evaluation(self.values(candidate.values), 0.0)

    def first_generation(self) -> list[Point]:
        return [dict(point) for point in self.points()]


def search(
    now: SimulatedTime,
    storage: Storage,
    known: Trace,
    *,
    trials: int = 2,
    workers: int = 1,
    hours: float = 1000.0,
    pause_above: float | None = None,
    throughput: tuple[float, ...] | None = None,
    minutes: float | None = None,
    watcher: Listener | None = None,
) -> SearchResult:
    now.workers = workers
    problem = Epochs(now)
    study = begun_study(storage, problem)
    clock = Clock(study.created_at, START, SPEED)
    settings = ScheduleSettings(START + hours * HOUR, pause_above, throughput)
    how = SearchSettings(
        sampler="random",
        workers=workers,
        budget=Budget(trials=trials, minutes=minutes),
        carbon=CARBON,
        electricity=Electricity(TraceProvider(known), clock, settings),
        observer=watcher,
        quota=Quota(stop=SimulatedEvent(now)),
    )
    return search_study(problem, study, how)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    opened = Storage(f"sqlite:///{tmp_path}/study.db")
    yield opened
    opened.close()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimulatedTime:
    return SimulatedTime(monkeypatch)


def test_several_workers_wait_alike_and_the_run_stays_alive(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.005)
    watcher, beats = Listener(), list[float]()

    def beat() -> None:
        """Nothing goes on before the run has said that it is alive."""
        eventually(lambda: last_beat() == now.now, "heartbeat")
        beats.append(now.now)

    def last_beat() -> float | None:
        with storage.reading() as connection:
            return connection.scalar(sa.select(runs_table.c.heartbeat_at))

    now = SimulatedTime(monkeypatch, beat)
    known = trace(*[*[500] * 6, 100] * 20)
    search(now, storage, known, trials=4, workers=2, watcher=watcher)
    found = Pauses(storage, 1).all()
    assert any(pause.number is not None for pause in found)
    # In the first wait both workers stand still: before a trial, or between two epochs of one.
    first, second = found[:2]
    assert min(first.ended_at, second.ended_at) - max(first.started_at, second.started_at) > 0.3
    within = {beat for beat in beats if first.started_at < beat < first.ended_at}
    assert len(within) > 1
    assert any("wait until 2026-03-01 06:00 UTC: 100 g/kWh" in note for note in watcher.notes)
    assert any(line.startswith("trial ") and "wait until" in line for line in watcher.doing)
    study = Study.open(storage, "study")
    times = timing(study)
    assert times.saved_kg is not None
    assert times.saved_kg > 0
    assert times.told_share == 1
    assert Pauses(storage, 1).waited_seconds() == pytest.approx(times.waited_seconds, abs=0.01)


def test_more_workers_run_in_green_hours(now: SimulatedTime, storage: Storage) -> None:
    # A second worker adds a fifth: its hour at 100 g costs as much as the first one's at 500 g.
    known = trace(*[300.0, 100.0] * 40)
    how, watcher = (1.0, 1.2), Listener()
    found = search(
        now, storage, known, trials=4, workers=2, hours=20, throughput=how, watcher=watcher
    )
    assert [row.state for row in found.trials] == ["complete"] * 4
    pauses = Pauses(storage, 1)
    assert any("with 1 of 2 workers" in line for line in watcher.doing)
    # While one worker waited the other one worked.
    assert pauses.waited_seconds(2) < pauses.waited_seconds(1)


def test_the_search_has_not_waited_while_one_of_its_workers_worked() -> None:
    clock = Clock(0.0, START, HOUR)
    moments = RunMoments(TraceProvider(trace(400, 300, 200, 100)), clock, workers=2)
    moments.begin(1, 1.0)
    moments.end(1, 3.0)
    assert moments.at(3.0, 4.0, None).unpaused_g_per_kwh == 100.0
    assert moments.at(3.0, 4.0, 1).unpaused_g_per_kwh == 300.0
    moments.begin(0, 1.0)
    moments.end(0, 2.0)
    assert moments.at(3.0, 4.0, None).unpaused_g_per_kwh == 200.0


def test_a_worker_without_work_leaves_its_place_to_another(
    now: SimulatedTime, storage: Storage
) -> None:
    problem = Epochs(now)
    study = begun_study(storage, problem)
    clock = Clock(study.created_at, START, SPEED)
    electricity = Electricity(
        TraceProvider(trace(*[300.0, 200.0] * 40)),
        clock,
        ScheduleSettings(START + 30 * HOUR, throughput=(1.0, 1.1)),
    )
    moments = RunMoments(electricity.provider, clock, workers=2)
    scheduler = CarbonScheduler(
        electricity,
        study.pauses.writer(study.runs.begin().run_id, clock),
        moments,
        lambda: 15 * HOUR / SPEED,
        lambda _note: None,
    )

    def never(_seconds: float) -> None:
        raise Interrupted("it waits")

    told: list[str] = []
    assert not scheduler.hold(0, None, never, told.append)
    with pytest.raises(Interrupted):
        scheduler.hold(1, None, never, told.append)
    assert told
    scheduler.leave(0)
    assert not scheduler.hold(1, None, never, told.append)
    with pytest.raises(Interrupted):
        scheduler.hold(0, 3, never, told.append)


def test_the_deadline_comes_before_the_carbon(now: SimulatedTime, storage: Storage) -> None:
    # Clean hours begin when there is no time left for them, or after the deadline.
    began = time.time()
    search(now, storage, trace(*[500.0] * 9, *[10.0] * 60), hours=10, pause_above=100)
    (pause,) = Pauses(storage, 1).all()
    assert "the last moment for the deadline" in pause.reason
    # While nothing is known of the work, a quarter of the ten hours is kept free.
    assert pause.clock_ended_at == pytest.approx(START + 7.5 * HOUR, abs=1)
    assert time.time() - began < 10 * HOUR / SPEED
    study = Study.open(storage, "study")
    assert timing(study).clock == Clock()  # of a study that has no file


@pytest.mark.parametrize("pause_above", [None, 100.0])
def test_a_deadline_that_has_passed_holds_nothing_up(
    now: SimulatedTime, storage: Storage, pause_above: float | None
) -> None:
    known, watcher = trace(*[500.0] * 60, *[10.0] * 9), Listener()
    # Before the first trial is over an hour is reserved for the work.
    search(now, storage, known, hours=0.5, pause_above=pause_above, watcher=watcher)
    assert any("no time to wait and will be missed by 30 min" in note for note in watcher.notes)
    later = search(now, storage, known, hours=0.5, pause_above=pause_above, trials=4)
    assert [row.state for row in later.trials] == ["complete"] * 4
    assert Pauses(storage, 1).all() == []


def test_a_moment_too_short_for_a_clock_has_no_intensity() -> None:
    known = trace(400, 300)
    assert TraceProvider(known).mean_between(START, START + 1e-7) is None
    assert TraceProvider(known).mean_between(START, START + 1e-3) == (400.0, "trace")


def test_where_no_hour_is_better_it_does_not_wait(now: SimulatedTime, storage: Storage) -> None:
    search(now, storage, trace(*[500.0] * 6, *[10.0] * 60), hours=6)
    assert Pauses(storage, 1).all() == []


@pytest.mark.parametrize(
    ("work", "planned"),
    [(1.0, 1.0), (24.0, 24.0), (40.0, 24.0), (100.0, 24.0), (150.0, 36.0), (200.0, 48.0)],
)
def test_a_long_work_is_spread_over_what_can_be_foreseen(work: float, planned: float) -> None:
    assert foreseen(work, 48.0, 200.0) == planned


def test_pause_above_waits_for_what_is_clean_enough(now: SimulatedTime, storage: Storage) -> None:
    watcher = Listener()
    search(now, storage, trace(450, 350, *[200] * 60), pause_above=360, trials=1, watcher=watcher)
    (pause,) = Pauses(storage, 1).all()
    assert pause.number is None
    assert pause.clock_ended_at == pytest.approx(START + HOUR, abs=1)
    assert "over 360" in pause.reason
    assert pause.reason.endswith("(replayed clock)")


def test_pause_above_needs_no_forecast(now: SimulatedTime, storage: Storage) -> None:
    # Too little is known for one, and the deadline lies weeks beyond.
    search(now, storage, trace(450, 450, *[200] * 6), pause_above=360, trials=1)
    (pause,) = Pauses(storage, 1).all()
    assert "wait until 2026-03-01 02:00 UTC: 450 g/kWh now is over 360" in pause.reason
    assert pause.clock_ended_at == pytest.approx(START + 2 * HOUR, abs=1)


def test_without_a_forecast_it_runs_and_says_so(now: SimulatedTime, storage: Storage) -> None:
    watcher = Listener()
    result = search(now, storage, trace(500, 100), watcher=watcher)
    assert len(result.trials) == 2
    assert any("no forecast to wait for" in note for note in watcher.notes)
    # What the trace does not cover counts with the average.
    times = timing(Study.open(storage, "study"))
    assert times.told_share < 1
    assert any("the rest with the study's average" in line for line in timing_lines(times))


def test_waits_are_not_in_the_budget_of_time(now: SimulatedTime, storage: Storage) -> None:
    # Four hours of waiting take two seconds, as long as the budget; the work takes 1.2 s.
    result = search(now, storage, trace(*[500] * 4, *[100] * 90), minutes=2.0 / 60)
    assert [row.state for row in result.trials] == ["complete", "complete"]
    assert Pauses(storage, 1).waited_seconds() > 1


def test_what_is_known_is_continued_by_a_forecast() -> None:
    days = trace(*[100.0 + 10 * (hour % 24) for hour in range(24 * 5)])
    now = START + 24 * 4 * HOUR
    inside = continued(days, now, now + 12 * HOUR)
    assert inside is days
    beyond = continued(days, now, now + 48 * HOUR)
    assert beyond.covers(as_instant(now), as_instant(now + 48 * HOUR))
    guessed = [step.estimated for step in beyond.steps]
    assert not any(guessed[:24])
    assert all(guessed[24:])
    with pytest.raises(DataError, match="at least 48 known hours"):
        continued(trace(1, 2, 3), START + 3 * HOUR, START + 9 * HOUR)


class TestMoments:
    """One hour is one second here; an entry moves forward by the pauses of its worker."""

    clock = Clock(0.0, START, HOUR)
    known = trace(400, 300, 200, 100)

    @pytest.fixture
    def moments(self) -> RunMoments:
        return RunMoments(TraceProvider(self.known), self.clock)

    def test_without_pauses_it_is_the_same(self, moments: RunMoments) -> None:
        assert moments.at(0, 2, 0) == Moment(350.0, "trace", 350.0, 1.0)
        assert moments.at(3.5, 3.5, None).g_per_kwh == 100.0

    def test_beyond_the_trace_is_the_average(self, moments: RunMoments) -> None:
        assert moments.at(3, 5, 0) == Moment(None, "average", None, 1.0)

    def test_a_pause_moves_what_follows(self, moments: RunMoments) -> None:
        moments.begin(0, 1.0)
        assert moments.at(1.0, 2.0, 0) == Moment(300.0, "trace", None, 0.0)
        moments.end(0, 3.0)
        assert moments.at(3.0, 4.0, 0) == Moment(100.0, "trace", 300.0, 1.0)
        # Half of it was a pause.
        assert moments.at(2.0, 4.0, 0) == Moment(150.0, "trace", 300.0, 0.5)
        # Another worker has not waited, so the search has not stood still either.
        assert moments.at(3.0, 4.0, 1) == Moment(100.0, "trace", 100.0, 1.0)

    def test_earlier_runs_pauses_count(self) -> None:
        moments = RunMoments(TraceProvider(self.known), self.clock, earlier_seconds=3.0)
        assert moments.at(3.0, 4.0, None) == Moment(100.0, "trace", 400.0, 1.0)

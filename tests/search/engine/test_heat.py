"""A machine that heat slows down gets fewer trials."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa

from contracts.hardware import FakeCard, FakeNvml, HotCpu
from contracts.observers import Listener
from contracts.problems import SPENT_KWH, Menu, begun_study
from greenfront import Evaluation, PlainChoice
from greenfront.errors import Interrupted
from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.cpu_model import CpuModelMeter, generic_watts
from greenfront.objectives.metering.meter import Meter, Slowdown
from greenfront.objectives.metering.throttle import TOLERATED_SHARE, CpuThrottle
from greenfront.search.archive import Archive
from greenfront.search.engine import heat
from greenfront.search.engine.heat import HeatWatch
from greenfront.search.optimize import search_study
from greenfront.search.proposals import asking
from greenfront.search.runs.spectator import Spectator
from greenfront.search.search_context import SearchContext
from greenfront.search.settings import SearchSettings
from greenfront.studies.analysis.history.timing import timing, timing_lines
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.processes import place
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import runs_table

HOST = place().partition("/")[0]


@pytest.fixture(autouse=True)
def every_look_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(heat, "REST_SECONDS", 0.001)


@pytest.fixture
def study(storage: Storage) -> Study:
    return begun_study(storage, Menu())


class Workers:
    """The workers of one run, asked for one after the other."""

    def __init__(
        self, study: Study, meters: list[Meter], workers: int, beside: tuple[int, int] = (0, 1)
    ) -> None:
        self.seen = Listener()
        pauses = study.pauses.writer(study.runs.begin().run_id, Clock(), "heat")
        self.watch = HeatWatch(meters, workers, lambda: beside, pauses, self.seen.note)

    def goes_on(self, worker: int) -> bool:
        time.sleep(0.002)
        return not self.watch.hold(worker, time.sleep, self.seen.doing.append)


class TestOneMachine:
    @pytest.fixture
    def cpu(self, tmp_path: Path) -> HotCpu:
        return HotCpu(tmp_path / "sys")

    @pytest.fixture
    def workers(self, study: Study, cpu: HotCpu) -> Workers:
        found = Workers(study, [cpu.meter()], 4)
        assert all(found.goes_on(worker) for worker in range(4))
        return found

    def test_half_rest_then_half_of_the_rest_and_one_more_returns_each_time_it_is_cool(
        self, workers: Workers, cpu: HotCpu
    ) -> None:
        cpu.heat(60)
        assert not workers.goes_on(3)
        assert "this machine is slowed down by heat for 100% of the last" in workers.seen.notes[0]
        assert workers.seen.notes[0].endswith(
            "only 2 of its 4 workers get new trials until it is cooler"
        )
        cpu.heat(60)
        assert workers.goes_on(0)  # worker 2 is still at work: it may have been its heat
        cpu.heat(60)
        assert not workers.goes_on(2)
        cpu.heat(60)
        assert workers.goes_on(0)
        cpu.heat(60)
        assert not workers.goes_on(1)
        assert workers.seen.notes[-1].endswith(
            "only 1 of its 4 workers get new trials until it is cooler"
        )
        assert workers.goes_on(1)
        assert not workers.goes_on(3)  # three may go on: it is the fourth
        assert workers.goes_on(3)
        assert workers.seen.notes[-1] == "cool again: all workers of this machine go on"

    def test_a_worker_that_rests_takes_nobody_elses_place(
        self, workers: Workers, cpu: HotCpu
    ) -> None:
        for _ in range(9):
            cpu.heat(60)
            assert not workers.goes_on(3)
        assert workers.goes_on(0)
        assert len(workers.seen.notes) == 1

    def test_a_rest_has_an_end_and_then_one_trial(
        self, workers: Workers, cpu: HotCpu, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(heat, "LONGEST_SECONDS", 0.0)
        for _ in range(2):
            cpu.heat(60)
            assert not workers.goes_on(3)
            cpu.heat(60)
            assert workers.goes_on(3)

    def test_the_next_takes_the_place_of_one_that_has_ended(
        self, workers: Workers, cpu: HotCpu
    ) -> None:
        for worker in (0, 1, 2):
            workers.watch.leave(worker)
        cpu.heat(60)
        assert not workers.goes_on(3)
        assert "its last worker rests" in workers.seen.notes[0]

    def test_some_heat_is_tolerated(self, study: Study, cpu: HotCpu) -> None:
        workers = Workers(study, [cpu.meter()], 1)
        began = time.monotonic()
        time.sleep(0.1)
        cpu.heat(0.5 * TOLERATED_SHARE * (time.monotonic() - began))
        assert workers.goes_on(0)
        assert study.pauses.all() == []


def test_the_last_worker_rests_for_a_while_and_no_more_if_that_cools_nothing(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heat, "LAST_SECONDS", 0.0)
    cpu = HotCpu(tmp_path)
    workers = Workers(study, [cpu.meter()], 1)
    cpu.heat(60)
    assert not workers.goes_on(0)
    for _ in range(5):
        cpu.heat(60)
        assert workers.goes_on(0)
    hot, in_vain = workers.seen.notes
    assert hot.startswith("this machine is slowed down by heat for 100% of the last")
    assert in_vain.startswith("0 s of rest have not cooled this machine")
    assert workers.goes_on(0)
    cpu.heat(60)
    assert not workers.goes_on(0)  # it was cool in between


def test_a_card_that_is_hot_right_now_counts_though_nothing_tells_for_how_long(
    study: Study,
) -> None:
    card = FakeCard("GPU-1", heat_ns=None, reasons=0x20)
    workers = Workers(study, [FakeNvml([card]).meter()], 1)
    assert not workers.goes_on(0)
    (rest,) = study.pauses.all()
    assert re.fullmatch(r"slowed down by heat in the last \d+ s", rest.reason)
    card.reasons = 0x4  # its power limit
    assert workers.goes_on(0)


def test_a_power_limit_is_no_heat(study: Study) -> None:
    card = FakeCard("GPU-1")
    workers = Workers(study, [FakeNvml([card]).meter()], 1)
    card.cap_ns = 60 * 10**9
    assert workers.goes_on(0)


def test_without_counters_nothing_changes(study: Study) -> None:
    silent = FakeNvml([FakeCard("GPU-1", heat_ns=None, cap_ns=None, reasons=None)]).meter()
    for meters in ([], [silent]):
        assert Workers(study, list[Meter](meters), 2).goes_on(1)
    assert study.pauses.all() == []


def test_runs_beside_each_other_count_their_workers_through(study: Study, tmp_path: Path) -> None:
    """As Ray's workers of a node do, each a run of its own."""
    cpu = HotCpu(tmp_path)
    runs = [Workers(study, [cpu.meter()], 1, (rank, 4)) for rank in range(4)]
    assert all(run.goes_on(0) for run in runs)
    cpu.heat(60)
    assert [run.goes_on(0) for run in runs] == [True, True, False, False]
    assert [run.goes_on(0) for run in runs] == [True, True, True, False]
    assert [run.goes_on(0) for run in runs] == [True, True, True, True]


def test_a_rest_that_is_broken_off_is_over(study: Study, tmp_path: Path) -> None:
    cpu = HotCpu(tmp_path)
    workers = Workers(study, [cpu.meter()], 1)

    def stopped(seconds: float) -> None:
        raise Interrupted("the search was stopped")

    cpu.heat(60)
    time.sleep(0.002)
    with pytest.raises(Interrupted):
        workers.watch.hold(0, stopped, workers.seen.doing.append)
    (rest,) = study.pauses.all()
    assert rest.clock_ended_at is None
    workers.watch.leave(0)
    (rest,) = study.pauses.all()
    assert (rest.kind, rest.host, rest.number) == ("heat", HOST, None)
    assert rest.clock_ended_at is not None


def heated(
    study: Study, cpu: HotCpu, trials: int, workers: int, seen: Listener | None = None
) -> None:
    """A search on a machine that is hot until a worker rests."""

    class Sensor(CpuThrottle):
        def read(self) -> Slowdown | None:
            if not study.pauses.all():
                cpu.heat(60)
            return super().read()

    meter = CpuModelMeter(generic_watts(), Sensor(cpu.root))
    budget = Budget(trials=trials, minutes=10)
    how = SearchSettings(
        sampler="random",
        workers=workers,
        budget=budget,
        heat_meters=(meter,),
        observer=seen,
    )
    search_study(Menu(), study, how)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_rests_says_so_and_ends_with_all_trials(
    study: Study, tmp_path: Path, workers: int
) -> None:
    seen = Listener()
    heated(study, HotCpu(tmp_path), 8, workers, seen)
    assert study.trials.counts()["complete"] == 8
    assert study.ledger.total().kwh == pytest.approx(8 * SPENT_KWH)
    rests = study.pauses.all("heat")
    assert rests
    assert all(rest.number is None and rest.clock_ended_at is not None for rest in rests)
    assert study.pauses.all("electricity") == []
    assert study.pauses.waited_seconds() == 0.0
    assert any("this machine is slowed down by heat" in note for note in seen.notes)
    assert any("rests: slowed down by heat" in line for line in seen.doing)
    found = timing(study)
    assert found.waits == ()
    assert found.rested_seconds == {
        HOST: pytest.approx(sum(r.ended_at - r.started_at for r in rests))
    }
    told = found.to_json()
    assert {(pause["kind"], pause["host"]) for pause in told["pauses"]} == {("heat", HOST)}
    said = " ".join(timing_lines(found))
    assert "Heat kept workers from new trials for" in said
    assert f"in {len(rests)} pause" in said
    assert "; none of its energy is a trial's." in said
    assert HOST not in said  # it is the only one
    assert "cleaner electricity" not in said


def test_who_rests_does_not_keep_the_study_from_its_end(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays hot: the younger of two workers rests until the other has done all trials."""
    cpu = HotCpu(tmp_path)
    monkeypatch.setattr(heat, "LAST_SECONDS", 0.0)
    monkeypatch.setattr(heat, "LONGEST_SECONDS", math.inf)

    class Hot(Menu):
        def evaluate(self, candidate: PlainChoice, context: TrialContext) -> Evaluation:
            cpu.heat(60)
            time.sleep(0.01)
            return super().evaluate(candidate, context)

    meter = cpu.meter()
    how = SearchSettings(
        sampler="random", workers=2, budget=Budget(trials=12), heat_meters=(meter,)
    )
    search_study(Hot(), study, how)
    assert study.trials.counts()["complete"] == 12
    assert all(rest.clock_ended_at is not None for rest in study.pauses.all())


def test_each_machine_that_rested_is_told_by_name(study: Study) -> None:
    for host, seconds in (("node-1", 30.0), ("node-2", 90.0)):
        run = study.runs.begin()
        named = sa.update(runs_table).where(runs_table.c.run_id == run.run_id)
        study.storage.change(named.values(host=f"{host}/boot/machine/-"))
        rests = study.pauses.writer(run.run_id, Clock(), "heat")
        rests.end(rests.begin(None, 1e9, "slowed down by heat"), 1e9 + seconds)
    found = timing(study)
    assert found.rested_seconds == {"node-1": 30.0, "node-2": 90.0}
    said = " ".join(timing_lines(found))
    assert "for 2.00 min of their time, in 2 pauses (node-1 30.0 s, node-2 1.50 min);" in said


def test_a_driver_tells_which_node_rests(study: Study, tmp_path: Path) -> None:
    """A run beside an elder one on its node, as one of Ray's workers; who watches has none."""
    seen = Listener()
    elder = study.runs.begin()
    watcher = Spectator(Menu(), study, Budget(trials=4), raced=False, observer=seen)
    heated(study, HotCpu(tmp_path), 4, 1)
    elder.end()
    watcher.look({})
    watcher.look({})
    (note,) = seen.notes
    assert note.startswith(f"{HOST} is slowed down by heat for 100% of the last")
    assert note.endswith("1 worker rests")


def test_whoever_is_asked_again_while_it_rests_queues_one_point_only(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "DUPLICATES_BEFORE_RANDOM", 0)
    problem, storage = Menu(), study.storage.optuna
    told = optuna.load_study(study_name=study.name, storage=storage)
    run = study.runs.begin()
    ledger = study.ledger.writer(run.run_id, None)
    context = SearchContext(
        problem, study, run, ledger, SearchSettings(), Archive(problem, study.trials), told, {}
    )
    asked = asking.Asking(context, seed=[0])

    def queued() -> int:
        return len(told.get_trials(states=(optuna.trial.TrialState.WAITING,)))

    assert [asked.exhausted(0) for _ in range(5)] == [False] * 5
    assert queued() == 1
    assert asked.next(0) != "again"
    assert queued() == 0
    assert not asked.exhausted(0)
    assert queued() == 1

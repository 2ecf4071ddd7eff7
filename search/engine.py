"""The engine: asks, claims, evaluates, tells, until a budget is reached.

Order of a trial's writes, so that ``kill -9`` between any two of them loses nothing: Optuna's
trial is created; the claim on it is granted; the ledger grows; the claim is finished with values
and detail; Optuna is told. What a dead run left between two of these steps,
:mod:`greenfront.search.recovery` brings to the next.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import optuna

from greenfront.errors import SearchAborted, TrialFailed, TrialStopped
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.meter import Component
from greenfront.objectives.metering.stopwatch import CARRIED, Stopwatch
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.search.carbon_gate import CarbonGate
from greenfront.search.interruption import Interrupted
from greenfront.search.problem import Evaluation, Problem
from greenfront.search.recovery import adopt_dead_runs, drop_unclaimed, tell
from greenfront.search.samplers.named import make_sampler
from greenfront.search.status import Observer, Status
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import Choice
from greenfront.studies.budget import Budget
from greenfront.studies.ledger import Ledger, spent_in_all
from greenfront.studies.pauses import pauses, waited_seconds
from greenfront.studies.record import StudyRecord
from greenfront.studies.runs import (
    HEARTBEAT_SECONDS,
    SILENCE_SECONDS,
    Run,
    active_minutes,
    living_runs,
)
from greenfront.studies.storage import Storage
from greenfront.studies.trials import FINISHED, TrialBook, TrialState
from greenfront.studies.volume import Frontier

__all__ = ["Engine"]

C = TypeVar("C", bound=Choice)

SAME_FAILURES = 3
"""So many failures in a row of the same cause end the study: the next would fail as well."""

DUPLICATES_BEFORE_RANDOM = 3
"""Proposals in a row that were tried already, before an untried point is drawn instead."""

RANDOM_DRAWS = 2000

NEARLY_DONE = 0.9
"""Share of a usual trial's time beyond which nobody can say how much of a trial is left."""

WAIT_SECONDS = 0.5


@dataclass
class _Shared:
    """What the workers of one process share, under one lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    stop: threading.Event = field(default_factory=threading.Event)
    keys: set[str] = field(default_factory=set)
    last_causes: list[str | None] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    running: dict[int, Callable[[], float]] = field(default_factory=dict)
    doing: dict[int, str] = field(default_factory=dict)
    seen_until: float = 0.0
    failure: BaseException | None = None
    reason: str | None = None


class Engine(Generic[C]):
    """Runs one study in this process, with one or several workers.

    Args:
        problem: What to search.
        storage: Where it is kept.
        record: The study.
        run: This process, signed in.
        sampler: By name.
        population: Trials a generation.
        budget: Of the whole study.
        seed: Of the sampler; resumed studies draw other numbers than they began with.
        ledger: Where energy is charged.
        instruments: Meter this process itself; ``None`` leaves the search's own energy out.
        workers: Evaluations at once.
        observer: Watches.
        gate: Holds the workers while the electricity is not clean enough.
    """

    def __init__(
        self,
        problem: Problem[C],
        storage: Storage,
        record: StudyRecord,
        run: Run,
        *,
        sampler: str,
        population: int,
        budget: Budget,
        seed: int,
        ledger: Ledger,
        instruments: Instruments | None = None,
        workers: int = 1,
        observer: Observer | None = None,
        gate: CarbonGate | None = None,
    ) -> None:
        self.problem = problem
        self.storage = storage
        self.record = record
        self.run = run
        self.budget = budget
        self.ledger = ledger
        self.workers = workers
        self._observer = observer
        self._gate = gate
        self._instruments = instruments
        self._book = TrialBook(storage, record.study_id)
        self._maximise = [objective.maximise for objective in problem.objectives]
        self._frontier = Frontier(self._maximise)
        self._values: dict[str, tuple[float, ...]] = {}
        self._shared = _Shared()
        if gate is not None:
            self._shared.durations = self._earlier_durations()
        self._random = np.random.default_rng([seed, len(self._book.rows())])
        self.study = optuna.load_study(
            study_name=record.name,
            storage=storage.optuna,
            sampler=make_sampler(
                sampler,
                problem.space,
                population=population,
                seed=[seed, len(self._book.rows())],
                tried=self._tried,
            ),
        )

    def work(self) -> str:
        """Searches until a budget is reached, the space is tried out, or the user stops it.

        Returns:
            Why it ended, in words.

        Raises:
            SearchAborted: The same cause failed several trials in a row.
            KeyboardInterrupt: The user stopped it; the running trials are queued again later.
        """
        shared = self._shared
        adopt_dead_runs(self.study, self._book, self.storage)
        if len(living_runs(self.storage, self.record.study_id)) == 1:
            drop_unclaimed(self.study, self._book)
        self._queue_first_generation()
        with (
            self._heartbeat(),
            ThreadPoolExecutor(self.workers, thread_name_prefix="worker") as pool,
        ):
            working = [pool.submit(self._guarded, index) for index in range(self.workers)]
            # Not Thread.join: interrupted by Ctrl-C it takes a running thread for ended (CPython up
            # to 3.12, bpo-45274), and the storage would be closed under a worker that still writes.
            try:
                wait(working)
            finally:
                # Reached early only by an interrupt: let the workers put their trials down.
                shared.stop.set()
                wait(working)
        if shared.failure is not None:
            raise shared.failure
        return shared.reason or "done"

    # --- one worker --------------------------------------------------------------------------

    def _guarded(self, index: int) -> None:
        shared = self._shared
        try:
            with self.problem.worker() as problem:
                reason = self._loop(problem, index)
            with shared.lock:
                shared.reason = shared.reason or reason
        except Interrupted:
            pass
        except BaseException as failure:  # noqa: BLE001 - handed to the main thread, which raises
            with shared.lock:
                shared.failure = shared.failure or failure
            shared.stop.set()

    def _loop(self, problem: Problem[C], index: int) -> str:
        duplicates = 0
        while not self._shared.stop.is_set():
            reason = self.budget.reached(
                spent_in_all(self.storage, self.record.study_id),
                self._minutes(),
            )
            if reason:
                return reason
            self._refresh()
            if not self._slot_open():
                counts = self._book.counts()
                if not counts["running"] and not counts["requeued"]:
                    return f"all {self.budget.trials} trials are finished"
                # Other runs are at the last trials: if one dies, its trial is taken over here.
                self._say(index, "waiting for trials of other workers")
                self._shared.stop.wait(WAIT_SECONDS)
                adopt_dead_runs(self.study, self._book, self.storage)
                continue
            if self._tried_out(duplicates):
                return "every candidate of the space has been tried"
            if self._held(index):
                continue  # much may have changed meanwhile
            trial = self.study.ask()
            candidate = self.problem.space.suggest(trial)
            claim = self._book.claim(
                self.run.run_id,
                trial.number,
                candidate.key,
                candidate.to_json(),
                self.budget.trials,
            )
            if claim == "granted":
                duplicates = 0
                self._try(problem, index, trial, candidate)
            else:
                duplicates += claim == "duplicate"
                self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        raise Interrupted("the search was stopped")

    def _try(self, problem: Problem[C], index: int, trial: optuna.Trial, candidate: C) -> None:
        attempt = _Attempt(self, index, trial.number)
        self._say(index, f"trial {trial.number}")
        began, waited = time.monotonic(), self._waited(index)

        def worked() -> float:
            return time.monotonic() - began - (self._waited(index) - waited)

        with self._shared.lock:
            self._shared.running[index] = worked
        state: TrialState = "complete"
        evaluation: Evaluation | None = None
        cause = reason = None
        try:
            evaluation = problem.evaluate(candidate, problem.fidelities[-1], None, attempt)
            if evaluation.infeasible:
                state, reason = "infeasible", "; ".join(evaluation.infeasible)
                trial.set_constraint("real", len(evaluation.infeasible))
            if not all(math.isfinite(value) for value in evaluation.values):
                evaluation, state = None, "failed"
                cause, reason = "not finite", f"the values {evaluation} are not finite"
        except TrialStopped as stop:
            state, reason = "stopped", stop.reason
        except TrialFailed as failure:
            state, cause, reason = "failed", failure.cause, str(failure)
        finally:
            with self._shared.lock:
                del self._shared.running[index]
        if evaluation is not None:
            attempt.settle(evaluation.spent_kwh)
        ours = self._book.finish(
            self.run.run_id,
            trial.number,
            state,
            values=evaluation.values if evaluation and state == "complete" else None,
            detail=evaluation.detail if evaluation else None,
            reason=reason,
        )
        if not ours:
            # This run was taken for dead and the trial given to another: that one counts.
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return
        tell(self.study, trial.number, state, evaluation.values if evaluation else None)
        self._finished(index, trial.number, worked())
        self._watch_failures(cause, reason)

    def _finished(self, index: int, number: int, seconds: float) -> None:
        with self._shared.lock:
            self._shared.durations.append(seconds)
        self._refresh()
        if self._observer is not None:
            self._observer.finished(self._book.row(number))
        self._say(index, "")

    def _watch_failures(self, cause: str | None, reason: str | None) -> None:
        with self._shared.lock:
            causes = self._shared.last_causes
            causes.append(cause)
            last = causes[-SAME_FAILURES:]
        if cause is not None and len(last) == SAME_FAILURES and set(last) == {cause}:
            raise SearchAborted(
                f"{SAME_FAILURES} trials in a row failed for the same cause. {reason}. Mend that, "
                f"then greenfront resume {self.record.name} goes on"
            )

    # --- when to work ------------------------------------------------------------------------

    def _held(self, index: int) -> bool:
        """Waits before a trial until it is time to work; whether it did."""
        if self._gate is None:
            return False

        def rest(seconds: float) -> None:
            if self._shared.stop.wait(seconds):
                raise Interrupted("the search was stopped")

        return self._gate.hold(
            index, None, self._work_left, rest, lambda why: self._say(index, why)
        )

    def hold(self, index: int, number: int, rest: Callable[[float], None]) -> None:
        """See :meth:`greenfront.search.problem.Attempt.hold`."""
        if self._gate is not None:

            def say(why: str) -> None:
                self._say(index, f"trial {number}: {why}")

            self._gate.hold(index, number, self._work_left, rest, say)

    def _earlier_durations(self) -> list[float]:
        """Seconds of work of the trials that earlier runs have finished."""
        rows = [row for row in self._book.rows() if row.state in FINISHED and row.finished_at]
        held: dict[int | None, float] = defaultdict(float)
        for pause in pauses(self.storage, self.record.study_id):
            held[pause.number] += pause.ended_at - pause.started_at
        return [
            max((row.finished_at or 0.0) - row.started_at - held[row.number], 0.0)
            for row in sorted(rows, key=lambda row: row.finished_at or 0.0)
        ]

    def _waited(self, index: int) -> float:
        return 0.0 if self._gate is None else self._gate.waited(index)

    def _minutes(self) -> float:
        """Minutes of the study so far, without its waits for cleaner electricity."""
        study_id = self.record.study_id
        waited = 0.0 if self._gate is None else waited_seconds(self.storage, study_id)
        return active_minutes(self.storage, study_id) - waited / 60

    def _work_left(self) -> float | None:
        """Seconds of work until the first budget is reached; ``None`` while nothing is known."""
        found = []
        left = self._seconds_left(
            self._book.counts(), spent_in_all(self.storage, self.record.study_id).kwh
        )
        if left is not None:
            with self._shared.lock:
                usual = _mean(self._shared.durations)
                # A trial that takes longer than usual still has something left.
                most = NEARLY_DONE * usual
                done = sum(min(worked(), most) for worked in self._shared.running.values())
            found.append(max(left - done / self.workers, 0.0))
        if self.budget.minutes is not None:
            found.append(max(60 * (self.budget.minutes - self._minutes()), 0.0))
        return min(found, default=None)

    # --- what to try -------------------------------------------------------------------------

    def _queue_first_generation(self) -> None:
        if self.record.queued:
            return
        known = {
            self.problem.space.decode(trial.system_attrs.get("fixed_params", {})).key
            for trial in self.study.get_trials(deepcopy=False)
            if trial.system_attrs.get("fixed_params")
        }
        for point in self.problem.first_generation()[: self.budget.trials]:
            if self.problem.space.decode(point).key not in known:
                self.study.enqueue_trial(dict(point))
        self.record.update(self.storage, queued=True)

    def _slot_open(self) -> bool:
        counts = self._book.counts()
        limit = self.budget.trials
        return bool(counts["requeued"]) or limit is None or counts.total() < limit

    def _tried(self, point: Point) -> bool:
        return self.problem.space.decode(point).key in self._shared.keys

    def _tried_out(self, duplicates: int) -> bool:
        """Whether nothing untried is left; after several duplicates, queues an untried point."""
        size = self.problem.space.size()
        if size is not None and len(self._shared.keys) >= size:
            return not self._book.counts()["requeued"]
        if duplicates < DUPLICATES_BEFORE_RANDOM:
            return False
        for _ in range(RANDOM_DRAWS):
            point = self.problem.space.sample(self._random)
            if not self._tried(point):
                self.study.enqueue_trial(point)
                return False
        return True

    # --- what is known -----------------------------------------------------------------------

    def _refresh(self) -> None:
        """Takes in what this and other runs have begun and finished."""
        with self._shared.lock:
            known = len(self._shared.keys)
            for key in self._book.keys(from_slot=known):
                self._shared.keys.add(key)
            # Hosts' clocks differ a little: look back further than the last trial seen.
            since = self._shared.seen_until - SILENCE_SECONDS
            for key, values, finished_at in self._book.complete_since(since):
                if key not in self._values:
                    self._values[key] = values
                    self._frontier.add(values)
                    self._shared.seen_until = max(self._shared.seen_until, finished_at)

    def hopeless(self, optimistic: Sequence[float]) -> str | None:
        """See :meth:`greenfront.search.problem.Attempt.hopeless`."""
        with self._shared.lock:
            if self._frontier.dominates(optimistic):
                best = ", ".join(
                    f"{o.name} {v:.4g}"
                    for o, v in zip(self.problem.objectives, optimistic, strict=True)
                )
                return f"even its best case ({best}) is dominated by a finished trial"
        return None

    def _say(self, index: int, message: str) -> None:
        with self._shared.lock:
            self._shared.doing[index] = message
        self._show()

    def _show(self) -> None:
        if self._observer is not None:
            self._observer.changed(self.status())

    def status(self) -> Status:
        """The search as it stands now."""
        spent = spent_in_all(self.storage, self.record.study_id)
        counts = self._book.counts()
        with self._shared.lock:
            corners = self.problem.corners(self._values)
            return Status(
                counts=counts,
                front_size=len(self._frontier),
                hypervolume=None if corners is None else self._frontier.volume(corners),
                kwh_spent=spent.kwh,
                co2_kg_spent=spent.co2_kg,
                budget=self.budget,
                seconds_left=self._seconds_left(counts, spent.kwh),
                doing=dict(self._shared.doing),
            )

    def _seconds_left(self, counts: Mapping[str, int], kwh: float) -> float | None:
        durations = self._shared.durations
        over = sum(counts.get(state, 0) for state in FINISHED)
        if not durations or not over:
            return None
        trials_left = [] if self.budget.trials is None else [self.budget.trials - over]
        if self.budget.kwh is not None and kwh > 0:
            trials_left.append(math.ceil((self.budget.kwh - kwh) / (kwh / over)))
        if not trials_left:
            return None
        return max(0, min(trials_left)) * _mean(durations) / self.workers

    @contextlib.contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Says that this run is alive and charges what the search itself costs."""
        over = threading.Event()
        stopwatch = None
        if self._instruments is not None:
            stopwatch = Stopwatch(self._instruments, os.getpid(), clock=time.process_time)
        since = time.time()

        def beat() -> None:
            nonlocal since
            self.run.beat()
            if stopwatch is not None:
                now = time.time()
                readings = resolved(stopwatch.lap())
                if readings:
                    self.ledger.charge(
                        "search", readings, number=None, started_at=since, ended_at=now
                    )
                since = now

        def keep_beating() -> None:
            while not over.wait(HEARTBEAT_SECONDS):
                beat()
                self._show()

        thread = threading.Thread(target=keep_beating, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            beat()


@dataclass
class _Attempt:
    """One evaluation's way back to the engine; see :class:`greenfront.search.problem.Attempt`."""

    engine: Engine[Any]
    worker: int
    number: int
    charged_kwh: float = 0.0

    @property
    def stopping(self) -> bool:
        return self.engine._shared.stop.is_set()

    def charge(
        self,
        phase: str,
        readings: Mapping[Component, Reading],
        started_at: float,
        ended_at: float,
    ) -> None:
        told = resolved(readings)
        if not told:
            return
        self.engine.ledger.charge(
            phase,
            told,
            number=self.number,
            started_at=started_at,
            ended_at=ended_at,
            worker=self.worker,
        )
        self.charged_kwh += sum(reading.kwh or 0.0 for reading in told.values())

    def settle(self, spent_kwh: float) -> None:
        """Charges what the problem says it spent beyond what it charged as it went."""
        rest = (spent_kwh - self.charged_kwh) * JOULES_PER_KWH
        # A millionth of rounding is not an expense.
        if rest > 1e-6 * spent_kwh * JOULES_PER_KWH:
            now = time.time()
            reading = Reading(rest, rest, rest, "modelled", "stated by the problem", 0.0, 0.0)
            self.charge("evaluate", {"cpu": reading}, now, now)

    def hopeless(self, optimistic: Sequence[float]) -> str | None:
        return self.engine.hopeless(optimistic)

    def progress(self, message: str) -> None:
        self.engine._say(self.worker, f"trial {self.number}: {message}")

    def hold(self, rest: Callable[[float], None]) -> None:
        self.engine.hold(self.worker, self.number, rest)


def _mean(durations: Sequence[float]) -> float:
    """Of the last twenty."""
    return sum(durations[-20:]) / len(durations[-20:])


def resolved(readings: Mapping[Component, Reading]) -> dict[Component, Reading]:
    """Drops the laps whose energy stands in the next one."""
    return {c: reading for c, reading in readings.items() if CARRIED not in reading.flags}

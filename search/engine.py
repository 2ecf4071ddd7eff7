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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import optuna
import sqlalchemy as sa

from greenfront.errors import Interrupted, SearchAborted, TrialFailed, TrialStopped
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.stopwatch import Stopwatch
from greenfront.search.archive import Archive
from greenfront.search.electricity.scheduler import CarbonScheduler
from greenfront.search.problem import Evaluation, Problem
from greenfront.search.progress_estimator import ProgressEstimator
from greenfront.search.recovery import adopt_dead_runs, drop_unclaimed, tell
from greenfront.search.running_trial import RunningAttempt, resolved
from greenfront.search.samplers.named import make_sampler
from greenfront.search.status import Observer, Status
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import Choice
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.ledger import Charged, LedgerWriter
from greenfront.studies.store.runs import (
    HEARTBEAT_SECONDS,
    Run,
)
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import TrialState

__all__ = ["Engine"]

C = TypeVar("C", bound=Choice)

SAME_FAILURES = 3
"""So many failures in a row of the same cause end the study: the next would fail as well."""

DUPLICATES_BEFORE_RANDOM = 3
"""Proposals in a row that were tried already, before an untried point is drawn instead."""

RANDOM_DRAWS = 2000

WAIT_SECONDS = 0.5


@dataclass
class _Shared:
    """What the workers of one process share, under one lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    stop: threading.Event = field(default_factory=threading.Event)
    last_causes: list[str | None] = field(default_factory=list)
    doing: dict[int, str] = field(default_factory=dict)
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
        record: Study,
        run: Run,
        *,
        sampler: str,
        population: int,
        budget: Budget,
        seed: int,
        ledger: LedgerWriter,
        instruments: Instruments | None = None,
        workers: int = 1,
        observer: Observer | None = None,
        gate: CarbonScheduler | None = None,
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
        self._book = record.trials
        self._known = Archive(problem, self._book)
        self._pace = ProgressEstimator(record, budget, workers, gate)
        self._shared = _Shared()
        self._random = np.random.default_rng([seed, len(self._book.all())])
        self.study = optuna.load_study(
            study_name=record.name,
            storage=storage.optuna,
            sampler=make_sampler(
                sampler,
                problem.space,
                population=population,
                seed=[seed, len(self._book.all())],
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
        adopt_dead_runs(self.study, self._book, self.record.runs)
        if len(self.record.runs.living()) == 1:
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
                self.record.ledger.total(),
                self._pace.minutes(),
            )
            if reason:
                return reason
            self._known.refresh()
            if not self._slot_open():
                counts = self._book.counts()
                if not counts["running"] and not counts["requeued"]:
                    return f"all {self.budget.trials} trials are finished"
                # Other runs are at the last trials: if one dies, its trial is taken over here.
                self.say(index, "waiting for trials of other workers")
                self._shared.stop.wait(WAIT_SECONDS)
                adopt_dead_runs(self.study, self._book, self.record.runs)
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
        attempt = RunningAttempt(self, index, trial.number)
        self.say(index, f"trial {trial.number}")
        state: TrialState = "complete"
        evaluation: Evaluation | None = None
        cause = reason = None
        with self._pace.trial(index) as worked:
            try:
                evaluation = problem.evaluate(candidate, problem.fidelities[-1], None, attempt)
                if evaluation.infeasible:
                    state, reason = "infeasible", "; ".join(evaluation.infeasible)
                    trial.set_constraint("real", len(evaluation.infeasible))
                if not all(math.isfinite(value) for value in evaluation.values):
                    cause, reason = "not finite", f"the values {evaluation.values} are not finite"
                    evaluation, state = None, "failed"
            except TrialStopped as stop:
                state, reason = "stopped", stop.reason
            except TrialFailed as failure:
                state, cause, reason = "failed", failure.cause, str(failure)
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
        self._pace.finished(seconds)
        self._known.refresh()
        if self._observer is not None:
            self._observer.finished(self._book.get(number))
        self.say(index, "")

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
            index, None, self._pace.work_left, rest, lambda why: self.say(index, why)
        )

    @property
    def stopping(self) -> bool:
        """Whether workers are to put their trials down."""
        return self._shared.stop.is_set()

    def hold(self, index: int, number: int, rest: Callable[[float], None]) -> None:
        """See :meth:`greenfront.search.problem.Attempt.hold`."""
        if self._gate is not None:

            def say(why: str) -> None:
                self.say(index, f"trial {number}: {why}")

            self._gate.hold(index, number, self._pace.work_left, rest, say)

    # --- what to try -------------------------------------------------------------------------

    def _queue_first_generation(self) -> None:
        if self.record.queued:
            return
        known = {
            self.problem.space.decode(trial.system_attrs.get("fixed_params", {})).key
            for trial in self.study.get_trials(deepcopy=False)
            if trial.system_attrs.get("fixed_params")
        }
        for point in self.problem.first_generation():  # a budget may be raised later
            if self.problem.space.decode(point).key not in known:
                self.study.enqueue_trial(dict(point))
        self.record.mark_queued()

    def _slot_open(self) -> bool:
        counts = self._book.counts()
        limit = self.budget.trials
        return bool(counts["requeued"]) or limit is None or counts.total() < limit

    def _tried(self, point: Point) -> bool:
        return self._known.tried(self.problem.space.decode(point).key)

    def _tried_out(self, duplicates: int) -> bool:
        """Whether nothing untried is left; after several duplicates, queues an untried point."""
        size = self.problem.space.size()
        if size is not None and len(self._known) >= size:
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

    def hopeless(self, optimistic: Sequence[float]) -> str | None:
        """See :meth:`greenfront.search.problem.Attempt.hopeless`."""
        return self._known.hopeless(optimistic)

    def say(self, index: int, message: str) -> None:
        """Shows what a worker does."""
        with self._shared.lock:
            self._shared.doing[index] = message
        self._show()

    def _show(self) -> None:
        if self._observer is not None:
            self._observer.changed(self.status())

    def status(self) -> Status:
        """The search as it stands now."""
        spent = self.record.ledger.total()
        counts = self._book.counts()
        front_size, hypervolume = self._known.front()
        with self._shared.lock:
            doing = dict(self._shared.doing)
        return Status(
            counts=counts,
            front_size=front_size,
            hypervolume=hypervolume,
            kwh_spent=spent.kwh,
            co2_kg_spent=spent.co2_kg,
            budget=self.budget,
            seconds_left=self._pace.seconds_left(counts, spent.kwh),
            doing=doing,
        )

    @contextlib.contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Says that this run is alive and charges what the search itself costs."""
        over = threading.Event()
        stopwatch = None
        if self._instruments is not None:
            stopwatch = Stopwatch(self._instruments, os.getpid(), clock=time.process_time)
        since = time.time()
        owed: list[Charged] = []

        def beat() -> None:
            nonlocal since
            if stopwatch is not None:
                now = time.time()
                readings = resolved(stopwatch.lap())
                if readings:
                    owed.append(Charged("search", readings, since, now))
                since = now
            self.run.beat()
            while owed:
                self.ledger.settle(owed[0])
                del owed[0]

        def keep_beating() -> None:
            while not over.wait(HEARTBEAT_SECONDS):
                # A database that is away for a moment must not end the heartbeat for good.
                with contextlib.suppress(sa.exc.DBAPIError):
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

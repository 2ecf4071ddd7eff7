"""The search loop: asks a sampler, claims, evaluates and tells, until a budget is reached.

Order of a trial's writes, so that ``kill -9`` between any two of them loses nothing: Optuna's
trial is created; the claim on it is granted; the ledger grows; the claim is finished with values
and detail; Optuna is told. :mod:`greenfront.search.recovery` goes on from any of these steps.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import optuna

from greenfront.errors import Interrupted, SearchAborted
from greenfront.search.archive import DUPLICATES_BEFORE_RANDOM, Archive
from greenfront.search.attempt import Attempt, Step, attempt
from greenfront.search.budget_watch import BudgetWatch
from greenfront.search.electricity.scheduler import CarbonScheduler, RunMoments
from greenfront.search.feedback import Feedback
from greenfront.search.heartbeat import heartbeat
from greenfront.search.problem import Problem
from greenfront.search.progress_estimator import ProgressEstimator
from greenfront.search.queueing import queue_first_generation, tell_unclaimed
from greenfront.search.racing import Race
from greenfront.search.recovery import REFERENCE, adopt_dead_runs, drop_unclaimed, tell
from greenfront.search.running_trial import RunningTrial
from greenfront.search.samplers.named import default_population, make_sampler
from greenfront.search.settings import SearchSettings
from greenfront.search.status import Status
from greenfront.search.stop_rule import StopRule
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import Choice
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import TrialState

__all__ = ["Engine"]

C = TypeVar("C", bound=Choice)

SAME_FAILURES = 3
"""Failures in a row of one cause that end the search: the next trial would fail as well."""
OWN_CAUSES = ("cannot prune",)
"""Failures that belong to a candidate's shape, and say nothing of the next one."""

WAIT_SECONDS = 0.5


@dataclass
class _Shared:
    """State that the workers of one process share, under one lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    stop: threading.Event = field(default_factory=threading.Event)
    last_causes: list[str | None] = field(default_factory=list)
    doing: dict[int, str] = field(default_factory=dict)
    failure: BaseException | None = None
    reason: str | None = None


class Engine(Generic[C]):
    """Runs one study in this process, with one or several workers.

    Args:
        problem: The problem to search.
        study: The study, in an open storage.
        run: The run of this process.
        ledger: Charged with the energy of this run.
        settings: Of the search.
        moments: Records the pauses of this run; ``None`` if it never pauses.
    """

    def __init__(
        self,
        problem: Problem[C],
        study: Study,
        run: Run,
        ledger: LedgerWriter,
        settings: SearchSettings,
        moments: RunMoments | None = None,
    ) -> None:
        self._problem = problem
        self._study = study
        self._run = run
        self._ledger = ledger
        self._settings = settings
        self._budget = settings.budget
        self._references = {
            candidate.key: candidate for candidate in problem.reference_candidates()
        }
        self._archive = Archive(problem, study.trials)
        self._estimator = ProgressEstimator(study, settings, moments)
        self.watch = BudgetWatch(self._budget, study.ledger, self._estimator.minutes)
        self._feedback = Feedback(problem, self._archive, study, self._enqueue)
        self._scheduler = self._make_scheduler(moments)
        self._shared = _Shared()
        seed = [settings.seed, sum(study.trials.counts().values())]
        self._random = np.random.default_rng(seed)
        self.optuna_study = optuna.load_study(
            study_name=study.name,
            storage=study.storage.optuna,
            sampler=make_sampler(
                settings.sampler,
                problem.space,
                population=settings.population or default_population(self._budget.trials),
                seed=seed,
                tried=self._tried,
            ),
        )
        self._race: Race[C] | None = None
        if settings.sampler == "green":
            self._race = Race(
                problem, study, run, self._archive, self.optuna_study, self._asked, settings
            )

        self._rule = StopRule(problem, self._archive, study.ledger, lambda: self._race)

    def _make_scheduler(self, moments: RunMoments | None) -> CarbonScheduler | None:
        electricity = self._settings.electricity
        if electricity is None or electricity.settings is None or moments is None:
            return None
        return CarbonScheduler(
            electricity,
            self._study.pauses.writer(self._run.run_id, electricity.clock),
            moments,
            self._estimator.work_left,
            self._settings.note,
        )

    def work(self) -> str:
        """Searches until a budget is reached, the space is exhausted, or the user stops it.

        Returns:
            Why it ended, in words.

        Raises:
            SearchAborted: The same cause failed several trials in a row.
            KeyboardInterrupt: The user stopped it; the running trials are queued again later.
        """
        shared, study = self._shared, self._study
        self._adopt()
        if len(self._study.runs.living()) == 1:
            drop_unclaimed(self.optuna_study, self._study.trials)
        self._archive.refresh()
        queued = queue_first_generation(
            self._problem, self._references, study, self.optuna_study, self._archive
        )
        self._feedback.queue_again(queued)
        with (
            heartbeat(self._run, self._ledger, self._settings.instruments, self._show),
            ThreadPoolExecutor(self._settings.workers, thread_name_prefix="worker") as pool,
        ):
            working = [pool.submit(self._guarded, index) for index in range(self._settings.workers)]
            # Not Thread.join: interrupted by Ctrl-C it takes a running thread for ended (CPython up
            # to 3.12, bpo-45274), and the storage would be closed under a worker that still writes.
            try:
                wait(working)
            finally:
                # Reached early only by an interrupt: let the workers stop in order.
                shared.stop.set()
                wait(working)
        if shared.failure is not None:
            raise shared.failure
        reason = shared.reason or "done"
        if self._race is not None and len(self._study.runs.living()) == 1:
            self._adopt()
            self._race.end(reason)
        return reason

    def _adopt(self) -> None:
        study, raced = self._study, self._race is not None
        adopt_dead_runs(self.optuna_study, study.trials, study.runs, raced=raced)

    # --- one worker --------------------------------------------------------------------------

    def _guarded(self, index: int) -> None:
        shared = self._shared
        try:
            try:
                with self._problem.worker() as problem:
                    reason = self._loop(problem, index)
            finally:
                if self._scheduler is not None:
                    self._scheduler.leave(index)
            with shared.lock:
                shared.reason = shared.reason or reason
        except Interrupted:
            with shared.lock:  # by a budget, if not by the user
                shared.reason = shared.reason or self.watch.reached()
        except BaseException as failure:  # noqa: BLE001 - handed to the main thread, which raises
            with shared.lock:
                shared.failure = shared.failure or failure
            shared.stop.set()

    def _loop(self, problem: Problem[C], index: int) -> str:
        duplicates = 0
        while not self._shared.stop.is_set():
            self._archive.refresh()
            reason = self.watch.reached() or self._rule.reached()
            if reason:
                return reason
            if not self._slot_open():
                if not self._left_to_others(index):
                    if self._race is None:
                        return f"all {self._budget.trials} trials are finished"
                    return f"the effort of {self._budget.trials} whole trials is spent"
                continue
            if self._race is None and self._exhausted(duplicates):
                return "every candidate of the space has been tried"
            if self._paused(index):
                continue  # the budget may have been reached meanwhile
            if self._race is not None:
                step = self._race.next()
                if step is not None:
                    self._try(problem, index, step)
                elif not self._left_to_others(index) and self._slot_open():
                    return "no candidate is worth another step"
                continue
            trial = self.optuna_study.ask()
            candidate = self._asked(trial)
            choice, limit = candidate.to_json(), self._budget.trials
            claim = self._study.trials.claim(
                self._run.run_id, trial.number, candidate.key, choice, limit
            )
            if claim == "granted":
                duplicates = 0
                self._try(problem, index, Step(trial, candidate))
            else:
                duplicates += claim == "duplicate"
                tell_unclaimed(self.optuna_study, trial, candidate.key, self._archive)
        raise Interrupted("the search was stopped")

    def _asked(self, trial: optuna.Trial) -> C:
        """What a trial is about: a reference, or what its sampler suggests."""
        reference = trial.user_attrs.get(REFERENCE) if self._references else None
        known = self._references.get(str(reference))
        return self._problem.space.suggest(trial) if known is None else known

    def _left_to_others(self, index: int) -> bool:
        """Waits a little where others are still at work; returns whether they are."""
        counts = self._archive.counts()
        if not counts["running"] and not counts["requeued"]:
            return False
        if self._scheduler is not None:
            self._scheduler.leave(index)
        # If a run dies, its trial is taken over here.
        self._say(index, "waiting for trials of other workers")
        self._shared.stop.wait(WAIT_SECONDS)
        self._adopt()
        return True

    def _try(self, problem: Problem[C], index: int, step: Step[C]) -> None:
        number = step.trial.number
        self._say(index, f"trial {number}")

        def context_at(fidelity: int, checkpoint: object | None = None) -> RunningTrial:
            return RunningTrial(
                ledger=self._ledger,
                number=number,
                worker=index,
                archive=self._archive,
                stop=self._shared.stop,
                watch=self.watch,
                say=lambda message: self._say(index, message),
                scheduler=self._scheduler,
                fidelity=fidelity,
                checkpoint=checkpoint,
            )

        with self._estimator.trial(index) as worked:
            done: Attempt | None
            if self._race is None:
                done = attempt(problem, step.candidate, context_at(problem.fidelities[-1]))
            else:
                done = self._race.climb(step, problem, context_at)
        if done is None:
            self._ledger.merge(number)
            self._estimator.paused(worked())
        elif self._finish(step, done):
            self._estimator.finished(worked())
            if self._settings.observer is not None:
                self._archive.refresh()
                self._settings.observer.finished(self._study.trials.get(number))
            if step.candidate.key not in self._references:  # the search does without them
                self._abort_on_repeated_failures(done.cause, done.reason)
        self._say(index, "")

    def _finish(self, step: Step[C], done: Attempt) -> bool:
        """Records the end of a trial; returns whether it was still this run's to end."""
        number, evaluation = step.trial.number, done.evaluation
        if done.state == "infeasible" and evaluation is not None:
            step.trial.set_constraint("real", len(evaluation.infeasible))
        ours = self._study.trials.finish(
            self._run.run_id,
            number,
            done.state,
            values=done.values,
            detail=evaluation.detail if evaluation else None,
            reason=done.reason,
        )
        self._ledger.merge(number)
        if ours:
            outside = step.candidate.key in self._references
            told: TrialState = "failed" if outside else done.state
            tell(self.optuna_study, number, told, evaluation.values if evaluation else None)
            if told == "complete":
                self._feedback.finished(number, step.trial.params)
        elif self._race is None:
            # This run was taken for dead and its trial given to another run: that one counts.
            self.optuna_study.tell(step.trial, state=optuna.trial.TrialState.FAIL)
        return ours

    def _abort_on_repeated_failures(self, cause: str | None, reason: str | None) -> None:
        with self._shared.lock:
            self._shared.last_causes.append(None if cause in OWN_CAUSES else cause)
            last = self._shared.last_causes[-SAME_FAILURES:]
        if None not in last and len(last) == SAME_FAILURES and len(set(last)) == 1:
            raise SearchAborted(
                f"{SAME_FAILURES} trials in a row failed for the same cause. {reason}. Mend that, "
                f"then greenfront resume {self._study.name} goes on"
            )

    # --- when to work ------------------------------------------------------------------------

    def _paused(self, index: int) -> bool:
        """Waits before a trial until it is time to work; returns whether it did."""
        if self._scheduler is None:
            return False

        def rest(seconds: float) -> None:
            if self._shared.stop.wait(seconds):
                raise Interrupted("the search was stopped")

        return self._scheduler.hold(index, None, rest, lambda why: self._say(index, why))

    # --- what to try -------------------------------------------------------------------------

    def _enqueue(self, point: Point) -> None:
        self.optuna_study.enqueue_trial(dict(point))
        if self._race is not None:
            self._race.expect_queued()

    def _slot_open(self) -> bool:
        limit, counts = self._budget.trials, self._archive.counts()
        used = len(self._archive) if self._race is None else self._race.effort()
        return bool(counts["requeued"]) or limit is None or used < limit

    def _tried(self, point: Point) -> bool:
        return self._archive.tried(self._problem.space.decode(point).key)

    def _exhausted(self, duplicates: int) -> bool:
        """Whether every candidate was tried; after several duplicates, queues an untried point."""
        size = self._problem.space.size()
        outside = sum(self._archive.tried(key) for key in self._references)
        if size is not None and len(self._archive) - outside >= size:
            return not self._archive.counts()["requeued"]
        if duplicates < DUPLICATES_BEFORE_RANDOM:
            return False
        point = self._archive.untried(self._random)
        if point is not None:
            self.optuna_study.enqueue_trial(point)
        return point is None

    # --- what is shown -----------------------------------------------------------------------

    def _say(self, index: int, message: str) -> None:
        """Shows the current activity of a worker."""
        with self._shared.lock:
            self._shared.doing[index] = message
        self._show()

    def _show(self) -> None:
        if self._settings.observer is not None:
            self._settings.observer.changed(self.status())

    def status(self) -> Status:
        """The search as it stands now."""
        spent, counts = self._study.ledger.total(), self._archive.counts()
        front_size, hypervolume = self._archive.front()
        effort = None if self._race is None else self._race.effort()
        with self._shared.lock:
            doing = dict(self._shared.doing)
        return Status(
            counts=counts,
            front_size=front_size,
            hypervolume=hypervolume,
            kwh_spent=spent.kwh,
            co2_kg_spent=spent.co2_kg,
            budget=self._budget,
            seconds_left=self._estimator.seconds_left(counts, spent.kwh, effort),
            doing=doing,
            effort=effort,
        )

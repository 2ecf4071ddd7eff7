"""The search loop: asks a sampler, claims, evaluates and tells, until a budget is reached.

Order of a trial's writes, so that ``kill -9`` between any two of them loses nothing: Optuna's
trial is created; the claim on it is granted; the ledger grows; the claim is finished with values
and detail; Optuna is told. :mod:`greenfront.search.runs.recovery` goes on from any of these steps.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from functools import partial
from typing import Generic, TypeVar

import optuna
import sqlalchemy as sa

from greenfront.errors import Interrupted
from greenfront.objectives.carbon.clock import Clock
from greenfront.search.archive import Archive
from greenfront.search.electricity.scheduler import CarbonScheduler, RunMoments
from greenfront.search.engine.heat import HeatWatch
from greenfront.search.engine.progress_estimator import ProgressEstimator
from greenfront.search.engine.workers import Workers
from greenfront.search.problem import Problem
from greenfront.search.proposals.asking import Asking
from greenfront.search.proposals.feedback import Feedback
from greenfront.search.proposals.proposer import Proposer
from greenfront.search.proposals.queueing import queue_first_generation
from greenfront.search.runs.heartbeat import heartbeat
from greenfront.search.runs.recovery import adopt_dead_runs, drop_unclaimed
from greenfront.search.samplers.named import default_population, make_sampler
from greenfront.search.search_context import SearchContext
from greenfront.search.settings import SearchSettings
from greenfront.search.status import Status
from greenfront.search.stopping.budget_watch import BudgetWatch
from greenfront.search.stopping.hopeless import Paces
from greenfront.search.stopping.stop_rule import StopRule
from greenfront.search.trials.attempt import ATTEMPTS, Step
from greenfront.search.trials.ends import TrialEnds
from greenfront.search.trials.running import RunningTrial
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import Choice
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.study import Study

__all__ = ["Engine"]

C = TypeVar("C", bound=Choice)

WAIT_SECONDS = 0.5

SHOWN_SECONDS = 1.0
"""So old the figures may be that stand beside what workers are doing; not where a step is over."""


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
        self._archive = Archive(problem, study.trials)
        self._paces = Paces(study.curves, self._archive, problem.ideal)
        self._estimator = ProgressEstimator(study, settings, moments)
        self.watch = BudgetWatch(self._budget, study.ledger, self._estimator.minutes)
        self._scheduler = self._make_scheduler(moments)
        clock = Clock() if settings.electricity is None else settings.electricity.clock
        self._heat = HeatWatch(
            settings.heat_meters,
            settings.workers,
            lambda: study.runs.beside(run.run_id),
            study.pauses.writer(run.run_id, clock, "heat"),
            settings.note,
        )
        self._workers = Workers(settings.workers, self._show, settings.quota.stop)
        seed = [settings.seed, sum(study.trials.counts().values())]
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
        self._context = SearchContext(
            problem=problem,
            study=study,
            run=run,
            ledger=ledger,
            settings=settings,
            archive=self._archive,
            optuna_study=self.optuna_study,
            references={each.key: each for each in problem.reference_candidates()},
        )
        self._shown: Status | None = None
        self._shown_at = 0.0
        self._adopting = threading.Lock()
        self._adopted_at = 0.0
        self._feedback = Feedback(self._context, self._enqueue)
        races = settings.sampler == "green"
        self._rule = StopRule(self._context, told=races)
        self._proposer: Proposer[C]
        if races:  # whose models take a while to import
            from greenfront.search.proposals.racing import Race

            self._proposer = Race(self._context, self._rule.refuses)
        else:
            self._proposer = Asking(self._context, seed=seed)
        self._ends = TrialEnds(self._context)

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
        study = self._study
        self._adopt()
        alone = self._is_alone()
        if alone:
            drop_unclaimed(self.optuna_study, study.trials)
        self._archive.refresh()
        self._feedback.queue_again(queue_first_generation(self._context))
        patience = study.storage.patience
        with (
            heartbeat(
                self._run,
                self._ledger,
                self._settings.instruments,
                self._show,
                self._workers.fail,
            ),
            patience.until(self._workers.stop),
        ):
            reason = self._workers.run(self._work, self.watch.reached)
        # What was asked for and never claimed: by a run that might have been alive at the start, or
        # where the database had made a trial and its answer was lost.
        if (patience.losses or not alone) and self._is_alone():
            drop_unclaimed(self.optuna_study, study.trials)
        left = self._settings.quota.left(reason)
        if not left and self._is_alone():
            self._proposer.end(reason)
        return reason

    def hand_over(self) -> None:
        """Queues again, for others, what runs that have ended were at."""
        # Where the database is away, the next run does it.
        with contextlib.suppress(sa.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError):
            self._adopt()

    def _is_alone(self) -> bool:
        return len(self._study.runs.living()) == 1

    def _adopt(self) -> None:
        adopt_dead_runs(
            self.optuna_study,
            self._study.trials,
            self._study.runs,
            raced=self._proposer.raced,
            told=self._archive.told,
        )

    # --- one worker --------------------------------------------------------------------------

    def _work(self, index: int) -> str:
        try:
            with self._problem.worker() as problem:
                return self._loop(problem, index)
        finally:
            if self._scheduler is not None:
                self._scheduler.leave(index)
            self._heat.leave(index)

    def _loop(self, problem: Problem[C], index: int) -> str:
        done = 0
        while not self._workers.stop.is_set():
            ends = self._workers.ends
            self._archive.refresh()
            reason = self.watch.reached() or self._rule.reached()
            reason = reason or self._settings.quota.over(index, self._settings.workers, done)
            if reason:
                return reason
            if not self._proposer.has_room():
                # Another worker's claim may have been refused meanwhile.
                if not self._left_to_others(index, ends) and not self._proposer.has_room():
                    return self._proposer.full
                continue
            if self._proposer.exhausted(index):
                return self._proposer.finished
            if self._paused(index):
                continue  # the budget may have been reached meanwhile
            step = self._proposer.next(index)
            if isinstance(step, Step):
                self._try(problem, index, step)
                done += 1
            elif step == "again" or self._left_to_others(index, ends):
                continue
            elif self._proposer.has_room():
                return self._rule.reached() or self._proposer.finished
        raise Interrupted("the search was stopped")

    def _left_to_others(self, index: int, ends: int) -> bool:
        """Waits a little where others are still at work; returns whether they are."""
        claiming = self._proposer.busy  # asked first: what was claimed is in the archive afterwards
        counts = self._archive.counts()
        if not (claiming or counts["running"] or counts["requeued"]):
            return False
        if self._scheduler is not None:
            self._scheduler.leave(index)
        self._heat.idle(index)
        # If a run dies, its trial is taken over here: one look serves all workers.
        self._workers.say(index, "waiting for trials of other workers")
        if self._workers.await_end(ends, WAIT_SECONDS):
            return True
        with self._adopting:
            if time.monotonic() >= self._adopted_at + WAIT_SECONDS:
                self._adopt()
                self._adopted_at = time.monotonic()
        return True

    def _try(self, problem: Problem[C], index: int, step: Step[C]) -> None:
        number = step.trial.number
        self._workers.say(index, f"trial {number}")

        def context_at(fidelity: int, checkpoint: object | None) -> RunningTrial:
            return RunningTrial(
                ledger=self._ledger,
                number=number,
                worker=index,
                archive=self._archive,
                stop=self._workers.stop,
                watch=self.watch,
                say=lambda message: self._workers.say(index, message),
                scheduler=self._scheduler,
                fidelity=fidelity,
                checkpoint=checkpoint,
                learnt=self._paces,
            )

        with self._estimator.trial(index) as worked:
            done = self._proposer.carry_out(step, problem, context_at)
            for count in range(2, ATTEMPTS + 1):
                if done is None or not done.by_accident or not problem.needed(step.candidate):
                    break
                self._settings.note(
                    f"trial {number} failed ({done.reason}): others are compared with it, so it is "
                    f"tried again, for the {count}. of {ATTEMPTS} times"
                )
                done = self._proposer.carry_out(step, problem, context_at)
        if done is None:
            self._ledger.merge(number)
            self._estimator.paused(worked())
        else:
            told = self._ends.write(step, done)
            if told == "complete":
                self._feedback.finished(number, step.trial.params)
            if told is not None:
                self._estimator.finished(worked())
                if self._settings.observer is not None:
                    self._archive.refresh()
                    self._settings.observer.finished(self._study.trials.get(number))
                self._ends.require_progress(step, done)
        self._shown = None
        self._workers.say(index, "")

    # --- when to work ------------------------------------------------------------------------

    def _paused(self, index: int) -> bool:
        """Waits before a trial until it is time to work; returns whether it did."""
        rest, say = self._workers.rest, partial(self._workers.say, index)
        if self._scheduler is not None and self._scheduler.hold(index, None, rest, say):
            return True
        hot = self._heat.hold(index, rest, say)
        if hot and self._scheduler is not None:
            self._scheduler.leave(index)
        return hot

    # --- what to try -------------------------------------------------------------------------

    def _enqueue(self, point: Point) -> None:
        self.optuna_study.enqueue_trial(dict(point))
        self._proposer.expect_queued()

    def _tried(self, point: Point) -> bool:
        return self._archive.tried(self._problem.space.decode(point).key)

    # --- what is shown -----------------------------------------------------------------------

    def _show(self) -> None:
        observer, shown = self._settings.observer, self._shown
        if observer is None:
            return
        now = time.monotonic()
        if shown is not None and now < self._shown_at + SHOWN_SECONDS:
            observer.changed(replace(shown, doing=self._workers.doing()))
            return
        self._shown_at, self._shown = now, self.status()
        observer.changed(self._shown)

    def status(self) -> Status:
        """The search as it stands now."""
        spent, counts = self._study.ledger.total(), self._archive.counts()
        front_size, hypervolume = self._archive.front()
        effort = self._proposer.effort()
        return Status(
            counts=counts,
            front_size=front_size,
            hypervolume=hypervolume,
            kwh_spent=spent.kwh,
            co2_kg_spent=spent.co2_kg,
            budget=self._budget,
            seconds_left=self._estimator.seconds_left(counts, spent.kwh, effort),
            doing=self._workers.doing(),
            effort=effort,
        )

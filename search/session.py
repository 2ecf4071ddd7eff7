"""A study of networks from its file to its end, as ``run`` and ``resume`` carry it out."""

from __future__ import annotations

import contextlib
import resource
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from greenfront.errors import StudyError, UsageError
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import Instruments, open_instruments
from greenfront.objectives.metering.pinned import require_pinned, with_machine_of
from greenfront.search.afterwards.closing import Closing
from greenfront.search.afterwards.cross_validating import cross_validate
from greenfront.search.afterwards.ensembling import add_ensemble
from greenfront.search.afterwards.repeating import repeat_front
from greenfront.search.electricity.intensity import IntensityProvider, intensity_provider
from greenfront.search.electricity.scheduler import Electricity, ScheduleSettings
from greenfront.search.networks.exploration import Exploration, Prepaid, explore, may_use_gpu
from greenfront.search.networks.problem import NetworkProblem
from greenfront.search.optimize import SearchResult, search_study
from greenfront.search.planning.forecasting import (
    forecast_of,
    forecast_of_history,
    prepaid_kwh,
    tried_first,
)
from greenfront.search.planning.warm_start import warm_start
from greenfront.search.runs.quota import Quota
from greenfront.search.settings import SearchSettings
from greenfront.search.status import Observer
from greenfront.search.stopping.budget_watch import BudgetWatch
from greenfront.studies.config.facts import StudyFacts, TraceFacts
from greenfront.studies.config.forecast import Forecast
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger_writer import Charged, LedgerWriter
from greenfront.studies.store.runs import Run
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, study_names
from greenfront.studies.store.urls import shown_url

__all__ = ["PeakMemory", "Session", "open_session"]


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Highest resident memory in bytes: of this process, and of the largest evaluator."""

    supervisor: int
    evaluator: int


@dataclass(frozen=True, slots=True)
class Session:
    """A study that is ready to run: data checked, instruments chosen, nothing written yet."""

    file: StudyFile
    problem: NetworkProblem
    instruments: Instruments
    charged: tuple[Charged, ...]
    provider: IntensityProvider | None = None
    forecast: Forecast | None = None

    def peak_memory(self) -> PeakMemory:
        """Highest resident memory so far."""
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return PeakMemory(own, self.problem.peak_memory_bytes)

    def search(
        self,
        storage: Storage,
        observer: Observer | None = None,
        quota: Quota | None = None,
        *,
        joins: bool = False,
    ) -> SearchResult:
        """Creates or joins the study and searches until a budget is reached.

        Args:
            storage: Where it is kept.
            observer: Is told of all progress.
            quota: How much of it this run does; ``None``: all that is left.
            joins: Whether the study keeps the budgets and places with which it was begun.

        Raises:
            StudyError: The name is taken by another study.
            MeterError: The study is pinned to other instruments.
            SearchAborted: The same cause failed three trials in a row.
        """
        file = self.file
        note = (lambda _message: None) if observer is None else observer.note
        storage.patience.begin(file.study.patience_minutes, note)
        study = Study.create(
            storage,
            file.study.name,
            directions=self.problem.told_directions,
            identity=self.problem.identity(),
            configuration=_kept(file),
            meters=self.instruments.pin(),
            facts=to_json(replace(self.problem.facts, forecast=self.forecast)),
        )
        here, known = self.instruments.pin(), study.meters or []
        require_pinned(known, here, file.metering.machines)
        if with_machine_of(known, here) != known:
            study.store_meters(with_machine_of(known, here))
        if not joins:  # budgets may have been raised
            study.store_configuration(_kept(file))
        quota = quota or Quota()
        settings = SearchSettings(
            sampler=file.search.sampler,
            seed=file.study.seed,
            population=file.search.population,
            workers=quota.workers or file.search.workers,
            budget=file.budget,
            carbon=file.carbon.study_model(self.problem.facts),
            electricity=self._electricity(study),
            instruments=self.instruments.of_a_supervisor(),
            heat_meters=self.instruments.meters,
            prepaid=self.charged,
            observer=observer,
            quota=quota,
        )

        def afterwards(run: Run, ledger: LedgerWriter, watch: BudgetWatch) -> None:
            if study.runs.living()[:1] != [run.run_id]:
                if file.objectives.repeats > 1:
                    settings.note("the front is measured again by the run that began first")
                return
            closing = Closing(self.problem, study, run, ledger, watch, settings.note)
            passed_over = cross_validate(closing)
            # Once luck is out models answer together, and are then judged as the others.
            if add_ensemble(closing):
                cross_validate(closing, passed_over)
            repeat_front(closing)

        return search_study(self.problem, study, settings, afterwards)

    def _electricity(self, study: Study) -> Electricity | None:
        if self.provider is None:
            return None
        carbon = self.file.carbon
        clock = carbon.clock(study.created_at)
        settings = None
        if carbon.waits and carbon.deadline_hours is not None:
            deadline = clock.at(study.created_at) + SECONDS_PER_HOUR * carbon.deadline_hours
            settings = ScheduleSettings(deadline, carbon.pause_above, self.file.throughput)
        return Electricity(self.provider, clock, settings)


@contextlib.contextmanager
def open_session(file: StudyFile, *, new_in: Storage | None = None) -> Iterator[Session]:
    """Loads the data, checks them and chooses the instruments; writes no study.

    Args:
        file: The study.
        new_in: Where the study will be kept; a study of its name there must be the same one.

    Raises:
        UsageError: The data cannot be used, or the name is taken by another study.
        MeterError: An instrument that the study needs does not work here.
        SearchAborted: The evaluator died over the data.
    """
    trace, provider = intensity_provider(file.carbon)
    with contextlib.ExitStack() as stack:
        with _nothing_left_of_a_refusal(Path(file.study.cache)):
            study, known = _begun_study(new_in, file, trace) if new_in else (None, None)
            pinned = None if study is None else study.meters
            instruments = open_instruments(file.metering, pinned, gpu=may_use_gpu(file))
            found = explore(file, instruments, known=known)
            stack.callback(found.evaluator.close, TrialContext())
            facts = replace(found.facts, trace=trace)
            file.objectives.folds_of(facts.task)
            if study is None:
                file.carbon.require(facts)
                cold = NetworkProblem(file, facts, found.instruments)
                facts = replace(facts, warm=warm_start(cold, new_in))
            problem = NetworkProblem(file, facts, found.instruments, warm=found.evaluator)
            stack.callback(problem.close)
            if study is not None:
                study.require(problem.identity())
        forecast, charged = None, found.charged
        if study is None:
            forecast, charged = _forecast(problem, found, new_in)
        yield Session(file, problem, found.instruments, charged, provider, forecast)


def _forecast(
    problem: NetworkProblem, found: Exploration, storage: Storage | None
) -> tuple[Forecast | None, tuple[Charged, ...]]:
    """What a new study will cost, and what was charged before it."""
    known = None if storage is None else forecast_of_history(problem, storage)
    if known is not None or not found.evaluator.alive:
        return known, found.charged
    context = Prepaid(list(found.charged))
    tried = tried_first(problem, found.evaluator, context)
    charged = tuple(context.entries)
    return forecast_of(problem, tried, prepaid_kwh(charged)) if tried else None, charged


def _begun_study(
    storage: Storage, file: StudyFile, trace: TraceFacts | None
) -> tuple[Study, StudyFacts] | tuple[None, None]:
    """The study of this name, with its facts, if the storage holds one."""
    name = file.study.name
    if name not in study_names(storage):
        return None, None
    study = Study.open(storage, name)
    if study.facts is None:
        raise StudyError(
            f"study {name!r} is not a study of networks: give the new one another name under "
            "[study] name"
        )
    facts = from_json(StudyFacts, study.facts)
    if facts.trace is not None and trace is not None and facts.trace.sha256 != trace.sha256:
        raise StudyError(
            f"[carbon] trace: {file.carbon.trace} has another content than when study {name!r} "
            "began: restore it, or give the new study another name under [study] name"
        )
    return study, facts


def _kept(file: StudyFile) -> dict[str, Any]:
    """What the study keeps of its file; passwords do not belong there."""
    return file.changed(storage=shown_url(file.study.storage)).to_json()


@contextlib.contextmanager
def _nothing_left_of_a_refusal(cache: Path) -> Iterator[None]:
    """Removes a cache folder that was made for input that was then refused."""
    was_there = cache.exists()
    try:
        yield
    except (UsageError, KeyboardInterrupt):
        if not was_there:
            shutil.rmtree(cache, ignore_errors=True)
        raise

"""The search of any problem, as one call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.metering.instruments import Instruments
from greenfront.search.electricity.scheduler import CarbonScheduler, Electricity, RunMoments
from greenfront.search.engine import Engine
from greenfront.search.problem import Problem
from greenfront.search.samplers.named import SamplerName, default_population
from greenfront.search.status import Observer
from greenfront.spaces.space import Choice
from greenfront.studies.analysis.progress import ProgressPoint, progress
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.ledger import Charged, LedgerWriter, Spent
from greenfront.studies.store.runs import Run
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Direction, Study
from greenfront.studies.store.trials import TrialRow

__all__ = ["SearchResult", "directions", "optimize_problem", "search_study"]

C = TypeVar("C", bound=Choice)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search has found.

    Attributes:
        study: Optuna's study; its ``best_trials`` are the front.
        trials: Every trial of the total, by number.
        curve: kWh spent and hypervolume after each finished trial.
        spent: What the search has cost in all.
        reason: Why it ended, in words.
    """

    study: optuna.Study
    trials: tuple[TrialRow, ...]
    curve: tuple[ProgressPoint, ...]
    spent: Spent
    reason: str


def optimize_problem(
    problem: Problem[C],
    *,
    sampler: SamplerName = "nsga2",
    trials: int | None = None,
    budget_kwh: float | None = None,
    budget_minutes: float | None = None,
    seed: int = 0,
    storage: str | None = None,
    name: str = "study",
    population: int | None = None,
    workers: int = 1,
    instruments: Instruments | None = None,
    observer: Observer | None = None,
) -> SearchResult:
    """Searches a problem; a study that the storage holds already goes on where it stopped.

    Args:
        problem: What to search.
        sampler: ``"nsga2"``, ``"nsga3"``, ``"tpe"``, ``"gp"`` or ``"random"``.
        trials: Finished trials in all, over every call; ``None``: until another budget is reached.
        budget_kwh: Energy of the search in all.
        budget_minutes: Time in all.
        seed: Of the sampler.
        storage: SQLAlchemy URL; ``None`` keeps the study in this process alone.
        name: Of the study, unique in its storage.
        population: Trials a generation; by default a quarter of ``trials``, from 8 to 50.
        workers: Evaluations at once, each in a thread.
        instruments: Meter this process, so that the search's own energy is charged too.
        observer: Watches.

    Returns:
        The study, its trials, and the curve of hypervolume over energy. The study of a search
        without a storage stays readable; nothing of it is kept.

    Raises:
        StorageError: The storage cannot be opened.
        StudyError: The storage holds another study of this name.
        SearchAborted: The same cause failed three trials in a row.
    """
    opened = Storage(storage) if storage else Storage.temporary()
    try:
        record = Study.create(
            opened,
            name,
            directions=directions(problem),
            identity=problem.identity(),
            configuration={"sampler": sampler, "seed": seed},
            meters=None if instruments is None else instruments.pin(),
            facts=None,
        )
        return search_study(
            problem,
            opened,
            record,
            sampler=sampler,
            budget=Budget(trials=trials, kwh=budget_kwh, minutes=budget_minutes),
            seed=seed,
            population=population,
            workers=workers,
            carbon=None,
            instruments=instruments,
            observer=observer,
        )
    finally:
        opened.close()


def search_study(
    problem: Problem[C],
    storage: Storage,
    record: Study,
    *,
    sampler: str,
    budget: Budget,
    seed: int,
    population: int | None = None,
    workers: int = 1,
    carbon: CarbonModel | None = None,
    electricity: Electricity | None = None,
    instruments: Instruments | None = None,
    prepaid: Sequence[Charged] = (),
    observer: Observer | None = None,
    afterwards: Callable[[Run, LedgerWriter], None] | None = None,
) -> SearchResult:
    """Searches on within a study that has been begun; see :func:`optimize_problem`.

    Args:
        problem: What to search.
        storage: Open, and left open.
        record: The study.
        sampler: By name.
        budget: Of the study in all.
        seed: Of the sampler.
        population: Trials a generation.
        workers: Evaluations at once.
        carbon: Turns energy into CO₂ in the ledger.
        electricity: Tells the ledger the intensity of each entry's time, and may hold the search
            until it is low.
        instruments: Meter this process.
        prepaid: What preparing this run has cost already, to be charged to the search itself.
        observer: Watches.
        afterwards: What is still to be done, and charged, when the last trial is finished.
    """

    def note(message: str) -> None:
        if observer is not None:
            observer.note(message)

    moments = None
    if electricity is not None:
        earlier = record.pauses.waited_seconds()
        moments = RunMoments(electricity.outlook, electricity.clock, earlier)
    run = record.runs.begin()
    ledger = record.ledger.writer(run.run_id, carbon, moments)
    try:
        for cost in prepaid:
            ledger.settle(cost)
        with contextlib.ExitStack() as stack:
            gate = None
            if electricity is not None and moments is not None:
                stack.enter_context(electricity.outlook.running(note))
                book = record.pauses.writer(run.run_id, electricity.clock)
                gate = CarbonScheduler.made(electricity, book, moments, note)
            engine: Engine[Any] = Engine(
                problem,
                storage,
                record,
                run,
                sampler=sampler,
                population=population or default_population(budget.trials),
                budget=budget,
                seed=seed,
                ledger=ledger,
                instruments=instruments,
                workers=workers,
                observer=observer,
                gate=gate,
            )
            reason = engine.work()
            if afterwards is not None:
                afterwards(run, ledger)
    finally:
        run.end()
    rows = record.trials.all()
    box = problem.corners({row.key: row.values for row in rows if row.values is not None})
    maximise = [objective.maximise for objective in problem.objectives]
    return SearchResult(
        study=engine.study,
        trials=tuple(rows),
        curve=tuple(progress(record, maximise, box)),
        spent=record.ledger.total(),
        reason=reason,
    )


def directions(problem: Problem[Any]) -> list[Direction]:
    """The objectives' directions in Optuna's words."""
    return ["maximize" if o.maximise else "minimize" for o in problem.objectives]

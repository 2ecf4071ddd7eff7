"""The search of any problem, as one call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import optuna
import sqlalchemy as sa

from greenfront.errors import StorageLost, UsageError
from greenfront.objectives.metering.instruments import Instruments
from greenfront.search.electricity.scheduler import RunMoments
from greenfront.search.engine.loop import Engine
from greenfront.search.problem import Problem
from greenfront.search.runs.rescuing import hold, rescued
from greenfront.search.samplers.named import SamplerName
from greenfront.search.settings import SearchSettings
from greenfront.search.status import Observer
from greenfront.search.stopping.budget_watch import BudgetWatch
from greenfront.spaces.space import Choice, SearchSpace
from greenfront.studies.analysis.history.progress import Course, ProgressPoint
from greenfront.studies.analysis.ranking.volume import Corners
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.ledger import Spent
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.patience import PATIENCE_MINUTES
from greenfront.studies.store.runs import Run
from greenfront.studies.store.sqlite import require_sound
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import Trial

__all__ = ["SearchOptions", "SearchResult", "optimize_problem", "result_of", "search_study"]

C = TypeVar("C", bound=Choice)


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        study: Optuna's study; its ``best_trials`` are the front.
        trials: Every trial of the total, by number.
        spent: Cost of the search in all.
        reason: Why it ended, in words.
        run_id: Of the run; ``None`` where many runs have searched.
    """

    study: optuna.Study
    trials: tuple[Trial[Any, Any], ...]
    spent: Spent
    reason: str
    run_id: str | None
    _course: Course = field(repr=False)
    _maximised: tuple[bool, ...] = field(repr=False)
    _box: Corners | None = field(repr=False)

    @cached_property
    def curve(self) -> tuple[ProgressPoint, ...]:
        """Energy spent and hypervolume after each finished trial, computed when it is asked for."""
        return tuple(self._course.steps(self._maximised, self._box))


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Further options of :func:`optimize_problem`.

    Attributes:
        name: Of the study, unique in its storage.
        population: Parents kept by a genetic sampler; by default a quarter of the trials, 8 to 50.
        workers: Evaluations at once, each in a thread.
        budget_minutes: Time in all.
        instruments: Meter this process, so that the search's own energy is charged too, such as
            what ``greenfront.objectives.metering.instruments.detect()`` finds.
        observer: Is told of all progress; see :class:`~greenfront.search.status.Observer`.
        patience_minutes: How long a database server that is away is waited for.
    """

    name: str = "study"
    population: int | None = None
    workers: int = 1
    budget_minutes: float | None = None
    instruments: Instruments | None = None
    observer: Observer | None = None
    patience_minutes: float = PATIENCE_MINUTES


def optimize_problem(
    problem: Problem[C],
    *,
    trials: int | None = None,
    sampler: SamplerName = "nsga2",
    budget_kwh: float | None = None,
    seed: int = 0,
    storage: str | None = None,
    options: SearchOptions = SearchOptions(),
) -> SearchResult:
    """Searches a problem; a study that the storage holds already goes on where it stopped.

    Example:
        >>> from greenfront import (
        ...     Evaluation, Objective, PlainChoice, Problem, Real, SearchSpace, optimize_problem
        ... )
        >>> class Trade(Problem[PlainChoice]):
        ...     space = SearchSpace((Real("x", 0, 1),), lambda point: PlainChoice(dict(point)))
        ...     objectives = (Objective("quality", maximise=True), Objective("cost"))
        ...
        ...     def evaluate(self, candidate, context):
        ...         x = candidate.values["x"]
        ...         return Evaluation((x, x * x), spent_kwh=1e-6)
        >>> result = optimize_problem(Trade(), trials=8, seed=1)
        >>> len(result.trials), result.reason
        (8, 'all 8 trials are finished')

    Args:
        problem: The problem to search.
        trials: Finished trials in all, over every call; ``None``: until another budget is reached.
            In a race, those that were given up at a rung count by their share of the effort.
        sampler: ``"green"``, ``"nsga2"``, ``"nsga3"``, ``"tpe"``, ``"gp"`` or ``"random"``.
        budget_kwh: Energy of the search in all.
        seed: Of the sampler.
        storage: SQLAlchemy URL; ``None`` keeps the study in this process alone.
        options: Further options, such as ``SearchOptions(workers=4)``.

    Returns:
        The study, its trials, and the curve of hypervolume over energy. The study of a search
        without a storage stays readable; nothing of it is kept.

    Raises:
        UsageError: An argument breaks a rule, or the problem returns what cannot be kept.
        StorageError: The storage cannot be opened.
        StudyError: The storage holds another study of this name.
        SearchAborted: The same cause failed three trials in a row.
    """
    _require_problem(problem)
    _require_options(trials, budget_kwh, seed, options)
    if problem.space.size() is None and not any((trials, budget_kwh, options.budget_minutes)):
        raise UsageError(
            "optimize_problem: a space with a continuum never ends: give trials, budget_kwh or "
            "SearchOptions(budget_minutes=…)"
        )
    opened = Storage(storage) if storage else Storage.temporary()
    instruments = options.instruments
    try:
        study = Study.create(
            opened,
            options.name,
            directions=problem.told_directions,
            identity=problem.identity(),
            configuration={"sampler": sampler, "seed": seed},
            meters=None if instruments is None else instruments.pin(),
            facts=None,
        )
        settings = SearchSettings(
            sampler=sampler,
            seed=seed,
            population=options.population,
            workers=options.workers,
            budget=Budget(trials=trials, kwh=budget_kwh, minutes=options.budget_minutes),
            instruments=instruments,
            heat_meters=() if instruments is None else instruments.meters,
            observer=options.observer,
        )
        opened.patience.begin(options.patience_minutes, settings.note)
        return search_study(problem, study, settings)
    finally:
        opened.close()


def _require_problem(problem: object) -> None:
    if not isinstance(problem, Problem):
        raise UsageError(
            "problem: must be an object of a class derived from greenfront.Problem, such as "
            f"Trade(), got {problem!r}"
        )
    name = type(problem).__name__
    if not isinstance(getattr(problem, "space", None), SearchSpace):
        raise UsageError(f"{name}.space: must be a SearchSpace: set it in the class")
    names = [objective.name for objective in getattr(problem, "objectives", ())]
    if not names or len(set(names)) < len(names):
        raise UsageError(
            f"{name}.objectives: must be one Objective or more, each with a name of its own, got "
            f"{names}"
        )
    choice = problem.space.decode(problem.space.sample(np.random.default_rng(0)))
    if not (hasattr(choice, "key") and hasattr(choice, "to_json")):
        raise UsageError(
            f"{name}.space: decode must give a choice with key and to_json, such as "
            f"PlainChoice(dict(point)), got {choice!r}"
        )


def _require_options(trials: object, budget_kwh: object, seed: object, options: object) -> None:
    if not isinstance(options, SearchOptions):
        raise UsageError(f"options: must be SearchOptions(…), got {options!r}")
    if not options.name:
        raise UsageError("SearchOptions.name: must not be empty")
    numbers: list[tuple[str, object, int]] = [
        ("trials", trials, 1),
        ("seed", seed, 0),
        ("SearchOptions.workers", options.workers, 1),
        ("SearchOptions.population", options.population, 2),
    ]
    for name, whole, least in numbers:
        if whole is not None and (not isinstance(whole, int) or whole < least):
            raise UsageError(f"{name}: must be a whole number of {least} or more, got {whole!r}")
    limits: list[tuple[str, object]] = [
        ("budget_kwh", budget_kwh),
        ("SearchOptions.budget_minutes", options.budget_minutes),
    ]
    for name, limit in limits:
        if limit is not None and not (isinstance(limit, int | float) and limit > 0):
            raise UsageError(f"{name}: must be a number above 0, got {limit!r}")


def search_study(
    problem: Problem[C],
    study: Study,
    settings: SearchSettings,
    afterwards: Callable[[Run, LedgerWriter, BudgetWatch], None] | None = None,
) -> SearchResult:
    """Searches on within a study that has been begun; see :func:`optimize_problem`.

    Args:
        problem: The problem to search.
        study: In an open storage, which is left open.
        settings: Of the search.
        afterwards: Called after the last trial, within the run.

    Raises:
        StorageError: A run has died since, and its database file is damaged.
    """
    if dead := study.runs.broken_off():
        require_sound(study.storage.engine)
        study.runs.sign_out(dead)  # the next run need not read the file through for these
    run = study.runs.begin()
    electricity, moments = settings.electricity, None
    if electricity is not None:
        waited = study.pauses.waited_seconds(settings.waiting_workers)
        moments = RunMoments(electricity.provider, electricity.clock, waited, settings.workers)
    ledger = study.ledger.writer(run.run_id, settings.carbon, moments, run.known)
    held = hold(study.storage)
    engine = None
    try:
        for cost in settings.prepaid:
            ledger.settle(cost)
        with electricity.provider.running(settings.note) if electricity else nullcontext():
            engine = Engine(problem, study, run, ledger, settings, moments)
            reason = engine.work()
            if afterwards is not None and not settings.quota.left(reason):
                afterwards(run, ledger, engine.watch)
        run.end()
        engine.hand_over()
    except BaseException as failure:
        lost = rescued(study, run, held, failure)
        with suppress(sa.exc.DBAPIError, StorageLost):  # which may be what was raised
            run.end()
            if engine is not None:
                engine.hand_over()
        if lost is not None:
            raise lost from failure
        raise
    finally:
        held.close()
    return result_of(problem, study, engine.optuna_study, reason, run.run_id)


def result_of(
    problem: Problem[C],
    study: Study,
    optuna_study: optuna.Study,
    reason: str,
    run_id: str | None = None,
) -> SearchResult:
    """What a search has come to, as the database tells it.

    Args:
        problem: That was searched.
        study: In an open storage.
        optuna_study: The same, as Optuna knows it.
        reason: Why the search ended, in words.
        run_id: See :class:`SearchResult`.
    """
    trials = study.trials.all()
    box = problem.corners({t.key: t.values for t in trials if t.values is not None})
    return SearchResult(
        study=optuna_study,
        trials=tuple(trials),
        spent=study.ledger.of_search(),
        reason=reason,
        run_id=run_id,
        _course=Course.of(study),
        _maximised=tuple(problem.maximised),
        _box=box,
    )

"""Commands that search: plan, run, resume."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenfront.cli.cluster import EngineOptions
from greenfront.cli.options import (
    AsJson,
    StorageOptions,
    StudyName,
    console,
    grouped_options,
    print_json,
)
from greenfront.cli.running import quiet_optuna, status, termination_as_interrupt
from greenfront.errors import StorageError, UsageError

if TYPE_CHECKING:
    from greenfront.search.networks.problem import NetworkProblem
    from greenfront.search.optimize import SearchResult
    from greenfront.search.session import PeakMemory
    from greenfront.search.status import Observer
    from greenfront.studies.analysis.view import StudyView
    from greenfront.studies.config.study_file import StudyFile
    from greenfront.studies.store.storage import Storage

__all__ = ["plan", "resume", "run"]

StudyPath = Annotated[Path, typer.Argument(help="The study file.", metavar="STUDY.toml")]
Trials = Annotated[
    int | None, typer.Option("--trials", min=1, help="Finished trials of the study in all.")
]
BudgetKwh = Annotated[
    float | None, typer.Option("--budget-kwh", help="Energy of the search in all.", metavar="KWH")
]
BudgetMinutes = Annotated[
    float | None,
    typer.Option("--budget-minutes", help="Time of the search in all.", metavar="MINUTES"),
]


WarmStart = Annotated[
    str | None,
    typer.Option(
        "--warm-start",
        help="Begin with the front of a study of the same data; auto: of all in the storage.",
        metavar="NAME",
    ),
]


def plan(study_file: StudyPath, warm_start: WarmStart = None, as_json: AsJson = False) -> None:
    """Forecast what a search will cost, and whether its limits can be met; writes nothing."""
    from greenfront.search.planning.plan import plan_study
    from greenfront.studies.config.study_file import StudyFile
    from greenfront.studies.store.storage import Storage

    file = StudyFile.read(study_file).changed(warm_start=warm_start)
    with contextlib.ExitStack() as stack:
        earlier = None
        with contextlib.suppress(StorageError):  # it is told from an epoch then
            earlier = Storage.existing(file.study.storage)
        if earlier is not None:
            stack.callback(earlier.close)
        stack.enter_context(status("Trying one epoch of a few candidates …", quiet=as_json))
        found = plan_study(file, earlier=earlier)
    if as_json:
        from greenfront.objectives.codec import to_json

        print_json(to_json(found))
    else:
        from greenfront.cli.plan_text import plan_text

        console().print(plan_text(found), crop=False)


@dataclass(frozen=True)
class OtherStorageOptions(StorageOptions):
    """The same, where the study file has its say, too."""

    storage: Annotated[
        str | None,
        typer.Option("--storage", help="SQLAlchemy URL instead of the file's.", metavar="URL"),
    ] = None


@dataclass(frozen=True)
class BeginOptions(EngineOptions):
    """The same, and what a new study begins with."""

    warm_start: WarmStart = None


@grouped_options
def run(
    study_file: StudyPath,
    storage: OtherStorageOptions,
    engine: BeginOptions,
    trials: Trials = None,
    budget_kwh: BudgetKwh = None,
    budget_minutes: BudgetMinutes = None,
    as_json: AsJson = False,
) -> None:
    """Search; a study that was begun already goes on, also beside another run of it."""
    from greenfront.studies.config.study_file import StudyFile

    file = StudyFile.read(study_file).changed(
        trials=trials,
        kwh=budget_kwh,
        minutes=budget_minutes,
        workers=engine.workers,
        storage=storage.given,
        warm_start=engine.warm_start,
    )
    where = StorageOptions(file.study.storage) if storage.given is None else storage
    _search(file, where, engine, trials, as_json)


@grouped_options
def resume(
    name: StudyName,
    storage: StorageOptions,
    engine: EngineOptions,
    trials: Trials = None,
    budget_kwh: BudgetKwh = None,
    budget_minutes: BudgetMinutes = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a study where it stopped; it holds its own configuration."""
    from greenfront.studies.config.own_code import require_named_here
    from greenfront.studies.config.study_file import StudyFile
    from greenfront.studies.store.study import Study

    with storage.opened() as database:
        study = Study.open(database, name)
    if study.facts is None:
        raise UsageError(f"study {name!r} was begun from Python: go on there")
    stored = StudyFile.from_stored(study.configuration)
    require_named_here(stored, f"study {name!r}")
    file = stored.changed(
        trials=trials,
        kwh=budget_kwh,
        minutes=budget_minutes,
        workers=engine.workers,
        storage=storage.url,
    )
    _search(file, storage, engine, trials, as_json)


def _search(
    file: StudyFile, where: StorageOptions, engine: EngineOptions, trials: int | None, as_json: bool
) -> None:
    from greenfront.cli.screen import watch
    from greenfront.studies.analysis.view import view
    from greenfront.studies.store.storage import Storage
    from greenfront.studies.store.study import forget_deleted

    begins = _on_cluster if engine.is_ray() else _here
    quiet_optuna()
    name, url = file.study.name, file.study.storage
    Storage.refuse_foreign(url, name)
    known = Storage.existing(url)
    with contextlib.ExitStack() as stack:
        if known is not None:
            stack.callback(known.close)
            for deleted in forget_deleted(known):
                console(stderr=True).print(
                    f"Study {deleted} was deleted through Optuna: what was kept of it beside "
                    "Optuna's trials is removed, too.",
                    markup=False,
                    soft_wrap=True,
                )
            _require_enough(known, name, trials)
        ready = stack.enter_context(begins(file, known, engine, as_json))
        storage = known or Storage(url)
        if storage is not known:
            stack.callback(storage.close)
        stack.enter_context(termination_as_interrupt())
        try:
            with watch(file, ready.kind, stderr=as_json) as observer:
                result, peak = ready.search(storage, observer)
            _show(view(storage, name), result, peak, where, as_json)
        except KeyboardInterrupt:
            if not _begun(storage, name):
                raise
            console(stderr=True).print(
                "Stopped. What was finished is kept; go on with: "
                + where.follow_up("resume", name, engine.again),
                markup=False,
                soft_wrap=True,
            )
            raise typer.Exit(1) from None


@dataclass(frozen=True)
class _Ready:
    """A search that can begin: how its joules are come by, and what carries it out."""

    kind: str
    search: Callable[[Storage, Observer], tuple[SearchResult, PeakMemory]]


@contextlib.contextmanager
def _here(
    file: StudyFile, known: Storage | None, _engine: EngineOptions, as_json: bool
) -> Iterator[_Ready]:
    from greenfront.search.session import open_session
    from greenfront.studies.analysis.words.wording import kind_of_readings

    with contextlib.ExitStack() as stack:
        with status("Loading the data …", quiet=as_json):
            session = stack.enter_context(open_session(file, new_in=known))
        if not as_json:
            _tell(session.problem, new=known is None or not _begun(known, file.study.name))

        def search(storage: Storage, observer: Observer) -> tuple[SearchResult, PeakMemory]:
            result = session.search(storage, observer)
            return result, session.peak_memory()

        yield _Ready(kind_of_readings(session.instruments.pin()), search)


@contextlib.contextmanager
def _on_cluster(
    file: StudyFile, _known: Storage | None, engine: EngineOptions, _as_json: bool
) -> Iterator[_Ready]:
    from greenfront.search.ray.study import search_on_cluster

    def search(storage: Storage, observer: Observer) -> tuple[SearchResult, PeakMemory]:
        found = search_on_cluster(file, file.study.storage, storage, engine.address, observer)
        return found.result, found.peak

    yield _Ready("metered on each node", search)


def _tell(problem: NetworkProblem, new: bool) -> None:
    """Says what is odd about data and workers, and whose idea the trials of a new study are."""
    from greenfront.search.engine.oversubscription import oversubscription_remarks
    from greenfront.search.evaluator.cores import cores_here
    from greenfront.studies.analysis.words.wording import sentence

    task, shares, study = problem.facts.task, problem.shares, problem.file.study
    columns = [column for column in task.schema.columns if column.warning] if task.schema else []
    screen = console(stderr=True)

    def told(remarks: Iterable[str], style: str = "dim") -> None:
        for remark in remarks:
            screen.print(sentence(remark), style=style, markup=False, soft_wrap=True)

    told(task.notes)
    for learnt, style in ((False, "dim"), (True, "yellow")):
        now = [c for c in columns if (c.used or c.kind == "target") == learnt]
        told((f"column {c.name!r}: {c.warning}" for c in now), style)
    if new:
        told(filter(None, [shares.sentence, shares.warning]))
        predictions = f"{problem.file.objectives.predictions:,.0f} predictions"
        told([f"the energy of a trial is that of making its model and of {predictions}"])
    workers, cores = problem.file.search.workers, len(cores_here())
    told(oversubscription_remarks(workers, study.threads, cores, study.storage))


def _show(
    found: StudyView, result: SearchResult, peak: PeakMemory, where: StorageOptions, as_json: bool
) -> None:
    if as_json:
        from greenfront.cli.json_output import run_json

        print_json(run_json(found, result, peak))
        return
    from greenfront.cli.studies_text import front_table, run_summary

    console().print(front_table(found), crop=False)
    console().print(run_summary(found, result.reason, peak))
    see = where.follow_up("report", found.name, " -o report.html")
    console().print(f"See it: {see}", markup=False, soft_wrap=True)
    if found.front.greenest is not None:
        take = where.follow_up("export", found.name, f" -o {found.name}-model")
        console().print(f"Take it along: {take}", markup=False, soft_wrap=True)


def _begun(storage: Storage, name: str) -> bool:
    from greenfront.studies.store.study import study_names

    return name in study_names(storage)


def _require_enough(storage: Storage, name: str, trials: int | None) -> None:
    """Refuses fewer trials in all than the study has finished already."""
    from greenfront.studies.store.study import Study
    from greenfront.studies.store.trials import FINISHED

    if trials is None or not _begun(storage, name):
        return
    counts = Study.open(storage, name).trials.counts()
    finished = sum(counts[state] for state in FINISHED)
    if trials < finished:
        raise UsageError(
            f"{finished} trials are finished already, --trials {trials} asks for fewer: it counts "
            f"all of the study's trials, so give {finished} or more, or leave it out"
        )

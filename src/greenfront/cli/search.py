"""Commands that search: plan, run, resume."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenfront.cli.options import (
    DEFAULT_STORAGE,
    AsJson,
    StorageUrl,
    StudyName,
    console,
    print_json,
)
from greenfront.errors import UsageError

if TYPE_CHECKING:
    from greenfront.studies.study_file import StudyFile

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
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Trials at once, each in its own process.")
]


def plan(study_file: StudyPath, as_json: AsJson = False) -> None:
    """Forecast what a search will cost, and whether its limits can be met; writes nothing."""
    from greenfront.search.forecast import forecast
    from greenfront.studies.study_file import StudyFile

    file = StudyFile.read(study_file)
    with _status("Trying one epoch of a few candidates …", quiet=as_json):
        found = forecast(file)
    if as_json:
        print_json(found.to_json())
    else:
        from greenfront.cli.tables import forecast_text

        console().print(forecast_text(found))


def run(
    study_file: StudyPath,
    trials: Trials = None,
    budget_kwh: BudgetKwh = None,
    budget_minutes: BudgetMinutes = None,
    workers: Workers = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", help="SQLAlchemy URL instead of the file's.", metavar="URL"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search; a study that was begun already goes on, also beside another run of it."""
    from greenfront.studies.study_file import StudyFile

    file = StudyFile.read(study_file).changed(
        trials=trials,
        kwh=budget_kwh,
        minutes=budget_minutes,
        workers=workers,
        storage=storage,
    )
    _search(file, as_json)


def resume(
    name: StudyName,
    trials: Trials = None,
    budget_kwh: BudgetKwh = None,
    budget_minutes: BudgetMinutes = None,
    workers: Workers = None,
    storage: StorageUrl = DEFAULT_STORAGE,
    as_json: AsJson = False,
) -> None:
    """Go on with a study where it stopped; it holds its own configuration."""
    from greenfront.studies.record import StudyRecord
    from greenfront.studies.storage import Storage
    from greenfront.studies.study_file import StudyFile

    opened = Storage(storage, create=False)
    try:
        record = StudyRecord.load(opened, name)
    finally:
        opened.close()
    if record.facts is None:
        raise UsageError(f"study {name!r} was begun from Python: go on there")
    file = StudyFile.from_stored(record.configuration).changed(
        trials=trials,
        kwh=budget_kwh,
        minutes=budget_minutes,
        workers=workers,
        storage=storage,
    )
    _search(file, as_json)


def _search(file: StudyFile, as_json: bool) -> None:
    import optuna

    from greenfront.cli.screen import watch
    from greenfront.search.session import open_session
    from greenfront.studies.storage import Storage
    from greenfront.studies.view import view

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name, url = file.study.name, file.study.storage
    known = Storage.existing(url)
    with contextlib.ExitStack() as stack:
        with _status("Loading the data …", quiet=as_json):
            session = stack.enter_context(open_session(file, new_in=known))
        storage = known or Storage(url)
        stack.callback(storage.close)
        stack.enter_context(_termination_as_interrupt())
        with watch(file, stderr=as_json) as observer:
            try:
                result = session.search(storage, observer)
            except KeyboardInterrupt:
                where = "" if url == DEFAULT_STORAGE else f" --storage {url}"
                console(stderr=True).print(
                    f"Stopped. What was finished is kept; go on with: greenfront resume "
                    f"{name}{where}",
                    markup=False,
                )
                raise typer.Exit(1) from None
        found = view(storage, name)
        peak = session.peak_memory()
        if as_json:
            print_json(
                {
                    "reason": result.reason,
                    "spent_kwh": result.spent.kwh,
                    "spent_co2_kg": result.spent.co2_kg,
                    "peak_memory_bytes": peak.to_json(),
                    "front": found.front.to_json(),
                }
            )
        else:
            from greenfront.cli.tables import front_table, run_summary

            console().print(front_table(found))
            console().print(run_summary(found, result.reason, peak))


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Lets SIGTERM end a run as orderly as Ctrl-C does."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _status(message: str, *, quiet: bool) -> Iterator[None]:
    screen = console(stderr=True)
    if quiet or not screen.is_terminal:
        yield
        return
    with screen.status(message):
        yield

"""The command that joins a study which was begun elsewhere: for schedulers of clusters."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from greenfront.cli.options import (
    AsJson,
    StorageOptions,
    StudyName,
    console,
    grouped_options,
    print_json,
)
from greenfront.cli.running import quiet_optuna, status, termination_as_interrupt
from greenfront.studies.analysis.words.quantities import counted

__all__ = ["worker"]


@dataclass(frozen=True)
class QuotaOptions:
    """How much one worker does."""

    max_trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials that it does at most.", metavar="N"),
    ] = None
    max_minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Minutes after which it begins no further trial.", metavar="M"),
    ] = None
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Trials at once, each in its own process.")
    ] = 1
    file: Annotated[
        Path | None,
        typer.Option(
            help="The study file, where data or cache lie elsewhere on this machine.",
            metavar="STUDY.toml",
        ),
    ] = None


@grouped_options
def worker(
    name: StudyName,
    storage: StorageOptions,
    options: QuotaOptions,
    as_json: AsJson = False,
) -> None:
    """Join a study that was begun elsewhere, and work on it until its budget is spent."""
    from greenfront.cli.screen import watch
    from greenfront.search.joining import joined_file, open_joined
    from greenfront.search.runs.quota import Quota
    from greenfront.studies.analysis.words.wording import kind_of_readings
    from greenfront.studies.config.study_file import StudyFile
    from greenfront.studies.store.study import Study

    quiet_optuna()
    here = None if options.file is None else StudyFile.read(options.file)
    again = storage.follow_up("worker", name)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(storage.opened())
        file = joined_file(opened, name, here)
        file = file.changed(workers=options.workers, storage=storage.url)
        stack.enter_context(termination_as_interrupt())
        try:
            with status("Loading the data …", quiet=as_json):
                session = stack.enter_context(open_joined(opened, file))
            kind = kind_of_readings(session.instruments.pin())
            quota = Quota(options.max_trials, options.max_minutes, options.workers)
            with watch(file, kind, stderr=as_json) as observer:
                result = session.search(opened, observer, quota, joins=True)
        except KeyboardInterrupt:
            console(stderr=True).print(
                f"Stopped. What this worker was at is queued again; it joins anew with: {again}",
                markup=False,
                soft_wrap=True,
            )
            raise typer.Exit(1) from None
        runs = [result.run_id] if result.run_id else []
        done = len(Study.open(opened, name).trials.all(runs=runs))
        left = quota.left(result.reason)
    if as_json:
        print_json({"study": name, "reason": result.reason, "trials": done, "left": left})
        return
    see = again if left else storage.follow_up("front", name)
    console().print(
        f"Ended: {result.reason}. This worker did {counted(done, 'trial')}. "
        f"{'Go on' if left else 'See'}: {see}",
        markup=False,
        soft_wrap=True,
    )

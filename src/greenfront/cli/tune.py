"""The command that goes on with a picked model after a search: tune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenfront.cli.options import (
    AsJson,
    StorageOptions,
    StudyName,
    console,
    grouped_options,
    print_json,
)
from greenfront.cli.running import quiet_optuna, speaker, termination_as_interrupt
from greenfront.cli.ship import WhichModel
from greenfront.errors import UsageError

if TYPE_CHECKING:
    from greenfront.search.afterwards.tuning import Tuned

__all__ = ["tune"]

PARTS = ("runtime", "bits", "cascade")


@grouped_options
def tune(
    name: StudyName,
    which: WhichModel,
    storage: StorageOptions,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help=f"Of {', '.join(PARTS)}; several times for several.", metavar="PART"
        ),
    ] = None,
    power_sweep: Annotated[
        bool,
        typer.Option(
            "--power-sweep",
            help="Also try power limits of the GPU, which takes root; the one found is restored.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Win more on a picked model after a search: how it is best run, and what is made of it.

    What takes clearly less energy and does no worse becomes a trial, to be exported like any.
    By default it looks at the greenest model within the allowed drop.
    """
    parts = tuple(dict.fromkeys(only or PARTS))
    for part in parts:
        if part not in PARTS:
            raise UsageError(f"--only must be one of {', '.join(PARTS)}, not {part!r}")
    named = which.name()

    from greenfront.search.afterwards import tuning
    from greenfront.search.afterwards.exporting import chosen
    from greenfront.studies.analysis.view import view

    quiet_optuna()
    with storage.opened() as database:
        found = view(database, name)
        row = chosen(found, trial=which.trial, named=named)
        asked = [part for part in tuning.PARTS if part in parts]
        with termination_as_interrupt():
            done = tuning.tune(
                database, found, row, asked, power_sweep=power_sweep, say=speaker(as_json)
            )
    if as_json:
        print_json(_json(done))
        return
    from greenfront.cli.tune_text import tuned_text

    console().print(tuned_text(done, found, storage), crop=False)


def _json(done: Tuned) -> dict[str, Any]:
    from greenfront.objectives.codec import to_json

    return {
        "study": done.study,
        "trial": done.row.trial,
        "runtime": to_json(done.runtime),
        "power": to_json(done.power),
        "made": to_json(done.made),
        "remarks": list(done.remarks),
        "kwh": done.kwh,
    }

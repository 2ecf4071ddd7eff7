"""Commands that look at studies: studies, front, ledger, whatif, report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenfront.cli.options import (
    DEFAULT_STORAGE,
    AsJson,
    StorageUrl,
    StudyName,
    console,
    grouped_options,
    print_json,
)
from greenfront.errors import UsageError

if TYPE_CHECKING:
    from greenfront.studies.store.storage import Storage

__all__ = ["front", "ledger", "report", "studies", "whatif"]

PARTS = ("phase", "state", "trial", "kind", "component", "run", "worker")


def studies(storage: StorageUrl = DEFAULT_STORAGE, as_json: AsJson = False) -> None:
    """List the studies of a storage."""
    from greenfront.studies.analysis.listing import list_studies

    with _opened(storage) as opened:
        listed = list_studies(opened)
    if as_json:
        from greenfront.objectives.codec import to_json

        print_json({"storage": storage, "studies": to_json(listed)})
        return
    from greenfront.cli.tables import studies_table

    console().print(studies_table(listed), crop=False)


def front(name: StudyName, storage: StorageUrl = DEFAULT_STORAGE, as_json: AsJson = False) -> None:
    """Show the Pareto front, ranked by Green Score, and which model to take."""
    from greenfront.studies.analysis.view import view

    with _opened(storage) as opened:
        found = view(opened, name)
    if as_json:
        from greenfront.cli.json import front_json

        print_json(front_json(found))
        return
    from greenfront.cli.tables import front_table

    console().print(front_table(found), crop=False)


def ledger(
    name: StudyName,
    by: Annotated[
        str, typer.Option("--by", help=f"One of {', '.join(PARTS)}.", metavar="PART")
    ] = "phase",
    storage: StorageUrl = DEFAULT_STORAGE,
    as_json: AsJson = False,
) -> None:
    """Show what the search itself has spent, and on what."""
    from greenfront.studies.analysis.spending import spending

    if by not in PARTS:
        raise UsageError(f"--by must be one of {', '.join(PARTS)}, not {by!r}")
    with _opened(storage) as opened:
        found = spending(opened, name, by)
    if as_json:
        print_json(found.to_json())
        return
    from greenfront.cli.tables import ledger_table

    console().print(ledger_table(found), crop=False)


@dataclass(frozen=True)
class ScenarioOptions:
    """The options of ``whatif``: see :class:`~greenfront.studies.analysis.whatif.Scenario`."""

    region: Annotated[str | None, typer.Option(help="Of the electricity, such as SE3.")] = None
    g_per_kwh: Annotated[
        float | None, typer.Option(help="Carbon intensity of the electricity.", metavar="G")
    ] = None
    trace: Annotated[
        Path | None, typer.Option(help="File with intensities; their mean.", metavar="FILE")
    ] = None
    renewable_share: Annotated[
        float | None,
        typer.Option(help="Share that wind and sun replace, 0 to 1: a scenario.", metavar="SHARE"),
    ] = None
    pue: Annotated[
        float | None, typer.Option(help="Power usage effectiveness of the building.")
    ] = None
    predictions: Annotated[
        float | None, typer.Option(help="How often the model will be used.", metavar="N")
    ] = None
    embodied: Annotated[
        str | None, typer.Option(help="Kind of device: laptop, workstation, server, gpu.")
    ] = None
    embodied_kg_per_device_hour: Annotated[
        float | None, typer.Option(help="Of making the device, per busy hour.", metavar="KG")
    ] = None
    max_drop: Annotated[
        float | None,
        typer.Option(help="Accuracy that may be lost, such as 0.01: one point.", metavar="DROP"),
    ] = None


@grouped_options
def whatif(
    name: StudyName,
    options: ScenarioOptions,
    storage: StorageUrl = DEFAULT_STORAGE,
    as_json: AsJson = False,
) -> None:
    """Score a study anew, from its stored readings, under other circumstances."""
    from greenfront.objectives.carbon.embodied import DEVICES
    from greenfront.studies.analysis.view import view
    from greenfront.studies.analysis.whatif import Comparison, Scenario

    if options.embodied is not None and options.embodied not in DEVICES:
        raise UsageError(
            f"--embodied must be one of {', '.join(DEVICES)}, not {options.embodied!r}; or state "
            "the emissions yourself by --embodied-kg-per-device-hour"
        )
    scenario = Scenario(**vars(options))
    with _opened(storage) as opened:
        before = view(opened, name)
        after = view(opened, name, scenario.applied(before), scenario.tolerance(before))
        found = Comparison(before, after)
    if as_json:
        from greenfront.cli.json import whatif_json

        print_json(whatif_json(found))
        return
    from greenfront.cli.tables import whatif_table

    console().print(whatif_table(found), crop=False)


def report(
    name: StudyName,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write it.", metavar="FILE")
    ] = Path("report.html"),
    storage: StorageUrl = DEFAULT_STORAGE,
    as_json: AsJson = False,
) -> None:
    """Write one self-contained HTML page about a study; it opens offline."""
    from greenfront.studies.analysis.view import view
    from greenfront.studies.report.page import write

    with _opened(storage) as opened:
        found = view(opened, name)
    write(found, output)
    if as_json:
        print_json({"study": name, "report": str(output), "bytes": output.stat().st_size})
    else:
        console().print(f"Wrote {output}", markup=False)


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Storage]:
    from greenfront.studies.store.storage import Storage

    storage = Storage(url, create=False)
    try:
        yield storage
    finally:
        storage.close()

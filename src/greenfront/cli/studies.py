"""Commands that look at studies: studies, front, ledger, whatif, report."""

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
from greenfront.errors import UsageError

__all__ = ["front", "ledger", "report", "studies", "whatif"]

PARTS = ("phase", "state", "trial", "kind", "component", "run", "worker")


@grouped_options
def studies(storage: StorageOptions, as_json: AsJson = False) -> None:
    """List the studies of a storage."""
    from greenfront.objectives.codec import to_json
    from greenfront.studies.analysis.listing import StudyEntry, list_studies
    from greenfront.studies.store.storage import NothingThere
    from greenfront.studies.store.urls import shown_url

    listed = list[StudyEntry]()
    with contextlib.suppress(NothingThere), storage.opened() as database:
        listed = list_studies(database)
    if as_json:
        print_json({"storage": shown_url(storage.url), "studies": to_json(listed)})
    else:
        from greenfront.cli.studies_text import studies_table

        console().print(studies_table(listed), crop=False)


@grouped_options
def front(
    name: StudyName,
    storage: StorageOptions,
    machine: Annotated[
        str | None,
        typer.Option(
            help="Rank by what this processor read of predictions; 'each': by each trial's own.  "
            "\\[default: the one that remeasured the front, else each]",
            metavar="NAME",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the Pareto front, ranked by Green Score, and which model to take."""
    from greenfront.studies.analysis.view import view

    with storage.opened() as database:
        found = view(database, name, machine=machine)
    if as_json:
        from greenfront.cli.json_output import front_json

        print_json(front_json(found))
    else:
        from greenfront.cli.studies_text import front_table

        console().print(front_table(found), crop=False)


@grouped_options
def ledger(
    name: StudyName,
    storage: StorageOptions,
    by: Annotated[
        str, typer.Option("--by", help=f"One of {', '.join(PARTS)}.", metavar="PART")
    ] = "phase",
    as_json: AsJson = False,
) -> None:
    """Show what the search itself has spent, and on what."""
    from greenfront.studies.analysis.search_cost.spending import spending

    if by not in PARTS:
        raise UsageError(f"--by must be one of {', '.join(PARTS)}, not {by!r}")
    with storage.opened() as database:
        found = spending(database, name, by)
    if as_json:
        print_json(found.to_json())
    else:
        from greenfront.cli.studies_text import ledger_table

        console().print(ledger_table(found), crop=False)


@dataclass(frozen=True)
class ScenarioOptions:
    """Options of ``whatif``: see :class:`~greenfront.studies.analysis.choosing.whatif.Scenario`."""

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
    euro_per_kwh: Annotated[
        float | None, typer.Option(help="Price of the electricity.", metavar="EURO")
    ] = None


@grouped_options
def whatif(
    name: StudyName,
    options: ScenarioOptions,
    storage: StorageOptions,
    as_json: AsJson = False,
) -> None:
    """Score a study anew, from its stored readings, under other circumstances."""
    from greenfront.objectives.carbon.embodied import DEVICES
    from greenfront.studies.analysis.choosing.whatif import Comparison, Scenario
    from greenfront.studies.analysis.view import StoredStudy

    if options.embodied is not None and options.embodied not in DEVICES:
        raise UsageError(
            f"--embodied must be one of {', '.join(DEVICES)}, not {options.embodied!r}; or state "
            "the emissions yourself by --embodied-kg-per-device-hour"
        )
    scenario = Scenario(**vars(options))
    with storage.opened() as database:
        stored = StoredStudy.read(database, name)
        before = stored.view()
        after = stored.view(scenario.applied(before), scenario.tolerance)
        found = Comparison(before, after, scenario.operation(before))
    if as_json:
        from greenfront.cli.json_output import whatif_json

        print_json(whatif_json(found))
    else:
        from greenfront.cli.studies_text import whatif_table

        console().print(whatif_table(found), crop=False)


@grouped_options
def report(
    name: StudyName,
    storage: StorageOptions,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write it.", metavar="FILE")
    ] = Path("report.html"),
    png: Annotated[
        Path | None, typer.Option(help="Write the figures there, too, as PNG.", metavar="DIR")
    ] = None,
    exported: Annotated[
        Path | None,
        typer.Option(
            help="A folder that export made of the greenest model: its score on test.",
            metavar="DIR",
        ),
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="The same as SVG.", metavar="DIR")] = None,
    as_json: AsJson = False,
) -> None:
    """Write one self-contained HTML page about a study; it opens offline."""
    from greenfront.studies.analysis.report_data import report_data
    from greenfront.studies.report.page import write
    from greenfront.studies.report.pictures import write_pictures

    with storage.opened() as database:
        found = report_data(database, name)
    if exported is not None:
        from greenfront.studies.report.exported import with_test_score

        found = with_test_score(found, exported)
    write(found, output)
    pictures = [] if png is None else write_pictures(found, png, "png")
    pictures += [] if svg is None else write_pictures(found, svg, "svg")
    if as_json:
        told = {"study": name, "report": str(output), "bytes": output.stat().st_size}
        print_json({**told, "pictures": [str(path) for path in pictures]})
    else:
        console().print(f"Wrote {output}", markup=False)
        for folder in dict.fromkeys(path.parent for path in pictures):
            many = sum(path.parent == folder for path in pictures)
            console().print(f"Wrote {many} figures to {folder}", markup=False)

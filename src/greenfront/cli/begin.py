"""Commands for the beginning: a study file, and what this machine can meter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from greenfront.cli.options import AsJson, console, print_json
from greenfront.errors import UsageError

__all__ = ["doctor", "init"]


def init(
    task: Annotated[
        str, typer.Option("--task", help="digits, mnist5k, csv, images, text, arrays or custom.")
    ] = "digits",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write it.", metavar="FILE")
    ] = Path("study.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented study file to start from."""
    from greenfront.studies.presets.compose import compose

    text = compose(task)
    if output.exists() and not force:
        raise UsageError(f"{str(output)!r} exists: give another name with -o, or --force")
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{str(output)!r} cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"study_file": str(output), "task": task})
    else:
        console().print(
            f"Wrote {output}. Next: greenfront plan {output}, then greenfront run {output}",
            markup=False,
        )


def doctor(as_json: AsJson = False) -> None:
    """Say what can be metered here, how, and what to do about what is missing."""
    from greenfront.studies.checkup import checkup

    found = checkup()
    if as_json:
        print_json(found.to_json())
        return
    from rich.table import Table
    from rich.text import Text

    screen = console()
    table = Table(title="Energy", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("component", "instrument", "kind", "used", "source", "missing, and the remedy"):
        table.add_column(heading, overflow="fold")
    for status in found.instruments:
        lack = "; ".join(part for part in (status.missing, status.remedy) if part)
        table.add_row(
            status.component,
            status.name,
            Text(
                status.kind,
                style={"measured": "green", "modelled": "yellow"}.get(status.kind, "dim"),
            ),
            "yes" if status.chosen else "",
            Text(status.source or "–"),
            Text(lack),
        )
    screen.print(table)
    screen.print()
    table = Table(title="Here", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("what")
    table.add_column("found", overflow="fold")
    for name, value in found.facts.items():
        table.add_row(name, Text(value))
    screen.print(table)

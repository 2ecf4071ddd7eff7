"""Commands for the beginning: a study file, and what this machine can meter."""

from __future__ import annotations

import shlex
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
        quoted = shlex.quote(str(output))
        console().print(
            f"Wrote {output}. Next: greenfront plan {quoted}, then greenfront run {quoted}",
            markup=False,
            soft_wrap=True,
        )


def doctor(
    idle: Annotated[
        bool,
        typer.Option("--idle", help="Also watch for 10 seconds what the idle machine draws."),
    ] = False,
    cross_check: Annotated[
        bool,
        typer.Option("--cross-check", help="Also work for some seconds and ask CodeCarbon too."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what can be metered here, how, and what to do about what is missing."""
    from greenfront.studies.analysis.checkup import checkup

    found = checkup(idle=idle, compare=cross_check)
    if as_json:
        print_json(found.to_json())
        return
    from greenfront.cli.tables import comparison_text, facts_table, instruments_text

    screen = console()
    screen.print(instruments_text(found.instruments))
    if found.compared is not None:
        screen.print(comparison_text(found.compared))
    screen.print()
    screen.print(facts_table(found.facts))

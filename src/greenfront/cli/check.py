"""The command that holds an exported model to its limits: check."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenfront.cli.amounts import JOULES, SHARES, amount
from greenfront.cli.options import AsJson, console, grouped_options, print_json
from greenfront.errors import UsageError

if TYPE_CHECKING:
    from greenfront.objectives.stages.metered import InferenceCost

__all__ = ["check"]

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Where a GitHub workflow wants Markdown."""


@dataclass(frozen=True)
class CheckOptions:
    """What is asked of a model, and beside which other."""

    max_joules: Annotated[
        str | None,
        typer.Option(help="Of one prediction, measured here: 2mJ.", metavar="ENERGY"),
    ] = None
    max_drop: Annotated[
        str | None,
        typer.Option(
            help="Of its score, against the other or the untouched baseline: 1%.", metavar="DROP"
        ),
    ] = None
    max_increase: Annotated[
        str | None,
        typer.Option(help="Of its energy, against the other's: 5%.", metavar="SHARE"),
    ] = None
    against: Annotated[
        Path | None, typer.Option(help="Another exported folder.", metavar="OTHER_DIR")
    ] = None
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="Examples to measure on, as predict takes.", metavar="FILE"),
    ] = None
    markdown: Annotated[
        Path | None, typer.Option(help="Where to write a summary.", metavar="FILE")
    ] = None


@grouped_options
def check(
    folder: Annotated[Path, typer.Argument(help="An exported model.", metavar="DIR")],
    options: CheckOptions,
    as_json: AsJson = False,
) -> None:
    """Hold an exported model to limits: exit code 0 if it keeps them, 1 if not, 2 wrong usage.

    Joules are measured here, in a plain session. In a GitHub workflow a summary is added to it.
    """
    asked = (
        amount(options.max_joules, JOULES, "--max-joules", "2mJ"),
        amount(options.max_drop, SHARES, "--max-drop", "1% or 0.01"),
        amount(options.max_increase, SHARES, "--max-increase", "5% or 0.05"),
    )
    from greenfront.studies.export import checking
    from greenfront.studies.export.folder import broken_sums
    from greenfront.studies.export.record import read_record

    limits = checking.CheckLimits(*asked)
    if limits.max_increase is not None and options.against is None:
        raise UsageError(
            "--max-increase: is against another model: give --against OTHER_DIR, or leave it out"
        )
    record = read_record(folder)
    other = None if options.against is None else read_record(options.against)
    cost = _cost(folder, options.inputs)
    other_cost = None if options.against is None else _cost(options.against, options.inputs)
    found = checking.check(
        record,
        cost,
        limits,
        other=None if other is None or other_cost is None else (other, other_cost),
        made_up=not options.inputs,
        broken=tuple(broken_sums(folder)),
    )
    summary = checking.markdown(found)
    _write(summary, options.markdown)
    if as_json:
        print_json(found.to_json())
    else:
        from greenfront.cli.choose_text import check_text

        console().print(check_text(found), crop=False)
    if not found.passed:
        raise typer.Exit(1)


def _cost(folder: Path, inputs: list[str] | None) -> InferenceCost:
    from greenfront.objectives.metering.instruments import detect
    from greenfront.studies.export.measuring import given, measured_cost

    feeds = given(folder, inputs) if inputs else None
    return measured_cost(folder, detect().without("gpu"), feeds)


def _write(summary: str, file: Path | None) -> None:
    """To the file that was asked for, and to the end of a workflow's summary."""
    try:
        if file is not None:
            file.write_text(summary, encoding="utf-8")
        if step := os.environ.get(STEP_SUMMARY):
            with Path(step).open("a", encoding="utf-8") as stream:
                stream.write(summary)
    except OSError as error:
        raise UsageError(
            f"the summary cannot be written to {error.filename!r} ({error.strerror}): correct the "
            f"path after --markdown, or that in {STEP_SUMMARY}"
        ) from error

"""Commands for the beginning: a study file, and what this machine can meter."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from greenfront.cli.options import AsJson, console, print_json
from greenfront.errors import UsageError

if TYPE_CHECKING:
    from greenfront.objectives.tasks.settings import ColumnType
    from greenfront.objectives.tasks.table import Described

__all__ = ["doctor", "init"]


def init(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A table (CSV or Parquet), or a folder of images, to write it for.",
            metavar="[DATA]",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="The table's column to predict.", metavar="COLUMN"),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="digits, mnist5k, csv, images, text, arrays or custom."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            help="What a column is where the guess is wrong: number, category, date; repeatable.",
            metavar="NAME=KIND",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write it.", metavar="FILE")
    ] = Path("study.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented study file to start from: for a table, a folder of images, or any task."""
    from greenfront.studies.presets.compose import compose, compose_images, compose_table

    described: Described | None = None
    if column and (data is None or data.is_dir()):
        raise UsageError("--column says what a column of a table is: give the table, too")
    if data is None:
        if target is not None:
            raise UsageError("--target names a column of a table: give the table, too")
        text = compose(task or "digits")
    elif task is not None:
        raise UsageError(
            f"give a table, a folder or --task, not two of them: {str(data)!r} and {task!r}"
        )
    else:
        path = Path(os.path.relpath(data.absolute(), output.absolute().parent)).as_posix()
        if data.is_dir():
            task = "images"
            text = compose_images(path, target)
        else:
            columns = dict(map(_column, column or ()))
            described = _described(data, target, columns)
            text = compose_table(path, str(target), described.schema, columns)
    _write(output, text, force=force)
    if not as_json:
        _show(output, described, target)
    elif described is None:
        print_json({"study_file": str(output), "task": task or "digits"})
    else:
        from greenfront.objectives.codec import to_json

        told = {"schema": to_json(described.schema), "notes": described.notes}
        print_json({"study_file": str(output), **told})


def _column(told: str) -> tuple[str, ColumnType]:
    """A column's name, which may hold ``=`` itself, and what it is."""
    from greenfront.objectives.tasks.settings import ColumnType

    name, _, kind = told.rpartition("=")
    for known in get_args(ColumnType):
        if name and kind == known:
            return name, known
    kinds = ", ".join(get_args(ColumnType))
    raise UsageError(f"--column must be NAME=KIND, with a KIND of {kinds}, got {told!r}")


def _described(table: Path, target: str | None, columns: Mapping[str, ColumnType]) -> Described:
    from greenfront.objectives.tasks.settings import TaskSettings
    from greenfront.objectives.tasks.table import describe
    from greenfront.objectives.tasks.tables.files import read_cells

    if target is None:
        names = ", ".join(map(repr, read_cells(table).names))
        raise UsageError(f"--target must name the column to predict, one of {names}")
    settings = TaskSettings(
        kind="csv", path=str(table.absolute()), target=target, columns=dict(columns) or None
    )
    return describe(settings)


def _write(output: Path, text: str, *, force: bool) -> None:
    if output.exists() and not force:
        raise UsageError(f"{str(output)!r} exists: give another name with -o, or --force")
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{str(output)!r} cannot be written: {error.strerror}: name a file in a folder that "
            "can be written to with -o"
        ) from error


def _show(output: Path, described: Described | None, target: str | None) -> None:
    screen = console()
    if described is not None:
        from greenfront.cli.plan_text import columns_table
        from greenfront.studies.analysis.words.wording import sentence
        from greenfront.studies.presets.compose import text_column

        schema = described.schema
        if (texts := text_column(schema)) is not None:
            told = f"{target!r} is learnt from the texts in {texts!r}"
            classes = next(column for column in schema.columns if column.kind == "target")
            screen.print(
                f"{schema.rows:,} rows; {told}: {classes.treatment}",
                markup=False,
                soft_wrap=True,
            )
        else:
            screen.print(columns_table(schema), crop=False)
        for note in described.notes:
            screen.print(sentence(note), markup=False, soft_wrap=True)
    quoted = shlex.quote(str(output))
    screen.print(
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
        typer.Option(
            "--cross-check",
            help="Also work for some seconds and ask CodeCarbon, or a GPU's power, too.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what can be metered here, how, and what to do about what is missing."""
    from greenfront.studies.analysis.machine.checkup import checkup

    found = checkup(idle=idle, compare=cross_check)
    if as_json:
        print_json(found.to_json())
        return
    from greenfront.cli.doctor_text import (
        card_text,
        comparison_text,
        facts_table,
        instruments_text,
        left_text,
    )

    screen = console()
    screen.print(instruments_text(found.instruments))
    for left in found.left_limits:
        screen.print(left_text(left), soft_wrap=True)
    if found.compared is not None:
        screen.print(comparison_text(found.compared))
        if any(status.chosen and status.component == "gpu" for status in found.instruments):
            screen.print(card_text(found.card))
    screen.print()
    screen.print(facts_table(found.facts))

"""The section about the data, as HTML. Whatever comes from the study is escaped here."""

from __future__ import annotations

from html import escape

from greenfront.objectives.tasks.tables.schema import Schema
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.wording import sentence
from greenfront.studies.report.tables import Column, table, words

__all__ = ["data"]

_COLUMNS = [
    *words("Columns", "Taken for"),
    Column("", "Missing", "cells", True),
    *words("What is done", "Warning"),
]


def data(view: StudyView) -> str:
    """Size and splits, what was done to the data, and the columns of a table."""
    task = view.facts.task
    notes = "".join(f"<li>{escape(sentence(note))}</li>" for note in task.notes)
    columns = "" if task.schema is None else _columns(task.schema)
    sizes = ", ".join(f"{count:,} {split}" for split, count in task.sizes.items())
    return f"<p>Examples: {escape(sizes)}.</p>{f'<ul>{notes}</ul>' if notes else ''}{columns}"


def _columns(schema: Schema) -> str:
    body = [
        f"<tr><th scope='row'>{escape(names)}</th><td>{escape(column.kind)}</td>"
        f"<td class='number'>{column.missing or ''}</td><td>{escape(column.treatment)}</td>"
        f"<td>{escape(column.warning or '')}</td></tr>"
        for names, column in schema.grouped()
    ]
    caption = f"{schema.rows:,} rows, {len(schema.columns)} columns"
    return table("data-columns", caption, _COLUMNS, body)

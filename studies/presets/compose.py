"""Study files to start from: one section about the data, the rest the same for all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePath

from greenfront.errors import UsageError
from greenfront.objectives.tasks.settings import ColumnType
from greenfront.objectives.tasks.tables.schema import Schema

__all__ = ["TASKS", "compose", "compose_images", "compose_table", "text_column"]

TASKS = ("digits", "mnist5k", "csv", "images", "text", "arrays", "custom")


def compose(task: str) -> str:
    """The commented study file for a task.

    Raises:
        UsageError: There is none of this name.
    """
    if task not in TASKS:
        raise UsageError(f"task {task!r} is unknown: take one of {', '.join(TASKS)}")
    folder = files("greenfront.studies.presets")
    head, study, common = (
        folder.joinpath(f"{name}.toml").read_text(encoding="utf-8")
        for name in (f"task_{task}", "study", "common")
    )
    named, _, data = head.partition("\n\n")
    return f"{named}\n{study}\n{data}{common}"


def text_column(schema: Schema) -> str | None:
    """The column of a table that holds nothing but texts; ``None`` of any other table."""
    texts = [column.name for column in schema.columns if column.kind == "text"]
    alone = len(texts) == 1 and not any(column.used for column in schema.columns)
    return texts[0] if alone else None


def compose_table(
    path: str, target: str, schema: Schema, columns: Mapping[str, ColumnType] | None = None
) -> str:
    """The commented study file for a table, or for its texts where it has a :func:`text_column`.

    Args:
        path: Of the table, from the study file's folder.
        target: The column to predict.
        schema: What its columns were taken for.
        columns: What some of them are, by name, whatever they look like.
    """
    values = {"name": _name(path, "table"), "path": path, "target": target}
    if (texts := text_column(schema)) is not None:
        text = _filled(compose("text"), values | {"text_column": texts})
    else:
        text = _without(_filled(compose("csv"), values), schema)
    if columns:
        told = ", ".join(f"{_quoted(name)} = {_quoted(kind)}" for name, kind in columns.items())
        text = re.sub(
            r"^# columns = \{.*?\}", lambda _: f"columns = {{ {told} }}", text, flags=re.MULTILINE
        )
    if schema.leaks:
        named = f"[{', '.join(map(_quoted, schema.leaks))}]"
        text = re.sub(
            r"^# drop_columns = .*$",
            lambda _: f"# drop_columns = {named}   # alone predicts the target: known before it?",
            text,
            flags=re.MULTILINE,
        )
    return text


def _without(text: str, schema: Schema) -> str:
    """A table's study file that names the columns which are left out."""
    dropped = [
        column
        for column in schema.columns
        if column.warning and not column.used and column.kind not in ("target", "text")
    ]
    if not dropped:
        return text
    told = "".join(f"#   {_quoted(column.name)}\n" for column in dropped)
    return text.replace(
        "# keep_columns", f"#   left out, as greenfront plan says why:\n{told}# keep_columns", 1
    )


def compose_images(path: str, target: str | None = None) -> str:
    """The commented study file for a folder of images.

    Args:
        path: Of the folder, from the study file's folder.
        target: A column of its ``labels.csv``; ``None``: it has a folder for each class.
    """
    values = {"name": _name(path, "images"), "path": path}
    if target is not None:
        values["target"] = target
    return _filled(compose("images"), values)


def _name(path: str, otherwise: str) -> str:
    return "-".join(re.findall(r"\w+", PurePath(path).name.partition(".")[0])) or otherwise


def _quoted(text: str) -> str:
    # JSON's strings are TOML's, too.
    return json.dumps(text, ensure_ascii=False)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """A study file with some of its keys set."""
    for key, value in values.items():
        before, _, after = re.split(rf"^(# )?{key} = .*$", text, maxsplit=1, flags=re.MULTILINE)
        text = f"{before}{key} = {_quoted(value)}{after}"
    return text

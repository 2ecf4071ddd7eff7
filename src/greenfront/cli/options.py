"""Options that several commands share, and how they all print."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "DEFAULT_STORAGE",
    "AsJson",
    "StorageUrl",
    "StudyName",
    "console",
    "follow_up",
    "print_json",
]

DEFAULT_STORAGE = "sqlite:///greenfront.db"

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
StorageUrl = Annotated[
    str, typer.Option("--storage", help="SQLAlchemy URL of the database.", metavar="URL")
]
StudyName = Annotated[str, typer.Argument(help="Name of the study.", metavar="NAME")]


def console(*, stderr: bool = False) -> Console:
    """Where text for people goes; as wide as needed where nobody looks at a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 160
    return Console(stderr=stderr, width=width, highlight=False)


def follow_up(command: str, name: str, storage: str, rest: str = "") -> str:
    """A command about a study, to be copied from the screen.

    Args:
        command: Such as ``"resume"``.
        name: Of the study.
        storage: Where it is kept; named only where it is not the default.
        rest: Further words.
    """
    where = "" if storage == DEFAULT_STORAGE else f" --storage {shlex.quote(storage)}"
    return f"greenfront {command} {shlex.quote(name)}{where}{rest}"


def print_json(data: Any) -> None:
    """Prints one JSON object and nothing else."""
    sys.stdout.write(json.dumps(data, indent=2, allow_nan=False) + "\n")

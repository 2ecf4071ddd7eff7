"""Options that several commands share, and how they all print."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from greenfront.studies.store.storage import Storage

__all__ = [
    "DEFAULT_STORAGE",
    "AsJson",
    "StorageUrl",
    "StudyName",
    "common",
    "console",
    "follow_up",
    "grouped_options",
    "opened",
    "print_json",
]

DEFAULT_STORAGE = "sqlite:///greenfront.db"

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
StorageUrl = Annotated[
    str, typer.Option("--storage", help="SQLAlchemy URL of the database.", metavar="URL")
]
StudyName = Annotated[str, typer.Argument(help="Name of the study.", metavar="NAME")]


def _version(asked: bool) -> None:
    if asked:
        from greenfront import __version__

        sys.stdout.write(f"greenfront {__version__}\n")
        raise typer.Exit


def common(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Find, for your data, the models that do the job for the least energy and carbon."""


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
        storage: Where it is kept; named, without its password, only where it is not the default.
        rest: Further words.
    """
    from greenfront.studies.store.urls import shown_url

    named = shlex.quote(shown_url(storage))
    where = "" if storage == DEFAULT_STORAGE else f" --storage {named}"
    return f"greenfront {command} {shlex.quote(name)}{where}{rest}"


def grouped_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameter of a dataclass type stands for that class's fields, as options.

    Typer makes one option of each parameter; a command with many would have as many parameters.
    """
    own = inspect.signature(command, eval_str=True).parameters.values()
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for parameter in own:
        group = parameter.annotation
        if not dataclasses.is_dataclass(group):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[parameter.name] = group
        hints = get_type_hints(group, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=hints[field.name],
            )
            for field in dataclasses.fields(group)
        ]

    def adapted(**given: Any) -> None:
        for name, group in groups.items():
            names = [field.name for field in dataclasses.fields(group)]
            given[name] = group(**{field: given.pop(field) for field in names})
        command(**given)

    adapted.__name__, adapted.__doc__ = command.__name__, command.__doc__
    adapted.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    adapted.__annotations__ = {p.name: p.annotation for p in parameters}
    return adapted


@contextlib.contextmanager
def opened(url: str) -> Iterator[Storage]:
    """The database of a URL, which has to exist, for as long as it is looked at."""
    from greenfront.studies.store.storage import Storage

    storage = Storage(url, create=False)
    try:
        yield storage
    finally:
        storage.close()


def print_json(data: Any) -> None:
    """Prints one JSON object and nothing else."""
    sys.stdout.write(json.dumps(data, indent=2, allow_nan=False) + "\n")

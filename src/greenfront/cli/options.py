"""Options that several commands share, and how they all print."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from greenfront.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from greenfront.studies.store.storage import Storage

__all__ = [
    "AsJson",
    "StorageOptions",
    "StudyName",
    "common",
    "console",
    "grouped_options",
    "print_json",
]

DEFAULT_STORAGE = "sqlite:///greenfront.db"

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
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


@dataclass(frozen=True)
class StorageOptions:
    """Where studies are kept: a URL, or the environment variable that holds one."""

    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            help=f"SQLAlchemy URL of the database.  \\[default: {DEFAULT_STORAGE}]",
            metavar="URL",
        ),
    ] = None
    storage_env: Annotated[
        str | None,
        typer.Option(
            "--storage-env",
            help="Environment variable that holds the URL: no password is typed.",
            metavar="VAR",
        ),
    ] = None

    @property
    def given(self) -> str | None:
        """The URL, where one is given.

        Raises:
            UsageError: Two are, or the variable is not set.
        """
        if self.storage_env is None:
            return self.storage
        if self.storage is not None:
            raise UsageError("give --storage or --storage-env, not both: each names the database")
        url = os.environ.get(self.storage_env)
        if not url:
            raise UsageError(
                f"--storage-env names the environment variable {self.storage_env!r}, which is not "
                f"set: export {self.storage_env}=postgresql://user:password@host/name first"
            )
        return url

    @property
    def url(self) -> str:
        """The URL, by default that of the file in the working directory."""
        return self.given or DEFAULT_STORAGE

    def follow_up(self, command: str, name: str, rest: str = "") -> str:
        """A command about a study there, to be copied from the screen.

        Args:
            command: Such as ``"resume"``.
            name: Of the study.
            rest: Further words.
        """
        from greenfront.studies.store.urls import shown_url

        where = ""
        if self.storage_env is not None:
            where = f" --storage-env {shlex.quote(self.storage_env)}"
        elif self.url != DEFAULT_STORAGE:
            where = f" --storage {shlex.quote(shown_url(self.url))}"
        return f"greenfront {command} {shlex.quote(name)}{where}{rest}"

    @contextlib.contextmanager
    def opened(self) -> Iterator[Storage]:
        """The database, which has to exist, for as long as it is looked at."""
        from greenfront.studies.store.storage import Storage

        storage = Storage(self.url, create=False)
        try:
            yield storage
        finally:
            storage.close()


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


def print_json(data: Any) -> None:
    """Prints one JSON object and nothing else."""
    sys.stdout.write(json.dumps(data, indent=2, allow_nan=False) + "\n")

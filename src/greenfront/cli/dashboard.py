"""The command ``dashboard``: optuna-dashboard on a storage, with our figures in it."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from greenfront.cli.options import StorageOptions, console, grouped_options
from greenfront.errors import UsageError

__all__ = ["dashboard"]

PORT = 8080


@grouped_options
def dashboard(
    storage: StorageOptions,
    port: Annotated[
        int, typer.Option(help="On this machine; 0 takes a free one.", metavar="PORT", min=0)
    ] = PORT,
) -> None:
    """Show a storage in a browser, on this machine alone, while searches run."""
    try:
        from greenfront.studies.dashboard.server import Dashboard
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the dashboard needs {error.name}, which is not installed: "
            "pip install 'greenfront[dashboard]'"
        ) from error
    with storage.opened() as database:
        served = Dashboard(database, port)
        with contextlib.closing(served), contextlib.suppress(KeyboardInterrupt):
            # At once, also into a pipe: who reads it waits for the address.
            print(f"The dashboard is at {served.url} (Ctrl-C ends it)", flush=True)  # noqa: T201
            served.serve()
    console().print("The dashboard has ended.", markup=False)

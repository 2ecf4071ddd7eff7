"""Where a search runs: on this machine, or on a cluster."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Annotated

import typer

from greenfront.errors import UsageError

__all__ = ["EngineOptions"]

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class EngineOptions:
    """How many workers search, and where."""

    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Trials at once, each in its own process."),
    ] = None
    engine: Annotated[
        str,
        typer.Option("--engine", help="local: on this machine; ray: on a cluster.", metavar="NAME"),
    ] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="Of a Ray cluster: auto, or its head; without it one is started here.",
            metavar="HOST:PORT",
        ),
    ] = None

    def is_ray(self) -> bool:
        """Whether it is a cluster of Ray.

        Raises:
            UsageError: There is no such engine, or an address of none.
        """
        if self.engine not in ENGINES:
            raise UsageError(f"--engine must be {' or '.join(ENGINES)}, not {self.engine!r}")
        if self.address is not None and self.engine != "ray":
            raise UsageError(
                f"--address {self.address}: only a cluster has one: add --engine ray, or leave it "
                "out"
            )
        return self.engine == "ray"

    @property
    def again(self) -> str:
        """Words for a command that goes on in the same place."""
        if not self.is_ray():
            return ""
        return " --engine ray" + (f" --address {shlex.quote(self.address)}" if self.address else "")

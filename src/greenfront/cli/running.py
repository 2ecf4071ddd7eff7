"""What commands that run for long share."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from greenfront.cli.options import console

__all__ = ["quiet_optuna", "speaker", "status", "termination_as_interrupt"]


def quiet_optuna() -> None:
    """Keeps what Optuna says of each trial from the screen: ours says it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)


@contextlib.contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Lets SIGTERM end a run as orderly as Ctrl-C does."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def status(message: str, *, quiet: bool) -> Iterator[None]:
    """Says on a terminal what is being waited for."""
    screen = console(stderr=True)
    if quiet or not screen.is_terminal:
        yield
        return
    with screen.status(message):
        yield


def speaker(as_json: bool) -> Callable[[str], None]:
    """Takes messages on what is being done; people see them beside the output."""
    screen = console(stderr=True)

    def say(message: str) -> None:
        if not as_json:
            screen.print(f"… {message}", markup=False)

    return say

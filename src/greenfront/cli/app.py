"""The command ``greenfront``: exit code 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import errno
import gc
import io
import sys
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from greenfront.errors import GreenfrontError, UsageError
from greenfront.spaces.user_code import code_forbidden
from greenfront.studies.store.passwords import without_passwords

if TYPE_CHECKING:
    import typer

__all__ = ["application", "main"]

SEARCHING = ("plan", "resume", "run", "worker")
"""Commands that take a while before they write; once a study has begun they handle Ctrl-C."""

FEWEST_NEW_OBJECTS = 50_000
"""Before Python looks for garbage. A look at a study makes hundreds of thousands of objects that
stay until its end: looking through them every 700 took a quarter of its time."""

INTERRUPTED = 130
"""Exit code by which typer passes Ctrl-C on."""


def application() -> typer.Typer:
    """The command line with its commands."""
    import typer

    from greenfront.cli import (
        cache,
        check,
        choose,
        dashboard,
        predict,
        remeasure,
        search,
        setup,
        ship,
        studies,
        tune,
        worker,
    )
    from greenfront.cli.options import common

    app = typer.Typer(
        name="greenfront",
        help="Find, for your data, the models that do the job for the least energy and carbon.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(common)
    panels = {
        "Search": (
            setup.init,
            search.plan,
            search.run,
            search.resume,
            worker.worker,
            tune.tune,
            remeasure.remeasure,
        ),
        "Look and choose": (
            studies.front,
            studies.report,
            choose.pick,
            studies.whatif,
            choose.compare,
            choose.table,
            dashboard.dashboard,
        ),
        "Take along and use": (ship.export, ship.verify, predict.predict, check.check),
        "Keep house": (studies.studies, studies.ledger, cache.cache, setup.doctor),
    }
    for title, commands in panels.items():
        for command in commands:
            app.command(rich_help_panel=title)(command)
    return app


def main() -> None:
    """Runs the command line; errors of ours become one clear message."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files may hold bytes that are no text.
            stream.reconfigure(errors="backslashreplace")
    sys.excepthook = _print_traceback
    gc.set_threshold(FEWEST_NEW_OBJECTS)
    _hide_typed_passwords()
    try:
        with code_forbidden():  # evaluators alone run any
            application()()
    except KeyboardInterrupt:
        _stopped()
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        _stopped()
    except UsageError as error:
        _print(str(error))
        sys.exit(2)
    except GreenfrontError as error:
        _print(str(error))
        sys.exit(1)
    except _database_errors() as error:
        from greenfront.studies.store.patience import failure_words

        _print(failure_words(error))
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output, such as head, has seen enough.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        _print(f"{str(error.filename)!r} cannot be used: {error.strerror}")
        sys.exit(2 if error.errno == errno.ENAMETOOLONG else 1)


def _print(message: str) -> None:
    print(f"greenfront: {without_passwords(message)}", file=sys.stderr)  # noqa: T201


def _print_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Shows a fault of ours as Python does; a URL may be in the words of other libraries."""
    lines = traceback.format_exception(kind, error, trace)
    sys.stderr.write(without_passwords("".join(lines)))


def _hide_typed_passwords() -> None:
    """Takes passwords out of the list of processes, which everybody on the machine may read."""
    shown = [without_passwords(word, one_word=True) for word in sys.orig_argv]
    if shown == sys.orig_argv:
        return
    from setproctitle import setproctitle

    setproctitle(" ".join(shown))
    _print(
        "a password that is typed stays in the shell's history, and stood in the list of "
        "processes until now: --storage-env VAR, ~/.pgpass and PGPASSWORD keep it out of both"
    )


def _stopped() -> NoReturn:
    """Ctrl-C where no study can have been touched."""
    searching = sys.argv[1:2] and sys.argv[1] in SEARCHING
    before = " before the study began: nothing was written" if searching else ""
    print(f"Stopped{before}.", file=sys.stderr)  # noqa: T201
    sys.exit(1)


def _database_errors() -> tuple[type[Exception], ...]:
    """What a database that goes away raises; asked for only when something was raised."""
    if "sqlalchemy" not in sys.modules:
        return ()
    from sqlalchemy.exc import DBAPIError

    if "optuna" not in sys.modules:
        return (DBAPIError,)
    from optuna.exceptions import StorageInternalError

    return (DBAPIError, StorageInternalError)

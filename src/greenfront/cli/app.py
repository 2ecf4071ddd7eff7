"""The command ``greenfront``: exit code 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import sys

import typer

from greenfront.cli import begin, look, search
from greenfront.errors import GreenfrontError, UsageError

__all__ = ["app", "main"]

app = typer.Typer(
    name="greenfront",
    help="Find, for your data, the models that do the job for the least energy and carbon.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (
    begin.init,
    search.plan,
    search.run,
    search.resume,
    look.studies,
    look.front,
    look.ledger,
    look.whatif,
    look.report,
    begin.doctor,
):
    app.command()(command)


def main() -> None:
    """Runs the command line; errors of ours become one clear message."""
    try:
        app()
    except UsageError as error:
        print(f"greenfront: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except GreenfrontError as error:
        print(f"greenfront: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output, such as head, has seen enough.
        sys.stderr.close()
        sys.exit(1)

"""What is seen while a search runs: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from greenfront.cli.options import console
from greenfront.objectives.metrics import Metric
from greenfront.studies.analysis.words.metric_words import score
from greenfront.studies.analysis.words.quantities import energy, joules, mass, seconds
from greenfront.studies.store.trials import WITHOUT_RESULT

if TYPE_CHECKING:
    from greenfront.objectives.metrics import MetricName
    from greenfront.search.status import Observer, Status
    from greenfront.studies.config.study_file import StudyFile
    from greenfront.studies.store.trials import NetworkTrial

__all__ = ["LiveScreen", "PlainScreen", "watch"]


@contextlib.contextmanager
def watch(file: StudyFile, kind: str, *, stderr: bool = False) -> Iterator[Observer]:
    """An observer for a run of ``file``: live where there is a terminal.

    Args:
        file: The study.
        kind: How its joules are come by.
        stderr: Show it there instead of on the standard output.
    """
    screen = console(stderr=stderr)
    if not screen.is_terminal:
        yield PlainScreen(screen, kind, file.objectives.metric)
        return
    with Live(console=screen, refresh_per_second=4, transient=True) as live:
        yield LiveScreen(live, file.study.name, kind, file.objectives.metric)


class PlainScreen:
    """A line for each finished trial, with where the search stands."""

    def __init__(self, screen: Console, kind: str, metric: MetricName | None = None) -> None:
        self._screen = screen
        self._metric = metric
        self._kind = kind
        self._lock = threading.Lock()
        self._finished: list[str] = []

    def changed(self, status: Status) -> None:
        """Prints what has finished since the last call."""
        with self._lock:
            lines, self._finished = self._finished, []
        for line in lines:
            told = f"{line} | {status_line(status, self._kind)}"
            self._screen.print(told, markup=False, soft_wrap=True)

    def finished(self, row: NetworkTrial) -> None:
        """Keeps a line until the status behind it is known."""
        with self._lock:
            self._finished.append(trial_line(row, self._metric))

    def note(self, message: str) -> None:
        """Prints it."""
        self._screen.print(message, markup=False, soft_wrap=True)


class LiveScreen:
    """A small table that is drawn anew; finished trials scroll by above it."""

    def __init__(self, live: Live, study: str, kind: str, metric: MetricName | None = None) -> None:
        self._live = live
        self._metric = metric
        self._study = study
        self._kind = kind

    def changed(self, status: Status) -> None:
        """Draws the table."""
        self._live.update(_drawn(self._study, status, self._kind))

    def finished(self, row: NetworkTrial) -> None:
        """Prints a line above the table."""
        line = trial_line(row, self._metric)
        self._live.console.print(Text(line, style=_STYLES.get(row.state, "")))

    def note(self, message: str) -> None:
        """Prints it above the table."""
        self._live.console.print(Text(message, style="bold"))


_STYLES = {"failed": "red", "infeasible": "red", "stopped": "yellow"}


def trial_line(row: NetworkTrial, metric: MetricName | None = None) -> str:
    """One finished trial.

    Args:
        row: The trial.
        metric: Of the study; ``None``: the usual one of its target.
    """
    what = row.candidate.describe()
    if row.values is None or row.outcome is None:
        return f"trial {row.number:>3} {row.state}: {row.reason or '–'} [{what}]"
    value, kwh, _ = row.values
    judged = Metric(metric or ("accuracy" if row.outcome.decisions else "r2"), nothing=0.0)
    reached = score(judged, value) + ("" if judged.name == "accuracy" else f" {judged.title}")
    return (
        f"trial {row.number:>3} {reached:>6} {energy(kwh):>9} "
        f"{joules(row.outcome.answer.joules):>8}/prediction  {what}"
    )


def status_line(status: Status, kind: str) -> str:
    """Where the search stands, in one line.

    Args:
        status: Of the search.
        kind: How its joules are come by.
    """
    budget = status.budget
    of = "" if budget.trials is None else f"/{budget.trials}"
    parts = [f"{round(status.done, 1):g}{of} done", *_states(status)]
    parts.append(f"front {status.front_size}")
    parts.append(f"hypervolume {_volume(status)}")
    parts.append(_spent(status, kind))
    if status.seconds_left is not None:
        parts.append(f"{seconds(status.seconds_left)} left")
    return " · ".join(parts)


def _states(status: Status) -> list[str]:
    """How many trials wait, or have ended without a result, where there are any."""
    counts = status.counts
    states = ("paused", *reversed(WITHOUT_RESULT))
    return [f"{counts[state]} {state}" for state in states if counts.get(state)]


def _volume(status: Status) -> str:
    return "–" if status.hypervolume is None else f"{status.hypervolume:.4f}"


def _spent(status: Status, kind: str) -> str:
    budget = status.budget
    spent = energy(status.kwh_spent)
    spent += f" of {energy(budget.kwh)}" if budget.kwh is not None else ""
    if status.co2_kg_spent is not None:
        spent += f", {mass(status.co2_kg_spent)} CO₂"
        spent += f" of {mass(budget.co2_kg)}" if budget.co2_kg is not None else ""
    return f"{spent} spent ({kind})"


def _drawn(study: str, status: Status, kind: str) -> Group:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="ellipsis", no_wrap=True)
    limit = status.budget.trials
    trials = f"{round(status.done, 1):g}" + (f" of {limit}" if limit else "")
    table.add_row("trials", " · ".join([trials, *_states(status)]))
    table.add_row("front", f"{status.front_size} · hypervolume {_volume(status)}")
    table.add_row("spent", _spent(status, kind))
    left = "–" if status.seconds_left is None else f"about {seconds(status.seconds_left)}"
    table.add_row("time left", left)
    for worker, message in sorted(status.doing.items()):
        table.add_row(f"worker {worker}" if len(status.doing) > 1 else "now", Text(message))
    bar = ProgressBar(total=limit or 1, completed=status.done if limit else 0, width=60)
    # A bar alone ends no line, and the table's first row would stand behind it.
    return Group(Text(f"greenfront · {study}", style="bold green"), Padding(bar, 0), table)

"""One self-contained page about a study: it opens offline and asks nobody for anything."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from greenfront.errors import UsageError
from greenfront.objectives.drafts import drafted
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.labels import labels
from greenfront.studies.analysis.words.quantities import moment
from greenfront.studies.report.data import data
from greenfront.studies.report.figures import Drawn, figures
from greenfront.studies.report.method import method
from greenfront.studies.report.payload import as_json, payload
from greenfront.studies.report.pick import pick
from greenfront.studies.report.sections import classes, front, models, search, unfinished

__all__ = ["render", "write"]

SCRIPTS = ("format", "scoring", "figures", "ranking", "detail", "scenario", "main")
"""Of the page, in the order in which they are read."""


def render(found: ReportData, now: datetime | None = None) -> str:
    """Draws a study as one HTML file.

    Args:
        found: What is shown. Equal data give equal pages.
        now: The date on the page, with its time zone; the present moment if left out.

    Returns:
        The page. It holds its own script and style and loads nothing.
    """
    instant = (now or datetime.now(UTC)).astimezone(UTC)
    view = found.view
    # Figures show all trials, the tables only the front.
    view = replace(view, labels={**labels(view.complete), **view.labels})
    found = replace(found, view=view)
    drawn = figures(found)
    return Template(_packaged("template.html")).substitute(
        name=escape(view.name),
        task=escape(_task(view)),
        date=moment(instant.timestamp()),
        moment=instant.strftime("%Y-%m-%dT%H:%MZ"),
        pick=pick(found),
        front=front(view, drawn),
        classes=classes(found),
        models=models(view, drawn),
        search=search(found, drawn),
        unfinished=unfinished(view),
        data=data(view),
        method=method(found),
        style=_packaged("style.css"),
        study=as_json(payload(view)),
        figures=_figures(drawn),
        plotly=_packaged("plotly-basic.min.js"),
        script="\n".join(_packaged(f"{name}.js") for name in SCRIPTS),
    )


def write(found: ReportData, path: Path, now: datetime | None = None) -> None:
    """Writes :func:`render` to a file, entirely or not at all.

    Args:
        found: What is shown.
        path: Replaced if it exists.
        now: As in :func:`render`.

    Raises:
        UsageError: The folder is missing, or the file cannot be written there.
    """
    page = render(found, now)
    try:
        with drafted(path) as part:
            part.write_text(page, encoding="utf-8", newline="\n")
            # A draft is private; a report is as readable as any file that the user makes.
            part.chmod(0o666 & ~_umask())
            part.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"report file {str(path)!r} cannot be written: {error.strerror}: name a file in a folder "
        "that exists and may be written to"
    )


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _packaged(name: str) -> str:
    return files("greenfront.studies.report").joinpath(name).read_text(encoding="utf-8")


def _task(view: StudyView) -> str:
    task = view.facts.task
    shape = " × ".join(str(side) for side in task.input_shape) or "of text"
    sizes = ", ".join(f"{n:,} {split}" for split, n in task.sizes.items())
    return f"{task.name} · {task.predicted} · inputs {shape} · examples: {sizes}"


def _figures(drawn: Mapping[str, Drawn]) -> str:
    """The figures' data, for the page's script to draw."""
    return "".join(
        f"<script type='application/json' data-figure='{name}'>{as_json(_data(each))}</script>"
        for name, each in drawn.items()
        # The script draws the one front over either cost.
        if name != "front-co2"
    )


def _data(drawn: Drawn) -> Any:
    told = json.loads(drawn.figure.to_json(engine="json"))
    if drawn.name == "front":
        # The script tells of trials itself, in each scenario; so many words would weigh much.
        for trace in told["data"]:
            trace.pop("hovertext", None)
    return told

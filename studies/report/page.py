"""One self-contained page about a study: it opens offline and asks nobody for anything."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from greenfront.errors import UsageError
from greenfront.studies.analysis import quantities
from greenfront.studies.analysis.advice import advice
from greenfront.studies.analysis.labels import labels
from greenfront.studies.analysis.timing import timing_lines
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.wording import break_even_sentence
from greenfront.studies.report import figures
from greenfront.studies.report.data import data
from greenfront.studies.report.method import method
from greenfront.studies.report.points import groups
from greenfront.studies.report.tables import front_table, phase_table, unfinished_table
from greenfront.studies.report.wording import (
    instruments,
    proportionality,
    summary,
)
from greenfront.studies.store.trials import WITHOUT_RESULT

__all__ = ["render", "write"]

STATES = ("complete", "infeasible", "stopped", "failed", "running", "requeued")

NOTHING_FINISHED = "<p class='empty'>No trial has finished with a result yet.</p>"


def render(view: StudyView, now: datetime | None = None) -> str:
    """Draws a study as one HTML file.

    Args:
        view: What is shown. Equal views give equal pages.
        now: The date on the page, with its time zone; the present moment if left out.

    Returns:
        The page. It holds its own script and style and loads nothing.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    # Figures show all trials, the tables only the front.
    view = replace(view, labels={**labels(view.complete), **view.labels})
    return Template(_packaged("template.html")).substitute(
        name=escape(view.name),
        task=escape(_task(view)),
        date=moment.strftime("%Y-%m-%d %H:%M UTC"),
        moment=moment.strftime("%Y-%m-%dT%H:%MZ"),
        summary=escape(summary(view)),
        choices=_choices(view),
        cards=_cards(view),
        front=_front(view),
        progress=_progress(view),
        scores=_scores(view),
        phases=_phases(view),
        table=front_table(view) if view.front.rows else NOTHING_FINISHED,
        unfinished=_unfinished(view),
        data=data(view),
        method=method(view),
        style=_packaged("style.css"),
        plotly=get_plotlyjs(),
    )


def write(view: StudyView, path: Path, now: datetime | None = None) -> None:
    """Writes :func:`render` to a file, entirely or not at all.

    Args:
        view: What is shown.
        path: Replaced if it exists.
        now: As in :func:`render`.

    Raises:
        UsageError: The folder is missing, or the file cannot be written there.
    """
    page = render(view, now)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(page)
        # A temporary file is private; a report is as readable as any file that the user makes.
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        part.unlink(missing_ok=True)


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


def _choices(view: StudyView) -> str:
    """The named models, as a list."""
    if not view.front.rows:
        return ""
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in advice(view))
    return f"<ul class='choices'>{told}</ul>"


def _cards(view: StudyView) -> str:
    spent, kind = view.spent, view.kind
    intensity = view.file.carbon.model(view.facts.trace).intensity
    electricity = f"{intensity.g_per_kwh:.4g} g per kWh, {intensity.region}"
    if view.times is not None and view.times.told_share > 0:
        electricity = f"at the intensity of its time, {intensity.region}"
    states = " · ".join(f"{view.counts[s]} {s}" for s in STATES if view.counts[s])
    eligible = sum(row.eligible for row in view.front.rows)
    energy = (
        f"{kind}; between {quantities.energy(spent.low_kwh)} and "
        f"{quantities.energy(spent.high_kwh)}"
    )
    if spent.unmetered:
        energy += f"; {spent.unmetered} of {spent.entries} ledger entries had no reading"
    even = view.break_even
    cards = [
        ("Trials", str(len(view.trials)), states or "none begun"),
        ("Models on the front", str(len(view.front.rows)), f"{eligible} of them eligible"),
        (
            "Energy of the search",
            quantities.energy(spent.shown_kwh[0]),
            "no reading yet" if spent.unknown or not spent.entries else energy,
        ),
        (
            "CO₂ of the search",
            quantities.mass(spent.co2_kg),
            f"{kind}; {electricity}",
        ),
        ("Readings", kind, instruments(view)),
        (
            "Break-even predictions",
            quantities.count(even.predictions),
            break_even_sentence(even, view.scoring.predictions, kind),
        ),
    ]
    return "".join(
        f"<div class='card'><dt>{escape(title)}</dt><dd class='value'>{escape(value)}</dd>"
        f"<dd class='note'>{escape(note)}</dd></div>"
        for title, value, note in cards
    )


def _front(view: StudyView) -> str:
    if not view.complete:
        return NOTHING_FINISHED
    coincide, marked = proportionality(view), groups(view)
    kind, title = view.kind, " ".join(filter(None, [view.metric.title, view.metric.unit]))
    side = "up" if view.metric.maximise else "down"
    spread = f"Energy and CO₂ of making each model and of its predictions, {kind}."
    drawn = [
        _figure(
            "front-space",
            figures.front_in_space(view, marked),
            f"{title}, energy and CO₂ of every finished trial. {spread} Drag to turn.",
        ),
        _figure(
            "accuracy-energy",
            figures.score_over_energy(view, marked),
            f"{title} over energy. Better is {side} and to the left; the dotted line joins the "
            "most accurate models for their energy.",
        ),
        _figure(
            "accuracy-co2",
            figures.score_over_co2(view, marked),
            f"{title} over CO₂. Better is {side} and to the left; the dotted line joins the "
            "most accurate models for their CO₂.",
        ),
        _figure(
            "co2-energy",
            figures.co2_over_energy(view, marked),
            "CO₂ over energy. Better is down and to the left.",
        ),
    ]
    note = f"<p class='remark'>{escape(coincide)}</p>" if coincide else ""
    return f"{note}<div class='grid'>{''.join(drawn)}</div>"


def _progress(view: StudyView) -> str:
    if not view.steps:
        return NOTHING_FINISHED
    last = view.steps[-1]
    trials = "1 trial" if last.finished == 1 else f"{last.finished} trials"
    spent = quantities.energy(last.kwh_spent)
    drawn = [
        _figure(
            "progress-trials",
            figures.hypervolume_over_trials(view),
            f"Hypervolume over finished trials: {last.hypervolume:.3f} after {trials}.",
        ),
        _figure(
            "progress-energy",
            figures.hypervolume_over_energy(view),
            f"Hypervolume over the energy spent by the search: {last.hypervolume:.3f} for {spent} "
            f"({view.kind}).",
        ),
    ]
    return f"<div class='grid'>{''.join(drawn)}</div>"


def _scores(view: StudyView) -> str:
    if not view.front.rows:
        return NOTHING_FINISHED
    caption = (
        f"Green Score of the front by rank and trial: {view.metric.counted} per kg of CO₂ "
        f"({view.kind}). Grey and hatched: not eligible, ranked last."
    )
    return _figure("green-scores", figures.green_scores(view), caption)


def _phases(view: StudyView) -> str:
    if not view.spent_by_phase:
        return "<p class='empty'>The ledger holds no reading yet.</p>"
    caption = (
        f"Energy of the search by phase, {quantities.energy(view.spent.shown_kwh[0])} in all "
        f"({view.kind}). Whiskers: the plausible range."
    )
    drawn = _figure("energy-phases", figures.energy_by_phase(view), caption)
    times = [] if view.times is None else timing_lines(view.times)
    said = f"<p>{escape(' '.join(times))}</p>" if times else ""
    table = f"<details><summary>The same as a table</summary>{phase_table(view)}</details>"
    return f"{drawn}{said}{table}"


def _unfinished(view: StudyView) -> str:
    if not any(view.counts[state] for state in WITHOUT_RESULT):
        return "<p class='empty'>None.</p>"
    return unfinished_table(view)


def _figure(name: str, figure: go.Figure, caption: str) -> str:
    """A figure with its data beside it, for the page's script to draw."""
    height = int(figure.layout.height)
    return (
        f"<figure><div class='plot' id='{name}' role='img' "
        f"aria-label='{escape(caption)}' style='min-height:{height}px'></div>"
        f"<script type='application/json' data-figure='{name}'>{_json(figure)}</script>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _json(figure: go.Figure) -> str:
    """The figure in JSON that no HTML parser can take for markup."""
    text = str(figure.to_json(engine="json"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text

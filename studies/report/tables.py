"""The tables of the page, as HTML. Whatever comes from the study is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from greenfront.objectives.outcome import Outcome
from greenfront.objectives.readings import Reading
from greenfront.studies.analysis import quantities
from greenfront.studies.analysis.decisions import has_thresholds, never_decides
from greenfront.studies.analysis.front import ScoredTrial
from greenfront.studies.analysis.metric_words import score
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.store.trials import WITHOUT_RESULT, NetworkTrial

__all__ = ["front_table", "meter_table", "phase_table", "table", "unfinished_table"]


def front_table(view: StudyView) -> str:
    """The ranked front, what is not eligible last; the baseline stands below it if dominated."""
    kind = escape(view.kind)
    columns = [
        ("Rank", True),
        ("Trial", True),
        ("Model", False),
        (escape(view.metric.heading), True),
        (f"Energy <small>{kind}</small>", True),
        (f"CO₂ <small>{kind}</small>", True),
        ("Green Score <small>%/kg</small>", True),
        (f"Inference <small>per prediction, {kind}</small>", True),
        (f"Preprocessing <small>per prediction, {kind}</small>", True),
        ("Latency <small>median</small>", True),
        ("Bits <small>a weight</small>", True),
        ("Size <small>of the file</small>", True),
        *([("Zipped <small>saves no energy</small>", True)] if _has_zeros(view) else []),
        ("Parameters", True),
        *([("Threshold <small>probability</small>", True)] if has_thresholds(view) else []),
        ("Within drop <small>probability</small>", True),
        ("On front <small>probability</small>", True),
        ("Eligible", False),
    ]
    body = [_front_row(view, row) for row in view.front.rows]
    ranked = {row.trial for row in view.front.rows}
    below = ""
    if view.baseline is not None and view.baseline.trial not in ranked:
        below = f"<tfoot>{_front_row(view, view.baseline)}</tfoot>"
    return table("front", "The front, ranked by Green Score", columns, body, below)


def unfinished_table(view: StudyView) -> str:
    """Failed, infeasible and stopped trials with their reasons, by number."""
    columns = [
        ("Trial", True),
        ("State", False),
        ("Model", False),
        ("Reason", False),
        ("After", True),
    ]
    body = [_unfinished_row(row) for row in view.trials if row.state in WITHOUT_RESULT]
    return table("unfinished", "Trials without a result", columns, body)


def phase_table(view: StudyView) -> str:
    """What the search spent, by phase and in all."""
    columns = [
        ("Phase", False),
        (f"Energy <small>{escape(view.kind)}</small>", True),
        ("Low", True),
        ("High", True),
        ("CO₂", True),
        ("CPU time", True),
    ]
    body = [
        "<tr>"
        + _head(phase)
        + "".join(_number(quantities.energy(kwh)) for kwh in spent.shown_kwh)
        + _number(quantities.mass(spent.co2_kg))
        + _number(quantities.seconds(spent.cpu_seconds))
        + "</tr>"
        for phase, spent in [*view.spent_by_phase.items(), ("in all", view.spent)]
    ]
    return table("phases", "Energy of the search by phase", columns, body)


def meter_table(view: StudyView) -> str:
    """The pinned instruments."""
    columns = [("Component", False), ("Kind", False), ("Source", False)]
    body = [
        f"<tr>{_head(meter['component'])}{_cell(meter['kind'])}{_cell(meter['source'])}</tr>"
        for meter in view.meters
    ]
    return table("meters", "Instruments of this study", columns, body)


def _front_row(view: StudyView, row: ScoredTrial) -> str:
    outcome = row.outcome
    baseline = view.baseline is not None and row.trial == view.baseline.trial
    marks = [
        *(f"<span class='mark best'>{name}</span>" for name in view.front.names(row)),
        *(["<span class='mark base'>baseline</span>"] if baseline else []),
        *(["<span class='mark'>dominated</span>"] if row.rank == 0 else []),
    ]
    told = never_decides(view, row)
    verdict = "yes" if row.objection is None else f"no: {escape(row.objection)}"
    verdict += f"; {escape(told)}" if told else ""
    model = " ".join([escape(view.label(row)), *marks])
    return (
        f"<tr class='{'eligible' if row.eligible else 'ineligible'}' data-trial='{row.trial}'>"
        + _number(("≈" if row.tied else "") + str(row.rank) if row.rank else quantities.UNAVAILABLE)
        + f"<th scope='row' class='number'>{row.trial}</th>"
        + f"<td class='model'>{model}</td>"
        + _number(score(view.metric, row.score))
        + _number(quantities.energy(row.energy_kwh))
        + _number(quantities.mass(row.co2_kg))
        + _number(quantities.count(row.green_score))
        + f"<td class='number'>{_reading(outcome.inference)}</td>"
        + f"<td class='number'>{_reading(outcome.preprocessing)}</td>"
        + _number(quantities.seconds(outcome.latency_seconds))
        + _bits(row)
        + _number(quantities.size(outcome.artefact_bytes))
        + (_zipped(outcome) if _has_zeros(view) else "")
        + _number(quantities.count(outcome.parameters))
        + (_threshold(row) if has_thresholds(view) else "")
        + _number(quantities.chance(row.within_drop))
        + _number(quantities.chance(row.probability))
        + f"<td class='verdict'>{verdict}</td></tr>"
    )


def _threshold(row: ScoredTrial) -> str:
    decisions = row.outcome.decisions
    return _number(quantities.number(None if decisions is None else decisions.threshold))


def _bits(row: ScoredTrial) -> str:
    floating = row.outcome.floating_layers
    note = f" <small>{floating} layer{'s' * (floating > 1)} at 32</small>" if floating else ""
    return f"<td class='number'>{row.candidate.precision.bits}{note}</td>"


def _has_zeros(view: StudyView) -> bool:
    """Whether the study tried unstructured pruning, whose only gain is told beside the size."""
    return view.file.space.sparsity[1] > 0


def _zipped(outcome: Outcome) -> str:
    if outcome.compressed_bytes is None:
        return _number(quantities.UNAVAILABLE)
    size, zeros = quantities.size(outcome.compressed_bytes), quantities.percent(outcome.zeros)
    return f"<td class='number'>{size} <small>{zeros} zeros</small></td>"


def _reading(reading: Reading | None) -> str:
    if reading is None or reading.low_joules is None or reading.high_joules is None:
        return quantities.UNAVAILABLE
    low, high = quantities.joules(reading.low_joules), quantities.joules(reading.high_joules)
    return f"{quantities.joules(reading.joules)} <small>{low} to {high}</small>"


def _unfinished_row(row: NetworkTrial) -> str:
    after = None if row.finished_at is None else row.finished_at - row.started_at
    return (
        f"<tr><th scope='row' class='number'>{row.number}</th>{_cell(row.state)}"
        f"<td class='model'>{escape(row.candidate.describe())}</td>"
        f"<td class='reason'>{escape(row.reason or 'no reason was recorded')}</td>"
        f"{_number(quantities.seconds(after))}</tr>"
    )


def table(
    name: str,
    caption: str,
    columns: Sequence[tuple[str, bool]],
    body: Iterable[str],
    below: str = "",
) -> str:
    """A table that scrolls in its own frame where the page is narrow.

    Args:
        name: Unique in the page.
        caption: What it shows.
        columns: Heading in HTML, and whether the column holds numbers.
        body: Rows in HTML.
        below: A foot in HTML.
    """
    heads = "".join(
        f"<th scope='col'{' class=number' if number else ''}>{title}</th>"
        for title, number in columns
    )
    return (
        f"<div class='scroll' role='region' aria-labelledby='{name}-caption' tabindex='0'>"
        f"<table id='{name}'><caption id='{name}-caption'>{escape(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody>{below}</table></div>"
    )


def _head(text: str) -> str:
    return f"<th scope='row'>{escape(text)}</th>"


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _number(text: str) -> str:
    return f"<td class='number'>{escape(text)}</td>"

"""The tables of the page, as HTML. Whatever comes from the study is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from greenfront.objectives.outcome import Outcome
from greenfront.studies.analysis.findings.classes import Confusion
from greenfront.studies.analysis.findings.decisions import has_thresholds, never_decides
from greenfront.studies.analysis.findings.technique_table import TechniqueRow, technique_rows
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.search_cost.phases import PHASES
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.analysis.words.metric_words import score
from greenfront.studies.store.trials import WITHOUT_RESULT, NetworkTrial

__all__ = [
    "Column",
    "confusion_tables",
    "fixed_cells",
    "front_table",
    "meter_table",
    "numbers",
    "phase_table",
    "table",
    "technique_table",
    "unfinished_table",
    "words",
]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        key: By which the page's script sorts; empty where it does not.
        title: In plain text.
        note: Below the title, small.
        number: Whether it holds numbers.
    """

    key: str
    title: str
    note: str
    number: bool

    @property
    def head(self) -> str:
        """Its heading in HTML."""
        small = f" <small>{escape(self.note)}</small>" if self.note else ""
        key = f" data-key='{self.key}'" if self.key else ""
        kind = " class='number'" if self.number else ""
        return f"<th scope='col'{kind}{key}>{escape(self.title)}{small}</th>"


def words(*titles: str) -> list[Column]:
    """Columns of words, without notes."""
    return [Column("", title, "", False) for title in titles]


def numbers(*titles: str) -> list[Column]:
    """Columns of numbers, without notes."""
    return [Column("", title, "", True) for title in titles]


def front_columns(view: StudyView) -> list[Column]:
    """The columns of the ranked table."""
    kind = view.kind
    return [
        Column("rank", "Rank", "", True),
        Column("trial", "Trial", "", True),
        Column("label", "Model", "", False),
        Column("score", view.metric.heading, "", True),
        Column("energy", "Energy", kind, True),
        Column("co2", "CO₂", kind, True),
        Column("green", "Green Score", "%/kg", True),
        Column("joules", "Prediction", kind, True),
        Column("latency", "Latency", "median", True),
        Column("bytes", "Size", "of the file", True),
        *([Column("", "Zipped", "saves no energy", True)] if _has_zeros(view) else []),
        *([Column("", "Threshold", "probability", True)] if has_thresholds(view) else []),
        Column("within", "Within drop", "probability", True),
        Column("probability", "On front", "probability", True),
    ]


def front_table(view: StudyView) -> str:
    """The ranked front, what is not eligible last; the baseline stands below it if dominated.

    The page's script orders, filters and scores it anew; it makes the same rows.
    """
    body = [_front_row(view, row) for row in view.front.rows]
    ranked = {row.trial for row in view.front.rows}
    below = ""
    if view.baseline is not None and view.baseline.trial not in ranked:
        below = f"<tfoot>{_front_row(view, view.baseline)}</tfoot>"
    return table("ranking", "Ranked by Green Score", front_columns(view), body, below)


def fixed_cells(view: StudyView, row: ScoredTrial) -> list[str]:
    """What stands in a row of the table in any scenario: score, prediction, latency and size."""
    outcome = row.outcome
    zipped, threshold = [], []
    if _has_zeros(view):
        zipped.append(_zipped(outcome))
    if has_thresholds(view):
        decisions = outcome.decisions
        threshold.append(quantities.number(None if decisions is None else decisions.threshold))
    return [
        score(view.metric, row.score),
        quantities.joules(outcome.answer.joules),
        quantities.seconds(outcome.latency_seconds),
        quantities.size(outcome.artefact_bytes),
        *zipped,
        *threshold,
    ]


def unfinished_table(view: StudyView) -> str:
    """Failed, infeasible and stopped trials with their reasons, by number."""
    columns = [*numbers("Trial"), *words("State", "Model", "Reason"), *numbers("After")]
    body = [_unfinished_row(row) for row in view.trials if row.state in WITHOUT_RESULT]
    return table("unfinished", "Trials without a result", columns, body)


def phase_table(view: StudyView) -> str:
    """What the search spent, by phase and in all."""
    columns = [
        *words("Phase"),
        Column("", "Energy", view.kind, True),
        *numbers("Low", "High", "CO₂", "CPU time"),
        *words("What it is"),
    ]
    body = [
        "<tr>"
        + _head(phase)
        + "".join(_number(quantities.energy(kwh)) for kwh in spent.shown_kwh)
        + _number(quantities.mass(spent.co2_kg))
        + _number(quantities.seconds(spent.cpu_seconds))
        + f"<td>{escape(PHASES.get(phase, ''))}</td></tr>"
        for phase, spent in [*view.spent_by_phase.items(), ("in all", view.spent)]
    ]
    return table("phases", "Energy of the search by phase", columns, body)


def technique_table(view: StudyView) -> str:
    """What each technique brings, alone and combined, beside the same network untouched."""
    rows = technique_rows(view)
    if not rows:
        return (
            "<p class='empty'>No untouched network has finished to hold techniques against yet.</p>"
        )
    columns = [
        *words("Family", "Techniques"),
        *numbers("Trial", view.metric.heading),
        Column("", "Retained", "of the untouched", True),
        Column("", "Prediction", f"energy saved, {view.kind}", True),
        Column("", "Energy", f"saved, {view.kind}", True),
        Column("", "CO₂", f"saved, {view.kind}", True),
        Column("", "Size", "saved", True),
    ]
    body = [_technique_row(view, row) for row in rows]
    return table("techniques", "Each beside the same architecture, untouched", columns, body)


def _technique_row(view: StudyView, row: TechniqueRow) -> str:
    saved = (
        *(row.prediction_reduction, row.energy_reduction),
        *(row.co2_reduction, row.size_reduction),
    )
    remark = ""
    if row.objection is not None:
        remark = f"<small class='remark'>not eligible: {escape(row.objection)}</small>"
    elif row.trial is None:
        remark = "<small class='remark'>none has finished</small>"
    reached = quantities.UNAVAILABLE if row.score is None else score(view.metric, row.score)
    return (
        f"<tr class='{'eligible' if row.objection is None else 'ineligible'}'>"
        f"{_head(row.family)}<td>{escape(row.title)}{remark}</td>"
        + _number(quantities.UNAVAILABLE if row.trial is None else str(row.trial))
        + _number(reached)
        + _number(quantities.percent(row.retained))
        + "".join(_number(quantities.saving(share)) for share in saved)
        + "</tr>"
    )


def confusion_tables(found: Confusion) -> str:
    """The confusion matrix, shaded by the share of each row, and what each class gets."""
    names = [one.name for one in found.classes]
    body = []
    for name, line in zip(names, found.matrix, strict=True):
        cells = "".join(
            f"<td class='number{_mark(name == other, count)}' "
            f"style='--share:{count / max(sum(line), 1):.3f}'>{count or '·'}</td>"
            for other, count in zip(names, line, strict=True)
        )
        body.append(f"<tr>{_head(name)}{cells}</tr>")
    matrix = table(
        "confusion",
        "Examples by true class (rows) and by the class decided for (columns)",
        [*words("True class"), *numbers(*names)],
        body,
    )
    lines = [
        f"<tr>{_head(one.name)}{_number(f'{one.examples:,}')}"
        + "".join(_number(quantities.percent(s)) for s in (one.precision, one.recall, one.f1))
        + "</tr>"
        for one in found.classes
    ]
    columns = [*words("Class"), *numbers("Examples", "Precision", "Recall", "F1")]
    return matrix + table("classes", "What each class gets", columns, lines)


def _mark(right: bool, count: int) -> str:
    return " right" if right else " wrong" if count else ""


def meter_table(view: StudyView) -> str:
    """The pinned instruments."""
    columns = words("Component", "Kind", "Source")
    body = [
        f"<tr>{_head(meter['component'])}{_cell(meter['kind'])}{_cell(meter['source'])}</tr>"
        for meter in view.meters
    ]
    return table("meters", "Instruments of this study", columns, body)


def _front_row(view: StudyView, row: ScoredTrial) -> str:
    names = [*view.front.names(row)]
    if view.baseline is not None and row.trial == view.baseline.trial:
        names.append("baseline")
    marks = [
        f"<span class='mark {'base' if name == 'baseline' else 'best'}'>{name}</span>"
        for name in names
    ]
    told = [
        *filter(None, [row.made_of]),
        *(["dominated"] if row.rank == 0 else []),
        *([] if row.objection is None else [f"not eligible: {row.objection}"]),
        *filter(None, [never_decides(view, row)]),
    ]
    remark = f"<small class='remark'>{escape('; '.join(told))}</small>" if told else ""
    first, *fixed = fixed_cells(view, row)
    return (
        f"<tr class='{'eligible' if row.eligible else 'ineligible'}' data-trial='{row.trial}'>"
        + _number(("≈" if row.tied else "") + str(row.rank) if row.rank else quantities.UNAVAILABLE)
        + f"<th scope='row' class='number'>{row.trial}</th>"
        + f"<td class='model'>{' '.join([escape(view.label(row)), *marks])}{remark}</td>"
        + _number(first)
        + _number(quantities.energy(row.energy_kwh))
        + _number(quantities.mass(row.co2_kg))
        + _number(quantities.count(row.green_score))
        + "".join(map(_number, fixed))
        + _number(quantities.chance(row.within_drop))
        + _number(quantities.chance(row.probability))
        + "</tr>"
    )


def _has_zeros(view: StudyView) -> bool:
    """Whether the study tried unstructured pruning, whose only gain is told beside the size."""
    return view.file.space.sparsity[1] > 0


def _zipped(outcome: Outcome) -> str:
    if outcome.compressed_bytes is None:
        return quantities.UNAVAILABLE
    return f"{quantities.size(outcome.compressed_bytes)}, {quantities.percent(outcome.zeros)} zeros"


def _unfinished_row(row: NetworkTrial) -> str:
    after = None if row.finished_at is None else row.finished_at - row.started_at
    return (
        f"<tr><th scope='row' class='number'>{row.number}</th>{_cell(row.state)}"
        f"<td class='model'>{escape(row.candidate.describe())}</td>"
        f"<td class='reason'>{escape(row.reason or 'no reason was recorded')}</td>"
        f"{_number(quantities.seconds(after))}</tr>"
    )


def table(
    name: str, caption: str, columns: Sequence[Column], body: Iterable[str], below: str = ""
) -> str:
    """A table that scrolls in its own frame where the page is narrow.

    Args:
        name: Unique in the page.
        caption: What it shows.
        columns: Of the table.
        body: Rows in HTML.
        below: A foot in HTML.
    """
    return (
        f"<div class='scroll' role='region' aria-labelledby='{name}-caption' tabindex='0'>"
        f"<table id='{name}'><caption id='{name}-caption'>{escape(caption)}</caption>"
        f"<thead><tr>{''.join(column.head for column in columns)}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody>{below}</table></div>"
    )


def _head(text: str) -> str:
    return f"<th scope='row'>{escape(text)}</th>"


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _number(text: str) -> str:
    return f"<td class='number'>{escape(text)}</td>"

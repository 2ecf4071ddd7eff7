"""The table of techniques on a terminal, and as papers and programs want it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from greenfront.cli.sheet import Sheet
from greenfront.studies.analysis.words.metric_words import score
from greenfront.studies.analysis.words.quantities import UNAVAILABLE, percent, saving

if TYPE_CHECKING:
    from greenfront.studies.analysis.findings.technique_table import TechniqueRow
    from greenfront.studies.analysis.view import StudyView

__all__ = ["as_csv", "as_latex", "as_markdown", "technique_sheet"]

HEADINGS = (
    "retained",
    "energy reduction a prediction",
    "energy reduction",
    "CO₂ reduction",
    "size reduction",
)
SHARES = (
    "retained",
    "prediction_reduction",
    "energy_reduction",
    "co2_reduction",
    "size_reduction",
)
_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{
        "₂": r"\textsubscript{2}",
        "–": "--",
        "−": "$-$",
        "·": r"$\cdot$",
        "²": r"\textsuperscript{2}",
    },
    "ρ": r"$\rho$",
}


def technique_sheet(view: StudyView, rows: Sequence[TechniqueRow]) -> RenderableType:
    """For a terminal."""
    if not rows:
        return Text(
            f"Study {view.name} has no untouched network to hold techniques against yet: its "
            "baselines come first in a search, so let it go on by greenfront resume."
        )
    sheet = Sheet(
        f"What techniques bring in {view.name}; energy {view.kind}, for "
        f"{view.scoring.predictions:,.0f} predictions",
        (
            *("Trial", "techniques", view.metric.heading, "Retained"),
            *("−J/Prediction", "−Energy", "−CO₂", "−Size"),
        ),
        spare=("−Size",),
    )
    for row in rows:
        family, techniques, *figures = _cells(view, row)
        number = UNAVAILABLE if row.trial is None else str(row.trial)
        cells = (number, f"{family}: {techniques}", *figures)
        sheet.add(*cells, remark=_remark(row), style=_style(row))
    return Group(
        sheet,
        Text(
            "Each against the untouched network of the same architecture; – was not finished. "
            "Reductions are of a prediction, of making the model with all predictions, of the "
            "latter's CO₂, and of the file."
        ),
    )


def as_csv(view: StudyView, rows: Sequence[TechniqueRow]) -> str:
    """Every column in full precision, unknown ones empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["study", "family", "techniques", "trial", "baseline", view.metric.name, *SHARES]
    )
    for row in rows:
        told = [getattr(row, name) for name in SHARES]
        known = [row.trial, row.baseline, row.score, *told]
        writer.writerow(
            [view.name, row.family, row.title, *("" if v is None else v for v in known)]
        )
    return out.getvalue()


def as_markdown(view: StudyView, rows: Sequence[TechniqueRow]) -> str:
    """A table for a README."""
    head = _head(view)
    lines = [head, ["---", "---", *("---:" for _ in head[2:])], *(_cells(view, r) for r in rows)]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def as_latex(view: StudyView, rows: Sequence[TechniqueRow]) -> str:
    """A table for a paper, with the package ``booktabs``."""
    head = _head(view)
    body = "\n".join(_latex_line(_cells(view, row)) for row in rows)
    return (
        f"\\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}\n\\toprule\n{_latex_line(head)}\n"
        f"\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"
    )


def _head(view: StudyView) -> list[str]:
    return ["family", "techniques", view.metric.title, *HEADINGS]


def _cells(view: StudyView, row: TechniqueRow) -> list[str]:
    retained, *saved = (getattr(row, name) for name in SHARES)
    return [row.family, row.title, _score(view, row), percent(retained), *map(saving, saved)]


def _score(view: StudyView, row: TechniqueRow) -> str:
    return UNAVAILABLE if row.score is None else score(view.metric, row.score)


def _style(row: TechniqueRow) -> str:
    if not row.techniques:
        return "cyan"
    return "dim" if row.trial is None or row.objection else ""


def _remark(row: TechniqueRow) -> str | None:
    if row.trial is None:
        return None
    against = f"; not eligible: {row.objection}" if row.objection else ""
    beside = "" if row.trial == row.baseline else f", beside trial {row.baseline}"
    return f"{row.model}{beside}{against}"


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join("".join(_LATEX.get(sign, sign) for sign in cell) for cell in cells) + r" \\"

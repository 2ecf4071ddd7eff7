"""Finished trials as they are drawn: which axis, which group, which mark, which words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from greenfront.studies.analysis import quantities
from greenfront.studies.analysis.decisions import never_decides
from greenfront.studies.analysis.front import ScoredTrial
from greenfront.studies.analysis.metric_words import score
from greenfront.studies.analysis.view import StudyView

__all__ = [
    "BLUE",
    "GREY",
    "ORANGE",
    "SKY",
    "SLATE",
    "Axis",
    "Group",
    "co2_axis",
    "energy_axis",
    "groups",
    "hover",
    "score_axis",
]

# Blue and vermillion of Okabe and Ito's palette, which colour-blind people tell apart, and greys.
BLUE, SKY, ORANGE = "#0072b2", "#a6cee6", "#d55e00"
SLATE, GREY = "#475569", "#94a3b8"

DECADE = 10.0
"""A range wider than this is drawn logarithmically."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One objective as it is drawn.

    Attributes:
        title: With its unit.
        pick: The number of a trial, in stored units.
        factor: From stored units to the drawn ones.
        log: Whether the axis is logarithmic.
    """

    title: str
    pick: Callable[[ScoredTrial], float]
    factor: float
    log: bool

    def of(self, rows: Sequence[ScoredTrial]) -> list[float]:
        """The drawn coordinates of some trials."""
        return [self.pick(row) * self.factor for row in rows]

    def span(self, rows: Sequence[ScoredTrial]) -> float:
        """How far apart some trials are drawn, never less than one point alone needs."""
        places = self._placed(rows)
        least = 0.2 if self.log else 0.02 * max(abs(place) for place in places) or 1.0
        return max(max(places) - min(places), least)

    def frame(self, rows: Sequence[ScoredTrial], margin: float) -> list[float]:
        """The range of the axis that holds some trials, with a margin as a share of it."""
        places, half = self._placed(rows), self.span(rows) * (0.5 + margin)
        middle = (max(places) + min(places)) / 2
        return [middle - half, middle + half]

    def _placed(self, rows: Sequence[ScoredTrial]) -> list[float]:
        return [math.log10(value) if self.log else value for value in self.of(rows)]


@dataclass(frozen=True, slots=True)
class Group:
    """Trials that share a mark.

    Attributes:
        name: In the legend.
        rows: The trials.
        symbol: Known to flat and to spatial plots.
        colour: Of the mark.
        pixels: Its size in a flat plot.
        opacity: 0 to 1.
        labels: Written beside the marks; empty for most.
        told: What is told of each under the pointer.
    """

    name: str
    rows: tuple[ScoredTrial, ...]
    symbol: str
    colour: str
    pixels: int
    opacity: float
    labels: tuple[str, ...]
    told: tuple[str, ...]


def score_axis(view: StudyView) -> Axis:
    """The metric, in percent where people read it so."""
    metric = view.metric
    title = f"{metric.title} (%)" if metric.in_percent else metric.heading
    return Axis(title, lambda row: row.score, 100.0 if metric.in_percent else 1.0, log=False)


def energy_axis(view: StudyView) -> Axis:
    """Energy of making the model and of its predictions."""
    values = [row.energy_kwh for row in view.complete]
    scale = quantities.energy_scale(values)
    title = f"Energy ({scale.unit}, {view.kind})"
    return Axis(title, lambda row: row.energy_kwh, scale.factor, _wide(values))


def co2_axis(view: StudyView) -> Axis:
    """CO₂ of the same."""
    values = [row.co2_kg for row in view.complete]
    scale = quantities.mass_scale(values)
    title = f"CO₂ ({scale.unit}, {view.kind})"
    return Axis(title, lambda row: row.co2_kg, scale.factor, _wide(values))


def groups(view: StudyView) -> list[Group]:
    """The finished trials by how they are marked; those without members are left out.

    Each trial is in exactly one of the first three groups; the baseline is ringed on top.
    """
    ranks = {row.trial: row.rank for row in view.front.rows}
    dominated = tuple(row for row in view.complete if row.trial not in ranks)
    eligible = tuple(row for row in view.front.rows if row.eligible)
    others = tuple(row for row in view.front.rows if not row.eligible)
    baseline = () if view.baseline is None else (view.baseline,)

    def named(rows: tuple[ScoredTrial, ...]) -> tuple[str, ...]:
        return tuple("<br>".join(view.front.names(row)) for row in rows)

    def told(rows: tuple[ScoredTrial, ...]) -> tuple[str, ...]:
        return tuple(hover(view, row, ranks.get(row.trial, 0)) for row in rows)

    drawn = [
        Group("Dominated", dominated, "circle", GREY, 7, 0.5, (), told(dominated)),
        Group(
            "Front, not eligible",
            others,
            "diamond-open",
            SLATE,
            11,
            1.0,
            named(others),
            told(others),
        ),
        Group(
            *("Front, eligible", eligible, "circle", BLUE, 12, 1.0),
            *(named(eligible), told(eligible)),
        ),
        Group(
            *("Baseline", baseline, "square-open", ORANGE, 19, 1.0),
            *(("baseline",), told(baseline)),
        ),
    ]
    return [group for group in drawn if group.rows]


def hover(view: StudyView, row: ScoredTrial, rank: int) -> str:
    """What is told of a trial under the pointer, in the few tags that figures understand.

    Args:
        view: The study.
        row: The trial.
        rank: On the front; 0 for one that is dominated.
    """
    outcome, kind = row.outcome, view.kind
    lines = [
        f"<b>Trial {row.trial}</b>{f' · rank {rank}' if rank else ' · dominated'}",
        *(escape(part, quote=False) for part in view.label(row).split(" · ")),
        escape(f"{view.metric.title} {score(view.metric, row.score)}", quote=False),
        f"Energy {quantities.energy(row.energy_kwh)} ({kind})",
        f"CO₂ {quantities.mass(row.co2_kg)} ({kind})",
        f"Green Score {quantities.count(row.green_score)} %/kg",
        f"{row.candidate.precision.bits} bits · {quantities.percent(outcome.pruned_ratio)} "
        "of the parameters pruned",
        f"File {quantities.size(outcome.artefact_bytes)}",
    ]
    if outcome.preprocessing is not None:
        lines.append(
            f"A prediction: model {quantities.joules(outcome.inference.joules)}, preprocessing "
            f"{quantities.joules(outcome.preprocessing.joules)} ({kind})"
        )
    if outcome.batched is not None:
        lines.append(
            f"In batches of {outcome.batched.batch}: "
            f"{quantities.joules(outcome.batched.inference.joules)} a prediction ({kind})"
        )
    if row.within_drop is not None:
        lines.append(f"Within the drop in {quantities.chance(row.within_drop)} of resamples")
    told = never_decides(view, row)
    if told is not None:
        lines.append(escape(told[0].upper() + told[1:], quote=False))
    if row.objection:
        lines.append(f"Not eligible: {escape(row.objection, quote=False)}")
    return "<br>".join(lines)


def _wide(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) > DECADE

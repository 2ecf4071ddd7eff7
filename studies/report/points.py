"""Finished trials as they are drawn: which axis, which group, which mark, which words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.analysis.words.metric_words import score
from greenfront.studies.report.theme import BLUE, GREY, ORANGE, SLATE

__all__ = ["Axis", "Group", "co2_axis", "energy_axis", "groups", "hover", "score_axis"]

DECADE = 10.0
"""A range wider than this is drawn logarithmically."""

EDGE = 0.12

MARGIN = 0.18
"""Room around the models worth choosing in a close-up, as a share of what they take."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One objective as it is drawn.

    Attributes:
        title: With its unit.
        pick: The number of a trial, in stored units.
        factor: From stored units to the drawn ones.
        log: Whether the axis is logarithmic.
        most: More there cannot be; ``None`` where there is no end.
    """

    title: str
    pick: Callable[[ScoredTrial], float]
    factor: float
    log: bool
    most: float | None = None

    def of(self, rows: Sequence[ScoredTrial]) -> list[float]:
        """The drawn coordinates of some trials."""
        return [self.pick(row) * self.factor for row in rows]

    def frame(self, rows: Sequence[ScoredTrial]) -> list[float]:
        """The range of the axis that holds some trials with a margin; never less than one needs."""
        places = [math.log10(value) if self.log else value for value in self.of(rows)]
        least = 0.2 if self.log else 0.02 * max(abs(place) for place in places) or 1.0
        half = max(max(places) - min(places), least) * (0.5 + MARGIN)
        middle = (max(places) + min(places)) / 2
        top = middle + half
        # A little above the end, so that marks there are whole.
        return [middle - half, top if self.most is None else min(top, self.most + EDGE * half)]


@dataclass(frozen=True, slots=True)
class Group:
    """Trials that share a mark.

    Attributes:
        name: In the legend.
        rows: The trials.
        symbol: Of the mark.
        colour: The same.
        pixels: Its size.
        opacity: 0 to 1.
        labels: Written beside the marks; empty for most.
    """

    name: str
    rows: tuple[ScoredTrial, ...]
    symbol: str
    colour: str
    pixels: int
    opacity: float
    labels: tuple[str, ...] = ()


def score_axis(view: StudyView) -> Axis:
    """The metric, in percent where people read it so."""
    metric = view.metric
    title = f"{metric.title} (%)" if metric.in_percent else metric.heading
    factor = 100.0 if metric.in_percent else 1.0
    most = factor * metric.perfect if metric.maximise else None
    return Axis(title, lambda row: row.score, factor, log=False, most=most)


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
    """The finished trials by how they are marked; a group may be empty.

    Each trial is in exactly one of the first three groups; the baseline is ringed on top.
    """
    ranks = {row.trial for row in view.front.rows}
    dominated = tuple(row for row in view.complete if row.trial not in ranks)
    eligible = tuple(row for row in view.front.rows if row.eligible)
    others = tuple(row for row in view.front.rows if not row.eligible)
    baseline = () if view.baseline is None else (view.baseline,)

    def named(rows: tuple[ScoredTrial, ...]) -> tuple[str, ...]:
        return tuple(", ".join(view.front.names(row)) for row in rows)

    return [
        Group("Dominated", dominated, "circle", GREY, 6, 0.55),
        Group("Front, not eligible", others, "diamond-open", SLATE, 10, 1.0, named(others)),
        Group("Front, eligible", eligible, "circle", BLUE, 12, 1.0, named(eligible)),
        Group("Baseline", baseline, "square-open", ORANGE, 18, 1.0, ("baseline",) * len(baseline)),
    ]


def hover(view: StudyView, row: ScoredTrial, rank: int) -> str:
    """What is told of a trial under the pointer, in the few tags that figures understand.

    Args:
        view: The study.
        row: The trial.
        rank: On the front; 0 for one that is dominated.
    """
    kind = view.kind
    lines = [
        f"<b>Trial {row.trial}</b>{f' · rank {rank}' if rank else ' · dominated'}",
        *(escape(part, quote=False) for part in view.label(row).split(" · ")),
        escape(f"{view.metric.title} {score(view.metric, row.score)}", quote=False),
        f"Energy {quantities.energy(row.energy_kwh)} ({kind})",
        f"CO₂ {quantities.mass(row.co2_kg)} ({kind})",
        f"Green Score {quantities.count(row.green_score)} %/kg",
        f"File {quantities.size(row.outcome.artefact_bytes)}",
    ]
    if row.objection:
        lines.append(f"Not eligible: {escape(row.objection, quote=False)}")
    return "<br>".join(lines)


def _wide(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) > DECADE

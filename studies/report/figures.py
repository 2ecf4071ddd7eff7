"""The figures of a study, by name: the same in the page, in files and in the dashboard."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from greenfront.studies.analysis.findings.importance import Importance
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.report.front_figure import front
from greenfront.studies.report.model_figures import (
    MOST_LINES,
    family_co2,
    family_scores,
    parallel,
)
from greenfront.studies.report.points import co2_axis, energy_axis
from greenfront.studies.report.search_figures import (
    energy_by_phase,
    intensity_over_time,
    knobs,
    progress,
    varied,
)

__all__ = ["Drawn", "figures"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One figure.

    Attributes:
        name: Unique in a study, such as ``"front"``.
        title: For people.
        caption: What it shows, in plain text.
        figure: For Plotly.
    """

    name: str
    title: str
    caption: str
    figure: go.Figure


def figures(found: ReportData) -> dict[str, Drawn]:
    """Every figure that there is something to draw for, in the order in which a page has them."""
    view = found.view
    drawn = []
    if view.complete:
        drawn += [_front(view), *_front_by_co2(view), *_families(view), _parallel(view)]
    if view.steps:
        drawn.append(_progress(found))
    if view.spent_by_phase:
        drawn.append(_phases(view))
    if varied(found):
        drawn.append(_intensity(found))
    if found.importance is not None and found.importance.telling:
        drawn.append(_knobs(found.importance))
    return {each.name: each for each in drawn}


def _front(view: StudyView) -> Drawn:
    metric = view.metric
    side = "up" if metric.maximise else "down"
    title = " ".join(filter(None, [metric.title, metric.unit]))
    return Drawn(
        "front",
        f"{metric.title} over energy",
        f"{title} over the energy of making each model and of its "
        f"{view.scoring.predictions:,.0f} predictions ({view.kind}). Better is {side} and to the "
        "left; the dotted line joins the best for their energy.",
        front(view, energy_axis(view)),
    )


def _front_by_co2(view: StudyView) -> list[Drawn]:
    """Over CO₂, where that is not a mere multiple of energy."""
    if view.scoring.carbon.proportional_to_energy:
        return []
    return [
        Drawn(
            "front-co2",
            f"{view.metric.title} over CO₂",
            f"{view.metric.title} over the CO₂ of the same ({view.kind}).",
            front(view, co2_axis(view)),
        )
    ]


def _families(view: StudyView) -> list[Drawn]:
    shown = f"Of the greenest model of each family that is accurate enough ({view.kind})"
    return [
        Drawn(
            "family-co2",
            "CO₂ by family",
            f"{shown}; hatched: none is, so that the most accurate is shown.",
            family_co2(view),
        ),
        Drawn("family-scores", "Green Score by family", f"{shown}.", family_scores(view)),
    ]


def _parallel(view: StudyView) -> Drawn:
    dominated = len(view.complete) - len(view.front.rows)
    some = f" (some of {dominated:,})" if dominated > MOST_LINES else ""
    return Drawn(
        "parallel",
        "What models trade",
        "Each line is a model, from its score to its bits; blue lines are on the front and "
        f"accurate enough, grey ones dominated{some}. Costs are in the logarithm.",
        parallel(view),
    )


def _progress(found: ReportData) -> Drawn:
    last = found.view.steps[-1]
    trials = "1 trial" if last.finished == 1 else f"{last.finished:,} trials"
    told = (
        f"Hypervolume over the energy spent by the search: {last.hypervolume:.3f} after {trials} "
        f"for {quantities.energy(last.kwh_spent)} ({found.view.kind})"
    )
    beside = "; no random search of the same data is in this storage to stand beside it."
    if found.random_search is not None and found.random_search.steps:
        end = found.random_search.steps[-1]
        beside = (
            f"; the random search {found.random_search.study} of the same data reached "
            f"{end.hypervolume:.3f} for {quantities.energy(end.kwh_spent)}."
        )
    return Drawn("progress", "Progress of the search", told + beside, progress(found))


def _phases(view: StudyView) -> Drawn:
    return Drawn(
        "phases",
        "Where the energy went",
        f"Energy of the search by phase, {quantities.energy(view.spent.shown_kwh[0])} in all "
        f"({view.kind}). Whiskers: the plausible range.",
        energy_by_phase(view),
    )


def _intensity(found: ReportData) -> Drawn:
    waits = () if found.view.times is None else found.view.times.waits
    shade = " Shaded: waits for cleaner electricity." if waits else ""
    return Drawn(
        "intensity",
        "When it ran",
        "Carbon intensity of the electricity that each trial ran on, as the ledger has it: a line "
        f"from begin to end of each trial.{shade}",
        intensity_over_time(found),
    )


def _knobs(found: Importance) -> Drawn:
    told = [
        f"{target.explained:.0%} of the variance of the {target.name}" for target in found.telling
    ]
    return Drawn(
        "knobs",
        "Which knobs mattered",
        f"Share of each knob in what a random forest foresees of {found.trials:,} "
        f"networks: {' and '.join(told)}, on trials that its trees had not seen. (A forest of "
        "greenfront’s; Optuna’s own importance, PED-ANOVA, stands in the dashboard.)",
        knobs(found),
    )

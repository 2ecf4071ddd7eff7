"""The figures: each holds what was stored, and is there only where there is something to draw."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from contracts.reports import VIEWS, of_families
from greenfront.studies.analysis.findings.importance import Importance, Target
from greenfront.studies.analysis.history.electricity import TrialElectricity
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.search_cost.random_search import RandomSearch
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.report.figures import figures
from greenfront.studies.report.front_figure import front
from greenfront.studies.report.points import co2_axis, energy_axis


def drawn(view: StudyView, name: str) -> object:
    return figures(ReportData(view))[name].figure


@pytest.mark.parametrize("name", ["usual", "embodied", "one trial", "no baseline"])
def test_the_front_holds_the_stored_values(name: str) -> None:
    view = VIEWS[name]
    members = {row.trial for row in view.front.rows}
    groups = {
        "Front, eligible": [row for row in view.front.rows if row.eligible],
        "Front, not eligible": [row for row in view.front.rows if not row.eligible],
        "Dominated": [row for row in view.complete if row.trial not in members],
        "Baseline": [view.baseline] if view.baseline else [],
    }
    wh = quantities.energy_scale([row.energy_kwh for row in view.complete]).factor
    grams = quantities.mass_scale([row.co2_kg for row in view.complete]).factor
    for axis, values in (
        (energy_axis(view), {row.trial: row.energy_kwh * wh for row in view.complete}),
        (co2_axis(view), {row.trial: row.co2_kg * grams for row in view.complete}),
    ):
        traces = {trace.name: trace for trace in front(view, axis).data}
        for group, rows in groups.items():
            trace = traces[group]
            assert list(trace.x) == [values[row.trial] for row in rows]
            assert list(trace.y) == [100 * row.score for row in rows]
            assert list(trace.customdata) == [row.trial for row in rows]
            for row, told in zip(rows, trace.hovertext, strict=True):
                assert f"<b>Trial {row.trial}</b>" in told
                assert quantities.count(row.green_score) in told
                assert "modelled" in told


@pytest.mark.parametrize(("better", "side"), [(0.001, "top center"), (-0.001, "bottom center")])
def test_the_word_of_the_baseline_keeps_away_from_that_of_the_greenest(
    better: float, side: str
) -> None:
    view = VIEWS["usual"]
    greenest, baseline = view.front.greenest, view.baseline
    assert greenest is not None
    assert baseline is not None
    view = replace(view, baseline=replace(baseline, score=greenest.score + better))
    traces = {trace.name: trace for trace in front(view, energy_axis(view)).data}
    assert traces["Baseline"].textposition == side


def test_a_front_over_co2_is_drawn_only_where_it_is_another_one() -> None:
    assert "front-co2" not in figures(ReportData(VIEWS["usual"]))
    assert "front-co2" in figures(ReportData(VIEWS["embodied"]))


def test_a_wide_range_is_drawn_logarithmically() -> None:
    view = VIEWS["usual"]
    energies = [row.energy_kwh for row in view.complete]
    near = tuple(r for r in view.complete if r.energy_kwh > 0.5 * max(energies))
    narrow = replace(view, complete=near, front=replace(view.front, rows=near[:1]))
    assert front(narrow, energy_axis(narrow)).layout.xaxis.type == "linear"
    wide = replace(narrow, complete=(*near, replace(near[0], energy_kwh=max(energies) / 30)))
    assert front(wide, energy_axis(wide)).layout.xaxis.type == "log"
    assert front(wide, energy_axis(wide)).layout.yaxis.type == "linear"


def test_it_opens_close_to_what_is_eligible() -> None:
    view = VIEWS["usual"]
    figure = front(view, energy_axis(view))
    (low, high), (bottom, top) = figure.layout.xaxis.range, figure.layout.yaxis.range
    (eligible,) = [trace for trace in figure.data if trace.name == "Front, eligible"]
    assert figure.layout.xaxis.type == "log"
    assert all(low < math.log10(x) < high for x in eligible.x)
    assert all(bottom < y < top for y in eligible.y)
    assert top - bottom < 20
    assert top < 102  # nothing is more accurate than all


def test_families_hold_their_greenest() -> None:
    view = VIEWS["usual"]
    (bars,) = figures(ReportData(view))["family-co2"].figure.data
    (scores,) = figures(ReportData(view))["family-scores"].figure.data
    greenest = view.front.greenest
    assert greenest is not None
    assert greenest.trial in bars.customdata
    place = list(bars.customdata).index(greenest.trial)
    grams = quantities.mass_scale([greenest.co2_kg])
    assert bars.text[place] == quantities.mass(greenest.co2_kg)
    assert grams.unit in bars.text[place]
    assert scores.x[place] == greenest.green_score


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("cnn", "cnn"),
        (
            "timm:mobilenetv3_small_100.lamb_in1k",
            "timm:<br>mobilenetv3_<br>small_100.lamb_<br>in1k",
        ),
        ("a" * 40, f"{'a' * 15}<br>{'a' * 15}<br>{'a' * 10}"),
        ("a&b", "a&amp;b"),
    ],
)
def test_a_long_name_stands_in_lines(name: str, lines: str) -> None:
    (bars,) = figures(ReportData(of_families(VIEWS["usual"], name)))["family-co2"].figure.data
    assert list(bars.y) == [lines]


def test_parallel_lines_lie_between_the_best_and_the_worst() -> None:
    view = VIEWS["usual"]
    lines = figures(ReportData(view))["parallel"].figure
    shown = [number for trace in lines.data for number in trace.customdata if number is not None]
    assert set(shown) == {row.trial for row in view.complete}
    places = [y for trace in lines.data for y in trace.y if y is not None]
    assert min(places) == 0
    assert max(places) == 1


def test_progress_and_phases_hold_the_stored_values() -> None:
    view = VIEWS["usual"]
    (curve,) = figures(ReportData(view))["progress"].figure.data
    assert list(curve.y) == [step.hypervolume for step in view.steps]
    assert list(curve.x) == pytest.approx([1000 * step.kwh_spent for step in view.steps])
    (phases,) = figures(ReportData(view))["phases"].figure.data
    # Of several phases under a hundredth of the whole there is one bar; here is one alone.
    assert list(phases.y) == list(view.spent_by_phase)
    assert list(phases.x) == pytest.approx([1000 * s.kwh for s in view.spent_by_phase.values()])
    small = {f"p{n}": replace(view.spent, kwh=view.spent.kwh / 1e4) for n in range(3)}
    many = replace(view, spent_by_phase={**view.spent_by_phase, **small})
    (bars,) = figures(ReportData(many))["phases"].figure.data
    assert bars.y[-1] == "3 smaller ones"
    assert sum(bars.x) == pytest.approx(1000 * sum(s.kwh for s in many.spent_by_phase.values()))


def test_a_random_search_stands_beside_only_where_there_is_one() -> None:
    view = VIEWS["usual"]
    alone = figures(ReportData(view))["progress"]
    assert len(alone.figure.data) == 1
    assert "no random search of the same data is in this storage" in alone.caption
    both = figures(ReportData(view, random_search=RandomSearch("blind", view.steps[:5])))[
        "progress"
    ]
    assert [trace.name for trace in both.figure.data] == ["This search", "Random: blind"]
    assert both.figure.data[1].customdata is None


def test_intensity_is_drawn_only_where_it_varied() -> None:
    view = VIEWS["usual"]
    steady = tuple(TrialElectricity(n, 60.0 * n, 60.0 * n + 50, 400.0, 1e-6) for n in range(4))
    assert "intensity" not in figures(ReportData(view, electricity=steady))
    varied = (*steady, TrialElectricity(4, 240.0, 290.0, 200.0, 1e-6))
    figure = figures(ReportData(view, electricity=varied))["intensity"].figure
    assert [y for y in figure.data[0].y if y is not None][::2] == [400, 400, 400, 400, 200]


def test_knobs_are_drawn_only_where_the_forest_foresees_anything() -> None:
    view = VIEWS["usual"]
    blind = Importance(20, (Target("score", {"pruning.ratio": 1.0}, -0.2),))
    assert "knobs" not in figures(ReportData(view, importance=blind))
    seeing = Importance(20, (Target("energy", {"pruning.ratio": 0.75, "x": 0.25}, 0.6),))
    figure = figures(ReportData(view, importance=seeing))["knobs"]
    assert list(figure.figure.data[0].x) == [75, 25]
    assert "60% of the variance of the energy" in figure.caption

"""The report: complete, escaped and self-contained."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.reports import NASTY, NOW, VIEWS, Page, every_view
from greenfront.errors import UsageError
from greenfront.studies.analysis import quantities
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.report import figures, points
from greenfront.studies.report.page import render, write


@every_view
def test_loads_nothing(view: StudyView) -> None:
    page = Page(render(view, NOW))
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "img", "object", "embed", "base", "form"}
        assert not {"src", "href", "srcset", "action", "data", "onload"} & set(attributes)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    style = next(text for tag, text in page.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    own = [text for tag, text in page.texts if tag == "script"][-1]
    assert "Plotly.newPlot" in own
    assert not re.search(r"fetch|XMLHttpRequest|https?:|import", own)


@every_view
def test_what_comes_from_the_study_is_escaped(view: StudyView) -> None:
    html = render(view, NOW)
    page = Page(html)
    data = [text for tag, text in page.texts if tag == "script" and '"data"' in text[:200]]
    figures_there = sum("data-figure" in a for tag, a in page.tags if tag == "script")
    assert page.count("script") == figures_there + 2
    assert html.count("</script>") == page.count("script")
    assert "<script>alert" not in html
    assert "alert('x')</script>" not in html
    for text in data:
        json.loads(text)


def test_names_are_shown_as_they_are() -> None:
    page = Page(render(VIEWS["nasty"], NOW))
    assert ("h1", NASTY) in page.texts
    assert ("td", NASTY) in page.texts


@every_view
def test_equal_views_give_equal_pages(view: StudyView) -> None:
    assert render(view, NOW) == render(view, NOW)


def test_only_the_date_differs() -> None:
    first = render(VIEWS["usual"], NOW)
    later = render(VIEWS["usual"], datetime(2027, 5, 6, 7, 8, tzinfo=UTC))
    assert "2026-03-01 12:30 UTC" in first
    assert first.replace("2026-03-01 12:30", "2027-05-06 07:08") == later.replace(
        "2027-05-06T07:08Z", "2026-03-01T12:30Z"
    )


def test_the_table_holds_the_front_in_order() -> None:
    view = VIEWS["usual"]
    rows = [
        (attributes["class"], attributes["data-trial"])
        for _, attributes in Page(render(view, NOW)).tags
        if "data-trial" in attributes
    ]
    expected = [("eligible" if r.eligible else "ineligible", str(r.trial)) for r in view.front.rows]
    assert rows[: len(expected)] == expected
    assert {kind for kind, _ in expected} == {"eligible", "ineligible"}
    dominated_baseline = view.baseline not in [replace(row, rank=0) for row in view.front.rows]
    assert len(rows) == len(expected) + dominated_baseline


@pytest.mark.parametrize("name", ["usual", "embodied", "nasty", "one trial"])
def test_rows_say_what_was_measured(name: str) -> None:
    view, html = VIEWS[name], render(VIEWS[name], NOW)
    for row in view.front.rows:
        line = re.search(rf"<tr [^>]*data-trial='{row.trial}'>.*?</tr>", html, re.DOTALL)
        assert line is not None
        for text in (
            quantities.percent(row.score),
            quantities.energy(row.energy_kwh),
            quantities.mass(row.co2_kg),
            quantities.count(row.green_score),
            quantities.joules(row.outcome.inference.joules),
            quantities.size(row.outcome.artefact_bytes),
        ):
            assert text in line.group()


@pytest.mark.parametrize("name", ["usual", "embodied", "one trial", "no baseline"])
def test_the_front_figures_hold_the_stored_values(name: str) -> None:
    view = VIEWS[name]
    wh = quantities.energy_scale([row.energy_kwh for row in view.complete]).factor
    grams = quantities.mass_scale([row.co2_kg for row in view.complete]).factor
    members = {row.trial for row in view.front.rows}
    groups = {
        "Front, eligible": [row for row in view.front.rows if row.eligible],
        "Front, not eligible": [row for row in view.front.rows if not row.eligible],
        "Dominated": [row for row in view.complete if row.trial not in members],
        "Baseline": [view.baseline] if view.baseline else [],
    }
    space = {trace.name: trace for trace in figures.front_in_space(view, points.groups(view)).data}
    flat = [
        (figures.score_over_energy(view, points.groups(view)), "energy", "score"),
        (figures.score_over_co2(view, points.groups(view)), "co2", "score"),
        (figures.co2_over_energy(view, points.groups(view)), "energy", "co2"),
    ]
    assert set(space) == {group for group, rows in groups.items() if rows}
    for group, trace in space.items():
        rows = groups[group]
        values = {
            "energy": [row.energy_kwh * wh for row in rows],
            "co2": [row.co2_kg * grams for row in rows],
            "score": [100 * row.score for row in rows],
        }
        assert list(trace.x) == values["energy"]
        assert list(trace.y) == values["co2"]
        assert list(trace.z) == values["score"]
        for figure, across, up in flat:
            (same,) = [t for t in figure.data if t.name == group]
            assert list(same.x) == values[across]
            assert list(same.y) == values[up]
        for row, told in zip(rows, trace.hovertext, strict=True):
            assert f"<b>Trial {row.trial}</b>" in told
            assert quantities.count(row.green_score) in told
            assert quantities.size(row.outcome.artefact_bytes) in told
            assert "modelled" in told


def test_a_wide_range_is_drawn_logarithmically() -> None:
    view = VIEWS["usual"]
    energies = [row.energy_kwh for row in view.complete]
    near = tuple(r for r in view.complete if r.energy_kwh > 0.5 * max(energies))
    narrow = replace(view, complete=near, front=replace(view.front, rows=near[:1]))
    assert figures.co2_over_energy(narrow, points.groups(narrow)).layout.xaxis.type == "linear"
    assert figures.front_in_space(narrow, points.groups(narrow)).layout.scene.xaxis.type == "linear"
    far = replace(near[0], energy_kwh=max(energies) / 30)
    wide = replace(narrow, complete=(*near, far))
    assert figures.co2_over_energy(wide, points.groups(wide)).layout.xaxis.type == "log"
    assert figures.score_over_energy(wide, points.groups(wide)).layout.yaxis.type == "linear"


def test_a_close_up_frames_what_is_eligible() -> None:
    view = VIEWS["usual"]
    figure = figures.score_over_energy(view, points.groups(view))
    _, close = figure.layout.updatemenus[0].buttons
    (low, high), (bottom, top) = close.args[0].values()
    (eligible,) = [t for t in figure.data if t.name == "Front, eligible"]
    assert figure.layout.xaxis.type == "log"
    assert all(low < math.log10(x) < high for x in eligible.x)
    assert all(bottom < y < top for y in eligible.y)
    assert top - bottom < 20
    assert not figures.score_over_energy(
        VIEWS["one trial"], points.groups(VIEWS["one trial"])
    ).layout.updatemenus


def test_progress_scores_and_phases_hold_the_stored_values() -> None:
    view = VIEWS["usual"]
    (over_trials,) = figures.hypervolume_over_trials(view).data
    (over_energy,) = figures.hypervolume_over_energy(view).data
    assert list(over_trials.x) == [step.finished for step in view.steps]
    assert list(over_trials.y) == [step.hypervolume for step in view.steps]
    assert list(over_energy.x) == pytest.approx([1000 * step.kwh_spent for step in view.steps])
    bars = [y for trace in figures.green_scores(view).data for y in trace.y]
    assert bars == [row.green_score for row in view.front.rows]
    (phases,) = figures.energy_by_phase(view).data
    assert list(phases.y) == list(view.spent_by_phase)
    assert list(phases.x) == pytest.approx([1000 * s.kwh for s in view.spent_by_phase.values()])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("usual", "accurate than the untouched baseline, trial 0 (cnn depth=3)"),
        ("usual", "times less energy (modelled)"),
        ("measured", "times less energy (measured)"),
        ("usual", "CO₂ is a constant multiple of energy"),
        ("usual", "between 1.88 Wh and 5.34 Wh"),
        ("usual", "out of memory: the evaluator was killed at 2.1 GB"),
        ("usual", "56.04 g per kWh (as stated)"),
        (
            "one trial",
            "The greenest model that is accurate enough is the untouched baseline itself",
        ),
        ("no baseline", "the untouched baseline has not finished"),
        ("nothing finished", "No trial has finished with a result yet"),
        ("nothing at all", "No instrument metered this study"),
        ("one trial", "the greenest model is the baseline itself"),
        ("no emissions", "<td class='number'>∞</td>"),
        ("usual", "<p>Examples: 1,078 train, 359 validation, 360 test.</p>"),
        ("nasty", "1,797 rows, 2 columns</caption>"),
        ("nasty", "<td class='number'>3</td>"),
    ],
)
def test_says(name: str, told: str) -> None:
    assert told in render(VIEWS[name], NOW)


def test_does_not_say_what_is_not_so() -> None:
    assert "constant multiple of energy in this" not in render(VIEWS["embodied"], NOW)
    assert "(modelled)" not in render(VIEWS["measured"], NOW)


def test_writes_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("older")
    write(VIEWS["one trial"], path, NOW)
    assert path.read_text(encoding="utf-8") == render(VIEWS["one trial"], NOW)
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match=r"report\.html.*No space left"):
        write(VIEWS["usual"], path, NOW)
    assert path.read_text(encoding="utf-8") == render(VIEWS["one trial"], NOW)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        write(VIEWS["one trial"], tmp_path / "nowhere" / "report.html", NOW)

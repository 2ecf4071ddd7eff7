"""The report: complete, escaped and self-contained."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs_version

from contracts.reports import NASTY, NOW, VIEWS, Page, every_view
from greenfront.errors import UsageError
from greenfront.studies.analysis.findings.technique_table import technique_rows
from greenfront.studies.analysis.history.chains import Link
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.export.facts import record_of
from greenfront.studies.export.record import RECORD, Emission, Score
from greenfront.studies.report.exported import with_test_score
from greenfront.studies.report.page import render, write


@every_view
def test_loads_nothing(view: StudyView) -> None:
    page = Page(render(ReportData(view), NOW))
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "img", "object", "embed", "base"}
        assert not {"src", "href", "srcset", "action", "data", "onload"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    style = next(text for tag, text in page.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    own = [text for tag, text in page.texts if tag == "script"][-1]
    assert "Plotly.react" in own
    assert not re.search(r"fetch|XMLHttpRequest|https?:|import|innerHTML|insertAdjacent", own)


def test_a_leak_comes_before_the_model() -> None:
    view = VIEWS["nasty"]
    html = render(ReportData(view), NOW)
    callout = html.index("alone each predict the target")
    assert html.rindex("class='callout'", 0, callout) < callout < html.index("id='pick'")


def test_what_was_spent_after_the_search_stands_apart() -> None:
    view = VIEWS["usual"]
    assert "by tune, after it" not in render(ReportData(view))
    tuned = replace(view.spent, kwh=2.5e-6)
    later = replace(view, spent_by_phase={**view.spent_by_phase, "tune": tuned})
    assert ", of it 2.50 mWh by tune, after it." in render(ReportData(later))


@every_view
def test_what_comes_from_the_study_is_escaped(view: StudyView) -> None:
    html = render(ReportData(view), NOW)
    page = Page(html)
    data = [text for tag, text in page.texts if tag == "script" and text.startswith("{")]
    figures_there = sum("data-figure" in a for tag, a in page.tags if tag == "script")
    # Beside the figures: the study, the library and the page's own.
    assert page.count("script") == figures_there + 3
    assert html.count("</script>") == page.count("script")
    assert "<script>alert" not in html
    assert "alert('x')</script>" not in html
    assert len(data) == figures_there + 1
    for text in data:
        json.loads(text)


def test_names_are_shown_as_they_are() -> None:
    page = Page(render(ReportData(VIEWS["nasty"]), NOW))
    assert ("h1", NASTY) in page.texts
    assert ("td", NASTY) in page.texts


@every_view
def test_equal_views_give_equal_pages(view: StudyView) -> None:
    assert render(ReportData(view), NOW) == render(ReportData(view), NOW)


def test_only_the_date_differs() -> None:
    first = render(ReportData(VIEWS["usual"]), NOW)
    later = render(ReportData(VIEWS["usual"]), datetime(2027, 5, 6, 7, 8, tzinfo=UTC))
    assert "2026-03-01 12:30 UTC" in first
    assert first.replace("2026-03-01 12:30", "2027-05-06 07:08") == later.replace(
        "2027-05-06T07:08Z", "2026-03-01T12:30Z"
    )


def test_the_table_holds_the_front_in_order() -> None:
    view = VIEWS["usual"]
    rows = [
        (attributes["class"], attributes["data-trial"])
        for _, attributes in Page(render(ReportData(view), NOW)).tags
        if "data-trial" in attributes
    ]
    expected = [("eligible" if r.eligible else "ineligible", str(r.trial)) for r in view.front.rows]
    assert rows[: len(expected)] == expected
    assert {kind for kind, _ in expected} == {"eligible", "ineligible"}
    dominated_baseline = view.baseline not in [replace(row, rank=0) for row in view.front.rows]
    assert len(rows) == len(expected) + dominated_baseline


@pytest.mark.parametrize("name", ["usual", "embodied", "nasty", "one trial"])
def test_rows_say_what_was_measured(name: str) -> None:
    view, html = VIEWS[name], render(ReportData(VIEWS[name]), NOW)
    for row in view.front.rows:
        line = re.search(rf"<tr [^>]*data-trial='{row.trial}'>.*?</tr>", html, re.DOTALL)
        assert line is not None
        for text in (
            quantities.percent(row.score),
            quantities.energy(row.energy_kwh),
            quantities.mass(row.co2_kg),
            quantities.count(row.green_score),
            quantities.joules(row.outcome.answer.joules),
            quantities.size(row.outcome.artefact_bytes),
        ):
            assert text in line.group()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("usual", "accurate than the untouched baseline, trial 0 (cnn depth=3)"),
        ("usual", "s energy (modelled), and its file has "),
        ("measured", "s energy (measured), and its file has "),
        ("usual", "training networks, fitting references"),
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
        ("embodied", "2 g per busy device-hour of making the device"),
        ("one trial", "the greenest model is the baseline itself"),
        ("no emissions", "<td class='number'>∞</td>"),
        ("usual", "<p>Examples: 1,078 train, 359 validation, 360 test.</p>"),
        ("nasty", "1,797 rows, 2 columns</caption>"),
        ("nasty", "<td class='number'>3</td>"),
    ],
)
def test_says(name: str, told: str) -> None:
    assert told in render(ReportData(VIEWS[name]), NOW)


def test_does_not_say_what_is_not_so() -> None:
    assert "constant multiple of energy in this" not in render(ReportData(VIEWS["embodied"]), NOW)
    assert "(modelled)" not in render(ReportData(VIEWS["measured"]), NOW)


def test_writes_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("older")
    write(ReportData(VIEWS["one trial"]), path, NOW)
    assert path.read_text(encoding="utf-8") == render(ReportData(VIEWS["one trial"]), NOW)
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match=r"report\.html.*No space left"):
        write(ReportData(VIEWS["usual"]), path, NOW)
    assert path.read_text(encoding="utf-8") == render(ReportData(VIEWS["one trial"]), NOW)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        write(ReportData(VIEWS["one trial"]), tmp_path / "nowhere" / "report.html", NOW)


def test_the_library_is_the_one_that_plotly_draws_for() -> None:
    ours = files("greenfront.studies.report").joinpath("plotly-basic.min.js").read_text("utf-8")
    told = re.search(r"plotly\.js \(basic - minified\) v(\S+)", ours[:300])
    assert told is not None
    assert told.group(1) == get_plotlyjs_version()


def test_each_technique_stands_beside_the_untouched_network() -> None:
    view = VIEWS["usual"]
    html = render(ReportData(view), NOW)
    table = re.search(r"<table id='techniques'>.*?</table>", html, re.DOTALL)
    assert table is not None
    rows = technique_rows(view)
    assert table.group().count("<tr class=") == len(rows) > 0
    for row in rows:
        assert f"<td>{row.title}" in table.group()
        if row.co2_reduction is not None:
            assert quantities.percent(row.co2_reduction) in table.group()
    nothing = render(ReportData(VIEWS["no baseline"]), NOW)
    assert "<h3>What each technique brings</h3>" in nothing


def exported(folder: Path, **changes: Any) -> Path:
    """The record of the greenest model in a folder, as ``greenfront export`` leaves it."""
    view, pick = VIEWS["usual"], VIEWS["usual"].front.greenest
    assert pick is not None
    record = record_of(view, changes.pop("trial", pick.trial))
    tested = changes.pop("test", Score(0.9615, 0.94, 0.9785, 360))
    reading = replace(record.model.answer.reading, joules=0.00123)
    told = replace(record.model, test=tested, plain=Emission(reading, None))
    record = replace(record, model=told, **changes)
    (folder / RECORD).write_text(json.dumps(record.to_json()), encoding="utf-8")
    return folder


def test_a_score_on_test_is_told_where_an_exported_folder_has_it(tmp_path: Path) -> None:
    found = ReportData(VIEWS["usual"])
    page = render(with_test_score(found, exported(tmp_path)), NOW)
    assert "<dt>Accuracy on test</dt><dd class='value'>96.2%</dd>" in page
    assert "95% interval 94.0% to 97.9%" in page
    assert "takes 1.23 mJ (" in page
    assert "in ONNX Runtime without options, which starts a thread a core" in page
    assert "The test split has not been read" not in page
    assert "played no part in this page" not in page
    assert "The test split has not been read" in render(found, NOW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": "other"}, "holds a model of study 'other'"),
        ({"test": None}, "was not judged on the test split"),
        ({"trial": VIEWS["usual"].front.rows[-1].trial}, r"holds trial \d+, and the report begins"),
    ],
    ids=["of another study", "not judged", "another model"],
)
def test_a_folder_that_says_nothing_of_the_model_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        with_test_score(ReportData(VIEWS["usual"]), exported(tmp_path, **changes))


def test_the_feedback_loop_is_shown_only_where_it_went_round() -> None:
    view = VIEWS["usual"]
    assert "<h3>Feedback</h3>" not in render(ReportData(view), NOW)
    links = (Link(3, 1, True, NASTY), Link(25, 3, False, "it was 0.4 points short"))
    html = render(ReportData(replace(view, links=links)), NOW)
    found = re.search(r"<table id='feedback'>.*?</table>", html, re.DOTALL)
    assert found is not None
    assert found.group().count("<tr>") == 1 + len(links)
    assert "it was 0.4 points short" in found.group()
    assert "<script>" not in found.group()
    third = next(row for row in view.complete if row.trial == 3)
    assert quantities.energy(third.energy_kwh) in found.group()

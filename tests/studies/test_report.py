"""The report: complete, escaped, self-contained, and drawn by a real browser."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenfront.errors import UsageError
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.readings import Reading, ReadingKind
from greenfront.objectives.scores import values_of
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.studies.analysis import quantities
from greenfront.studies.analysis.front import Front, finished, rank
from greenfront.studies.analysis.progress import ProgressPoint
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.report import figures
from greenfront.studies.report.page import render, write
from greenfront.studies.store.ledger import Spent
from greenfront.studies.store.trials import NetworkTrial, Trial

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NASTY = "<script>alert('x')</script> & \"naïve\" ＣＯ₂ </script> ${y}"
SOURCE = "CPU seconds × 3.1 W per busy thread"


def reading(joules: float, kind: ReadingKind = "modelled") -> Reading:
    return Reading(joules, 0.6 * joules, 1.7 * joules, kind, SOURCE, joules / 3.1, joules / 2.8)


def candidate(index: int, family: str) -> Candidate:
    width = [0.25, 0.5, 1.0][index % 3]
    return Candidate(
        ArchitectureChoice(family, (("depth", 1 + index % 4), ("width", width))),
        pruning=Pruning([0.0, 0.3, 0.55, 0.8][index % 4]),
        precision=Precision([32, 16, 8][index % 3]),
        distillation=Distillation(4.0, 0.7) if index % 5 == 4 else None,
    )


def study_file(embodied: float = 0.0, grams: float = 56.04) -> StudyFile:
    carbon = {"g_per_kwh": grams, "pue": 1.2, "embodied_kg_per_device_hour": embodied}
    return StudyFile.model_validate(
        {"study": {"name": "digits", "seed": 7}, "task": {"kind": "digits"}, "carbon": carbon}
    )


def complete(
    number: int, tried: Candidate, file: StudyFile, kind: ReadingKind = "modelled"
) -> NetworkTrial:
    rng = np.random.default_rng(number)
    share = (1 - tried.pruning.ratio) * tried.precision.bits / 32
    cost = 4e-5 * (0.03 + share) * float(rng.uniform(0.7, 1.5))
    accuracy = 0.985 - 0.02 / (0.05 + share) * float(rng.uniform(0.05, 0.6))
    outcome = Outcome(
        accuracy=round(accuracy, 4),
        phases={"train": reading(60.0 + 3 * number, kind), "prune": reading(2.0, kind)},
        inference=reading(cost, kind),
        latency_seconds=cost / 2,
        parameters=int(120_000 * (1 - tried.pruning.ratio)) + number,
        flops=int(5e6 * share),
        artefact_bytes=int(480_000 * share) + 9_000,
        pruned_ratio=0.92 * tried.pruning.ratio,
        epochs=9,
        peak_memory_bytes=None,
        artefact=f"ab/{number}.onnx",
    )
    values = values_of(outcome, file.objectives.predictions, file.carbon.model())
    return Trial(
        *(number, number, tried.key, "complete"),
        *(tried, values, outcome, None, 100.0 * number, 100.0 * number + 61),
    )


def unfinished(number: int, state: Any, reason: str | None, family: str = "mlp") -> NetworkTrial:
    tried = candidate(number, family)
    return Trial(
        *(number, number, tried.key, state, tried, None, None),
        *(reason, 100.0 * number, None if state == "running" else 100.0 * number + 12.5),
    )


def spent(kwh: float, entries: int = 10, unmetered: int = 0) -> Spent:
    return Spent(
        *(kwh, 0.6 * kwh, 1.7 * kwh, kwh * 0.0672, kwh * 1.16e6, kwh * 1.3e6, entries, unmetered)
    )


def study(
    *,
    trials: int = 24,
    embodied: float = 0.0,
    grams: float = 56.04,
    nasty: bool = False,
    kind: ReadingKind = "modelled",
) -> StudyView:
    """A study with a baseline (trial 0), a hopeless model, and trials that failed or stopped."""
    file = study_file(embodied, grams)
    name = NASTY if nasty else "digits"
    untouched = Candidate(ArchitectureChoice(NASTY if nasty else "cnn", (("depth", 3),)))
    rows = [complete(n, candidate(n, "cnn"), file, kind) for n in range(1, trials)]
    if trials:
        rows.insert(0, complete(0, untouched, file, kind))
    if trials > 1:
        poor = rows[-1].outcome
        assert poor is not None
        cheap = {"phases": {"train": reading(1.5, kind)}, "inference": reading(4e-7, kind)}
        outcome = replace(poor, accuracy=0.0899, **cheap)
        values = values_of(outcome, file.objectives.predictions, file.carbon.model())
        rows[-1] = replace(rows[-1], values=values, outcome=outcome)
    reason = NASTY if nasty else "out of memory: the evaluator was killed at 2.1 GB"
    rows += [
        unfinished(trials, "failed", reason, NASTY if nasty else "mlp"),
        unfinished(trials + 1, "stopped", "dominated already at the accuracy ceiling"),
        unfinished(trials + 2, "running", None),
    ]
    front = rank(name, rows, file.objectives.floor, 0.1011)
    done = tuple(finished(r, front.floor) for r in rows if r.values is not None and front.floor)
    parts = {"train": 0.0021, "fine-tune": 0.0007, "inference": 0.0003, "search": 0.00004}
    if nasty:
        parts[NASTY] = 0.00001
    growing = [ProgressPoint(n, n - 1, 0.00012 * n, 1 - 0.9 / n) for n in range(1, len(done) + 1)]
    task = TaskFacts(
        *(NASTY if nasty else "digits", (1, 8, 8), tuple("0123456789")),
        *({"train": 1078, "validation": 359, "test": 360}, 0.1011, "f00d"),
    )
    facts = StudyFacts(task, "cpu", False)
    return StudyView(
        name=name,
        file=file,
        facts=facts,
        scoring=file.scoring(facts),
        meters=[{"component": "cpu", "kind": kind, "source": NASTY if nasty else SOURCE}],
        kind=kind,
        trials=tuple(rows),
        counts=Counter(row.state for row in rows),
        complete=done,
        front=front,
        baseline=done[0] if done else None,
        steps=tuple(growing),
        spent=spent(sum(parts.values())),
        spent_by_phase={phase: spent(kwh) for phase, kwh in parts.items()},
    )


class Page(HTMLParser):
    """What a parser sees: tags with attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self.texts.append(("", ""))

    def handle_data(self, data: str) -> None:
        if self.texts:
            tag, text = self.texts.pop()
            self.texts.append((tag, text + data))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


VIEWS = {
    "usual": study(),
    "embodied": study(embodied=0.002),
    "measured": study(kind="measured"),
    "nasty": study(nasty=True),
    "no emissions": study(grams=0.0),
    "nothing finished": study(trials=0),
    "one trial": study(trials=1),
    "no baseline": replace(study(), baseline=None),
    "nothing at all": replace(
        *(study(trials=0),),
        trials=(),
        counts=Counter(),
        meters=[],
        kind="not metered",
        spent=Spent(0.0, 0.0, 0.0, None, 0.0, 0.0, 0, 0),
        spent_by_phase={},
    ),
}

every_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())


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
            quantities.percent(row.accuracy),
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
    space = {trace.name: trace for trace in figures.front_in_space(view).data}
    flat = [
        (figures.accuracy_over_energy(view), "energy", "accuracy"),
        (figures.accuracy_over_co2(view), "co2", "accuracy"),
        (figures.co2_over_energy(view), "energy", "co2"),
    ]
    assert set(space) == {group for group, rows in groups.items() if rows}
    for group, trace in space.items():
        rows = groups[group]
        values = {
            "energy": [row.energy_kwh * wh for row in rows],
            "co2": [row.co2_kg * grams for row in rows],
            "accuracy": [100 * row.accuracy for row in rows],
        }
        assert list(trace.x) == values["energy"]
        assert list(trace.y) == values["co2"]
        assert list(trace.z) == values["accuracy"]
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
    narrow = replace(view, complete=near, front=Front("digits", 0.95, view.front.floor, near[:1]))
    assert figures.co2_over_energy(narrow).layout.xaxis.type == "linear"
    assert figures.front_in_space(narrow).layout.scene.xaxis.type == "linear"
    far = replace(near[0], energy_kwh=max(energies) / 30)
    wide = replace(narrow, complete=(*near, far))
    assert figures.co2_over_energy(wide).layout.xaxis.type == "log"
    assert figures.accuracy_over_energy(wide).layout.yaxis.type == "linear"


def test_a_close_up_frames_what_is_eligible() -> None:
    view = VIEWS["usual"]
    figure = figures.accuracy_over_energy(view)
    _, close = figure.layout.updatemenus[0].buttons
    (low, high), (bottom, top) = close.args[0].values()
    (eligible,) = [t for t in figure.data if t.name == "Front, eligible"]
    assert figure.layout.xaxis.type == "log"
    assert all(low < math.log10(x) < high for x in eligible.x)
    assert all(bottom < y < top for y in eligible.y)
    assert top - bottom < 20
    assert not figures.accuracy_over_energy(VIEWS["one trial"]).layout.updatemenus


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
        ("one trial", "The best eligible model is the untouched baseline itself"),
        ("no baseline", "the untouched baseline has not finished"),
        ("nothing finished", "No trial has finished with a result yet"),
        ("nothing at all", "No instrument metered this study"),
        ("one trial", "the best model is the baseline itself"),
        ("no emissions", "<td class='number'>∞</td>"),
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


def _browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("GREENFRONT_REQUIRE_BROWSER") == "1":
        pytest.fail("GREENFRONT_REQUIRE_BROWSER=1, but no chromium or google-chrome was found")
    pytest.skip("no chromium or google-chrome was found")


@pytest.mark.parametrize("name", ["usual", "nasty", "nothing at all"])
def test_a_browser_draws_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write(VIEWS[name], path, NOW)
    result = subprocess.run(
        [
            *(_browser(), "--headless", "--no-sandbox", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=15000"),
            *("--enable-logging=stderr", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    faults = [line for line in said if re.search(r"Uncaught|Refused|Error|violates", line)]
    assert not faults
    seen = Page(result.stdout)
    classes = [set((attributes.get("class") or "").split()) for _, attributes in seen.tags]
    expected = len([None for tag, a in seen.tags if tag == "script" and "data-figure" in a])
    assert expected == (0 if name == "nothing at all" else 8)
    assert sum("js-plotly-plot" in names for names in classes) == expected
    assert sum("main-svg" in names for names in classes) >= expected
    assert any("gl-container" in names for names in classes) == bool(expected)
    buttons = {title for _, attributes in seen.tags if (title := attributes.get("data-title"))}
    assert len(buttons) == (6 if expected else 0), buttons
    assert not any(re.search("cloud|send|share", title, re.IGNORECASE) for title in buttons)

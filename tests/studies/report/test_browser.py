"""The report in a real browser: whole, offline, bound together, and right in every scenario."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from contracts.browser import Seen, browser, opened
from contracts.command import Command
from contracts.reports import NASTY, NOW, VIEWS
from greenfront.studies.analysis.report_data import ReportData, report_data
from greenfront.studies.analysis.words import quantities
from greenfront.studies.report.figures import figures
from greenfront.studies.report.page import write
from greenfront.studies.store.storage import Storage

__all__ = ["browser"]

KEPT = Path(__file__).parents[2] / "fixtures" / "report" / "greenfront.db.gz"
"""A study of 14 trials on digits, its front measured three times, and a random one of the same."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Command:
    command = Command(tmp_path_factory.mktemp("kept"))
    (command.folder / "greenfront.db").write_bytes(gzip.decompress(KEPT.read_bytes()))
    command.read("report", "digits", "-o", "report.html")
    return command


@pytest.fixture(scope="module")
def found(kept: Command) -> Iterator[ReportData]:
    storage = Storage(f"sqlite:///{kept.folder}/greenfront.db", create=False)
    yield report_data(storage, "digits")
    storage.close()


@pytest.fixture(scope="module")
def seen(kept: Command, browser: Browser) -> Iterator[Seen]:
    shown = opened(browser, kept.folder / "report.html")
    yield shown
    shown.page.close()


@pytest.fixture(autouse=True)
def _as_in_the_study(request: pytest.FixtureRequest) -> None:
    """Tests share a page: each begins with it as it was opened."""
    if "seen" in request.fixturenames:
        seen = request.getfixturevalue("seen")
        seen.value("document.getElementById('scenario').reset()")
        seen.until("greenfront.state.scenario.own")


def test_it_asks_nobody_and_complains_of_nothing(seen: Seen) -> None:
    assert [url for url in seen.requests if not url.startswith("data:")] == [seen.page.url]
    assert seen.complaints == []


def test_each_figure_has_its_points(seen: Seen, found: ReportData) -> None:
    drawn = figures(found)
    assert set(drawn) >= {"front", "family-co2", "family-scores", "parallel", "progress", "phases"}
    for name, each in drawn.items():
        expected = [
            (trace.name, len(trace.x) if trace.x is not None else 0)
            for trace in each.figure.data
            if trace.name != "Best for its cost"
        ]
        there = seen.value(
            "name => document.getElementById(name).data.filter(trace => "
            "!['selected', 'Best for its cost'].includes(trace.name))"
            ".map(trace => [trace.name ?? null, (trace.x ?? []).length])",
            name,
        )
        assert [tuple(one) for one in there] == expected, name
        marks = seen.page.locator(f"#{name} .point, #{name} .js-line").count()
        assert marks > 0, name


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["usual", "embodied", "nasty", "one trial", "nothing at all"])
def test_every_kind_of_study_is_drawn(
    name: str, scheme: Any, browser: Browser, tmp_path: Path
) -> None:
    write(ReportData(VIEWS[name]), tmp_path / "report.html", NOW)
    shown = opened(browser, tmp_path / "report.html", scheme=scheme)
    assert shown.complaints == []
    assert shown.page.locator(".js-plotly-plot").count() == shown.page.locator(".plot").count()
    assert (shown.page.locator(".plot").count() > 0) == (name != "nothing at all")
    shown.page.close()


def test_hostile_names_stay_text(browser: Browser, tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=\"document.title='taken'\">" + NASTY
    view = VIEWS["nasty"]
    labels = {row.trial: hostile for row in view.complete}
    write(ReportData(replace(view, name=hostile, labels=labels)), tmp_path / "report.html", NOW)
    shown = opened(browser, tmp_path / "report.html")
    assert shown.page.locator("img").count() == 0
    assert shown.texts("h1") == [" ".join(hostile.split())]
    trial = view.front.rows[-1].trial
    shown.page.locator(f"tr[data-trial='{trial}'] button").click()
    shown.page.locator("#dominated").check()
    shown.page.locator("#filter").fill("onerror")
    assert shown.page.locator("#ranking tbody tr").count() == len(view.complete)
    assert shown.page.locator("#detail .label").inner_text() == " ".join(hostile.split())
    shown.page.locator("#front .point").last.hover(force=True)
    assert shown.value("document.title") == f"{' '.join(hostile.split())} – greenfront report"
    assert shown.page.locator("img").count() == 0
    assert shown.complaints == []
    shown.page.close()


def test_a_click_on_a_point_highlights_the_trial_everywhere(seen: Seen, found: ReportData) -> None:
    rows = found.view.front.rows
    wanted = next(row for row in rows if row.eligible and row.trial != rows[0].trial)
    seen.page.locator(f"#ranking tr[data-trial='{rows[0].trial}'] button").click()
    place = seen.value(
        "trial => { const plot = document.getElementById('front');"
        "const at = plot.data.find(trace => trace.name === 'Front, eligible').customdata;"
        "const box = plot.getBoundingClientRect(), layout = plot._fullLayout;"
        "const trace = plot.data.find(trace => trace.name === 'Front, eligible');"
        "const point = at.indexOf(trial);"
        "return [box.left + layout._size.l + layout.xaxis.d2p(trace.x[point]),"
        "box.top + layout._size.t + layout.yaxis.d2p(trace.y[point])]; }",
        wanted.trial,
    )
    seen.page.evaluate("document.getElementById('front').scrollIntoView({block: 'center'})")
    shift = seen.value("document.getElementById('front').getBoundingClientRect().top")
    before = seen.value("window.scrollY")
    assert before >= 0
    seen.page.mouse.move(0, 0)
    place = seen.value(
        "trial => { const plot = document.getElementById('front');"
        "const trace = plot.data.find(trace => trace.name === 'Front, eligible');"
        "const point = trace.customdata.indexOf(trial);"
        "const box = plot.getBoundingClientRect(), layout = plot._fullLayout;"
        "return [box.left + layout._size.l + layout.xaxis.d2p(trace.x[point]),"
        "box.top + layout._size.t + layout.yaxis.d2p(trace.y[point])]; }",
        wanted.trial,
    )
    assert shift is not None
    seen.page.mouse.move(*place)
    seen.page.mouse.click(*place)
    seen.until("trial => greenfront.state.selected === trial", wanted.trial)
    assert seen.page.locator("#detail h3").inner_text().startswith(f"Trial {wanted.trial} ")
    assert seen.value(
        "[...document.querySelectorAll('tr.selected')].map(row => row.dataset.trial)"
    ) == [str(wanted.trial)]
    for name in ("front", "parallel", "progress"):
        rings = seen.value(
            "name => { const data = document.getElementById(name).data;"
            "const ring = data.find(trace => trace.name === 'selected');"
            "return ring.x.map((x, place) => [x, ring.y[place]]); }",
            name,
        )
        mine = seen.value(
            "([name, trial]) => document.getElementById(name).data"
            ".filter(trace => trace.customdata && trace.name !== 'selected')"
            ".flatMap(trace => trace.customdata.map((number, place) => "
            "number === trial ? [trace.x[place], trace.y[place]] : null)).filter(Boolean)",
            [name, wanted.trial],
        )
        assert rings == mine, name
        assert rings, name


def test_the_keyboard_chooses_a_trial_and_opens_provenance(seen: Seen, found: ReportData) -> None:
    trial = found.view.front.rows[-1].trial
    button = seen.page.locator(f"#ranking tr[data-trial='{trial}'] button")
    button.focus()
    seen.page.keyboard.press("Enter")
    assert seen.value("greenfront.state.selected") == trial
    assert button.get_attribute("aria-pressed") == "true"
    source = seen.page.locator(".tile .source summary").first
    source.focus()
    seen.page.keyboard.press("Enter")
    assert seen.page.locator(".tile .source [open] p").first.is_visible()


def test_the_table_sorts_and_filters(seen: Seen, found: ReportData) -> None:
    rows = found.view.front.rows
    seen.page.locator("th[data-key='energy'] button").click()
    trials = [row.trial for row in sorted(rows, key=lambda row: row.energy_kwh)]
    assert shown_trials(seen) == trials
    assert seen.page.locator("th[data-key='energy']").get_attribute("aria-sort") == "ascending"
    seen.page.locator("th[data-key='energy'] button").click()
    assert shown_trials(seen) == trials[::-1]
    seen.page.locator("#only-eligible").check()
    assert set(shown_trials(seen)) == {row.trial for row in rows if row.eligible}
    seen.page.locator("#only-eligible").uncheck()
    seen.page.locator("#dominated").check()
    assert set(shown_trials(seen)) == {row.trial for row in found.view.complete}
    seen.page.locator("#filter").fill("cnn")
    cnn = {r.trial for r in found.view.complete if r.candidate.architecture.family == "cnn"}
    assert set(shown_trials(seen)) == cnn
    seen.page.locator("#filter").fill("")
    seen.page.locator("#dominated").uncheck()
    seen.page.locator("th[data-key='rank'] button").click()
    assert shown_trials(seen) == [row.trial for row in rows]


def shown_trials(seen: Seen) -> list[int]:
    found = seen.value(
        "[...document.querySelectorAll('#ranking tbody tr')].map(row => Number(row.dataset.trial))"
    )
    return [int(trial) for trial in found]


def test_the_script_writes_the_rows_that_python_wrote(kept: Command, seen: Seen) -> None:
    html = (kept.folder / "report.html").read_text(encoding="utf-8")
    body = re.search(r"<table id='ranking'>.*?<tbody>(.*?)</table>", html, re.DOTALL)
    assert body is not None
    written = seen.value(
        "html => { const table = document.createElement('table'); table.innerHTML = html;"
        "return [...table.querySelectorAll('tr')].map(row => row.textContent); }",
        f"<tbody>{body.group(1)}",
    )
    drawn = seen.value(
        "[...document.querySelectorAll('#ranking tr[data-trial]')].map(row => row.textContent)"
    )
    assert [text.split() for text in drawn] == [text.split() for text in written]


SCENARIOS = [
    {"region": "SE", "pue": 1.37},
    {"predictions": 20_000},
    {"predictions": 3_333_333_333, "pue": 2.05},
    {"region": "POL", "predictions": 777},
    {"region": "FRA", "predictions": 10_000_000, "pue": 1.5, "euro_per_kwh": 0.31},
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=map(str, range(len(SCENARIOS))))
def test_sliders_rank_exactly_as_whatif_does(
    scenario: dict[str, Any], seen: Seen, kept: Command
) -> None:
    words = [
        word
        for name, value in scenario.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    told = kept.read_json("whatif", "digits", *words)
    form = seen.page.locator("#scenario")
    for name in ("predictions", "pue", "euro_per_kwh"):
        if name in scenario:
            field = "euro" if name == "euro_per_kwh" else name
            form.locator(f"input[name='{field}']").fill(str(scenario[name]))
    if "region" in scenario:
        region = told["scenario"]["region"]
        index = seen.value("greenfront.study.regions.map(one => one[0])").index(region)
        form.locator("select").select_option(str(index))
    after = told["after"]
    rows = seen.value(
        "greenfront.state.found.front.map(row => ({rank: row.rank, trial: row.trial,"
        "energy: row.energy, co2: row.co2, green: row.green, reason: row.objection,"
        "within: row.within}))"
    )
    assert [
        (
            *(row["rank"], row["trial"], row["energy_kwh"], row["co2_kg"], row["green_score"]),
            *(row["reason"], row["within_drop_probability"]),
        )
        for row in after["rows"]
    ] == [tuple(row.values()) for row in rows]
    assert shown_trials(seen) == [row["trial"] for row in after["rows"]]
    named = seen.value("Object.values(greenfront.state.found.named).map(row => row && row.trial)")
    assert named == [after["greenest"], after["most_accurate"], after["knee"]]
    even = seen.value("greenfront.state.found.breakEven")
    assert even["predictions"] == told["break_even_predictions"]
    assert even["verdict"] == told["break_even_verdict"]
    assert seen.value("greenfront.state.found.baseline.trial") == after["baseline"]["trial"]
    cells = seen.texts("#ranking tbody tr:first-child td")
    assert quantities.mass(after["rows"][0]["co2_kg"]) in cells
    said = seen.page.locator("#outcome").inner_text()
    year = told["a_year"]
    for text in (
        quantities.energy(year["kwh"]),
        quantities.mass(year["co2_kg"]),
        quantities.euro(year["euro"]),
    ):
        assert text in said
    asked = seen.page.locator("#command").inner_text().split()
    assert asked[:3] == ["greenfront", "whatif", "digits"]
    assert kept.read_json(*asked[1:]) == told


def test_a_slider_moves_its_field_and_the_button_takes_all_back(seen: Seen) -> None:
    form = seen.page.locator("#scenario")
    form.locator("input[name='predictions-range']").fill("9")
    assert form.locator("input[name='predictions']").input_value() == "1000000000"
    assert seen.value("greenfront.state.scenario.predictions") == 1e9
    form.locator("button[type='reset']").click()
    seen.until("greenfront.state.scenario.own")
    assert form.locator("input[name='predictions']").input_value() == "1000000"


def test_numbers_are_written_as_python_writes_them(seen: Seen) -> None:
    values = [0.0, 1.0, 999.4, 999.6, 1234.5, 0.00012345, 9.9996e-7, 3.2e-13, 7e5, 123456789.0]
    values += [10.0**power * 1.2345678 for power in range(-12, 14)]
    script = (
        "(values) => { const kinds = greenfront.format; return values.map(value => "
        "[kinds.energy(value), kinds.mass(value), kinds.joules(value), kinds.seconds(value),"
        "kinds.count(value), kinds.euro(value)]); }"
    )
    kinds = (
        *(quantities.energy, quantities.mass, quantities.joules, quantities.seconds),
        *(quantities.count, quantities.euro),
    )
    expected = [[kind(value) for kind in kinds] for value in values]
    assert seen.value(script, values) == expected
    shares = [step / 200 for step in range(201)]
    assert seen.value("shares => shares.map(greenfront.format.chance)", shares) == [
        quantities.chance(share) for share in shares
    ]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_nothing_serious(
    width: int, scheme: Any, kept: Command, browser: Browser
) -> None:
    shown = opened(browser, kept.folder / "report.html", width=width, scheme=scheme)
    shown.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    violations = Axe().run(shown.page).response["violations"]
    serious = [
        (one["id"], node["target"])
        for one in violations
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert serious == []
    # Nothing makes a phone scroll sideways but what has a frame of its own.
    assert shown.value("document.documentElement.scrollWidth") <= width
    shown.page.close()


def test_paper_shows_every_figure_in_light_colours(kept: Command, browser: Browser) -> None:
    shown = opened(browser, kept.folder / "report.html", scheme="dark")
    shown.page.emulate_media(media="print", color_scheme="dark")
    shown.value("dispatchEvent(new Event('beforeprint'))")
    drawn = shown.value(
        "[...document.querySelectorAll('.plot')].map(plot => "
        "[plot.querySelectorAll('.main-svg').length > 0,"
        "plot.getBoundingClientRect().width > 100, plot.layout.template.layout.font.color])"
    )
    assert drawn
    assert {tuple(each) for each in drawn} == {(True, True, "#1f2937")}
    # What is modelled says so on paper, too.
    told = shown.page.locator(".tile .source summary")
    assert "modelled" in told.all_inner_texts()
    assert all(each.is_visible() for each in told.all())
    shown.value("dispatchEvent(new Event('afterprint'))")
    colour = shown.value("document.querySelector('.plot').layout.template.layout.font.color")
    assert colour != "#1f2937"
    shown.page.close()


def test_the_page_is_light_without_the_library(kept: Command) -> None:
    html = (kept.folder / "report.html").read_text(encoding="utf-8")
    library = re.search(r"<script>\s*/\*\*\s*\* plotly\.js \(basic.*?</script>", html, re.DOTALL)
    assert library is not None
    assert len(html.encode()) - len(library.group().encode()) < 2_000_000


def test_a_random_search_of_the_same_data_stands_beside(seen: Seen, found: ReportData) -> None:
    assert found.random_search is not None
    names = seen.value("document.getElementById('progress').data.map(trace => trace.name)")
    assert "Random: digits-random" in names
    last = found.random_search.steps[-1]
    assert f"reached {last.hypervolume:.3f}" in seen.page.locator("#caption-progress").inner_text()


def test_infinite_scores_are_shown_as_such(browser: Browser, tmp_path: Path) -> None:
    write(ReportData(VIEWS["no emissions"]), tmp_path / "report.html", NOW)
    shown = opened(browser, tmp_path / "report.html")
    greens = shown.value("greenfront.state.found.front.map(row => row.green)")
    assert all(math.isinf(green) for green in greens)
    assert "∞" in shown.texts("#ranking tbody tr:first-child td")
    assert json.loads(json.dumps(shown.complaints)) == []
    shown.page.close()

"""The sections of the page, as HTML. Whatever comes from the study is escaped here."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from greenfront.studies.analysis.findings.importance import FEWEST_TRIALS
from greenfront.studies.analysis.history.timing import timing_lines
from greenfront.studies.analysis.machine.readings import machine_sentences
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.search_cost.forecast import forecast_lines
from greenfront.studies.analysis.search_cost.warm_start import warm_lines
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.analysis.words.metric_words import score
from greenfront.studies.analysis.words.wording import break_even_sentence
from greenfront.studies.report.figures import Drawn
from greenfront.studies.report.tables import (
    confusion_tables,
    front_table,
    numbers,
    phase_table,
    table,
    technique_table,
    unfinished_table,
    words,
)
from greenfront.studies.report.wording import instruments, proportionality
from greenfront.studies.store.trials import WITHOUT_RESULT

__all__ = ["classes", "front", "models", "search", "unfinished"]

STATES = (
    "complete",
    "infeasible",
    "stopped",
    "failed",
    "dropped",
    "paused",
    "running",
    "requeued",
)

NOTHING_FINISHED = "<p class='empty'>No trial has finished with a result yet.</p>"


def front(view: StudyView, drawn: Mapping[str, Drawn]) -> str:
    """The one front, what a reader may change about it, and the ranked table."""
    if not view.complete:
        return NOTHING_FINISHED
    coincide = proportionality(view)
    told = [*machine_sentences(view), *filter(None, [coincide])]
    note = "".join(f"<p class='aside'>{escape(sentence)}</p>" for sentence in told)
    costs = "" if coincide else _toggles("Cost", "across", {"energy": "Energy", "co2": "CO₂"})
    frames = _toggles("Frame of the figure", "frame", {"close": "Close-up", "all": "All trials"})
    tools = f"<div class='tools' hidden>{frames}{costs}</div>"
    return (
        f"{note}<div class='split'>{_figure(drawn['front'], tools)}"
        "<aside id='detail' class='panel' aria-live='polite' aria-label='The selected trial' "
        "hidden></aside></div>"
        f"{_what_if(view)}{_table_tools()}{front_table(view)}"
    )


def _toggles(label: str, key: str, titles: Mapping[str, str]) -> str:
    """Buttons of which one is pressed, at first the first one."""
    first = next(iter(titles))
    buttons = "".join(
        f"<button type='button' data-{key}='{value}' "
        f"aria-pressed='{'true' if value == first else 'false'}'>{title}</button>"
        for value, title in titles.items()
    )
    return f"<div role='group' aria-label='{label}'>{buttons}</div>"


def _what_if(view: StudyView) -> str:
    """Controls of the scenario; the script shows them, since without it they do nothing."""
    carbon = view.scoring.carbon
    return (
        "<form id='scenario' class='panel scenario' hidden aria-labelledby='scenario-title'>"
        "<h3 id='scenario-title'>What if</h3>"
        "<p class='hint'>Scores all models anew, here in the page, as "
        "<code>greenfront whatif</code> does.</p>"
        "<div class='fields'>"
        "<label>Region of the electricity<select name='region'>"
        f"<option value=''>As in the study: {escape(carbon.intensity.region)}</option></select>"
        "</label>"
        "<label>Predictions in its life"
        "<input type='number' name='predictions' min='0' max='1e15' step='any'>"
        "<input type='range' name='predictions-range' min='0' max='12' step='0.25' "
        "aria-label='Predictions, as a power of ten'></label>"
        "<label>PUE of the building"
        "<input type='number' name='pue' min='1' max='10' step='0.01'>"
        "<input type='range' name='pue-range' min='1' max='3' step='0.01' aria-label='PUE'></label>"
        "<label>Euro per kWh<input type='number' name='euro' min='0' max='10' step='any'></label>"
        "</div><p id='outcome' role='status'></p>"
        "<div class='end'><code id='command'></code>"
        "<button type='reset'>As in the study</button></div></form>"
    )


def _table_tools() -> str:
    return (
        "<div class='tools' id='table-tools' hidden>"
        "<label class='grow'>Filter<input type='search' id='filter' "
        "placeholder='a trial, a family, a setting'></label>"
        "<label class='tick'><input type='checkbox' id='only-eligible'> Accurate enough only"
        "</label><label class='tick'><input type='checkbox' id='dominated'> Dominated trials, too"
        "</label><span id='shown' role='status'></span></div>"
    )


def classes(found: ReportData) -> str:
    """What the model to take decides, class by class."""
    view, pick = found.view, found.view.front.greenest
    if pick is None:
        return "<p class='empty'>No model is accurate enough yet.</p>"
    if view.metric.of_numbers:
        return (
            "<p class='empty'>The target is a number: there are no classes to tell apart. The "
            "interval of the score stands above.</p>"
        )
    if found.confusion is None:
        return (
            f"<p class='empty'>What trial {pick.trial} decided was not kept with the study, and "
            "its answers are not in the cache: neither confusion matrix nor scores by class can "
            "be shown.</p>"
        )
    told = (
        f"<p>Decisions of trial {pick.trial} on {found.confusion.examples:,} validation examples."
        "</p>"
    )
    return f"{told}<div class='pair'>{confusion_tables(found.confusion)}</div>"


def models(view: StudyView, drawn: Mapping[str, Drawn]) -> str:
    """Families beside each other, and what models trade."""
    if not view.complete:
        return NOTHING_FINISHED
    sides = f"{_figure(drawn['family-co2'])}{_figure(drawn['family-scores'])}"
    techniques = f"<h3>What each technique brings</h3>{technique_table(view)}"
    return f"{techniques}<div class='halves'>{sides}</div>{_figure(drawn['parallel'])}"


def search(found: ReportData, drawn: Mapping[str, Drawn]) -> str:
    """What the search cost and brought: its numbers, its figures, its times."""
    view = found.view
    parts = [_numbers(view)]
    parts.append(_figure(drawn["progress"]) if "progress" in drawn else NOTHING_FINISHED)
    if "phases" in drawn:
        parts.append(_figure(drawn["phases"]))
        parts.append(
            f"<details><summary>The same as a table</summary>{phase_table(view)}</details>"
        )
    else:
        parts.append("<p class='empty'>The ledger holds no reading yet.</p>")
    times = [] if view.times is None else timing_lines(view.times)
    times += forecast_lines(view) + warm_lines(view)
    if times:
        parts.append(f"<p>{escape(' '.join(times))}</p>")
    if "intensity" in drawn:
        parts.append(_figure(drawn["intensity"]))
    elif found.electricity:
        grams = found.electricity[0].g_per_kwh
        parts.append(
            f"<p>Every trial ran at {grams:.4g} g of CO₂ per kWh: there is no intensity over time "
            "to draw.</p>"
        )
    parts.append(_figure(drawn["knobs"]) if "knobs" in drawn else _no_knobs(found))
    parts.append(_chains(view))
    return "".join(parts)


def _chains(view: StudyView) -> str:
    """The feedback loop as it went: which trials followed which; nothing where none did."""
    if not view.links:
        return ""
    kinds = {True: "cheaper", False: "more accurate"}
    scores = {row.trial: row for row in view.complete}

    def reached(number: int) -> str:
        row = scores.get(number)
        if row is None:
            return quantities.UNAVAILABLE
        return f"{score(view.metric, row.score)}, {quantities.energy(row.energy_kwh)}"

    body = [
        f"<tr><td class='number'>{link.origin}</td><td>{escape(reached(link.origin))}</td>"
        f"<th scope='row' class='number'>{link.trial}</th><td>{escape(reached(link.trial))}</td>"
        f"<td>{kinds[link.stricter]}</td><td class='reason'>{escape(link.reason)}</td></tr>"
        for link in view.links
    ]
    columns = [
        *numbers("Trial"),
        *words("Reached"),
        *numbers("Followed by"),
        *words("Reached", "Asked to be", "Why"),
    ]
    caption = f"{len(view.links)} trials were queued because of what others had reached"
    return f"<h3>Feedback</h3>{table('feedback', caption, columns, body)}"


def _no_knobs(found: ReportData) -> str:
    if found.importance is None:
        return (
            f"<p class='empty'>Which knobs mattered cannot be told: that takes {FEWEST_TRIALS} "
            "networks with different settings.</p>"
        )
    return (
        f"<p class='empty'>Which knobs mattered cannot be told: a forest grown on "
        f"{found.importance.trials} networks foresees next to nothing of others.</p>"
    )


def _numbers(view: StudyView) -> str:
    spent, kind = view.spent, view.kind
    intensity = view.file.carbon.model(view.facts.trace).intensity
    electricity = f"{intensity.g_per_kwh:.4g} g per kWh, {intensity.region}"
    if view.times is not None and view.times.told_share > 0:
        electricity = f"at the intensity of its time, {intensity.region}"
    states = " · ".join(f"{view.counts[s]} {s}" for s in STATES if view.counts[s])
    eligible = sum(row.eligible for row in view.front.rows)
    energy = (
        f"{kind}; between {quantities.energy(spent.low_kwh)} and "
        f"{quantities.energy(spent.high_kwh)}"
    )
    if spent.unmetered:
        energy += f"; {spent.unmetered} of {spent.entries} ledger entries had no reading"
    cards = [
        ("Trials", str(len(view.trials)), states or "none begun"),
        ("Models on the front", str(len(view.front.rows)), f"{eligible} of them eligible"),
        (
            "Energy of the search",
            quantities.energy(spent.shown_kwh[0]),
            "no reading yet" if spent.unknown or not spent.entries else energy,
        ),
        ("CO₂ of the search", quantities.mass(spent.co2_kg), f"{kind}; {electricity}"),
        ("Readings", kind, instruments(view)),
        (
            "Break-even predictions",
            quantities.count(view.break_even.predictions),
            break_even_sentence(view.break_even, view.scoring.predictions, kind),
        ),
    ]
    drawn = "".join(
        f"<div class='tile'><dt>{escape(title)}</dt><dd class='value'>{escape(value)}</dd>"
        f"<dd class='note'>{escape(note)}</dd></div>"
        for title, value, note in cards
    )
    return f"<dl class='tiles small'>{drawn}</dl>"


def unfinished(view: StudyView) -> str:
    """Trials without a result, with their reasons."""
    if not any(view.counts[state] for state in WITHOUT_RESULT):
        return "<p class='empty'>None.</p>"
    return unfinished_table(view)


def _figure(drawn: Drawn, tools: str = "") -> str:
    """A place for a figure. What it shows stands below it and in tables, so readers skip it."""
    height = int(drawn.figure.layout.height)
    # On a phone it is wider than the screen and scrolls, by keyboard, too.
    wide = f" role='region' tabindex='0' aria-label='{escape(drawn.title)}'"
    pan = wide if drawn.name == "parallel" else ""
    return (
        f"<figure id='figure-{drawn.name}' aria-labelledby='caption-{drawn.name}'>"
        f"<h3>{escape(drawn.title)}</h3>{tools}"
        f"<div class='pan'{pan}><div class='plot' id='{drawn.name}' aria-hidden='true' "
        f"style='min-height:{height}px'></div></div>"
        f"<figcaption id='caption-{drawn.name}'>{escape(drawn.caption)}</figcaption></figure>"
    )

"""The model to take, as a board reads it: what it does, what it costs, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from greenfront.objectives.metrics import Metric
from greenfront.objectives.readings import Reading
from greenfront.studies.analysis.payback.operation import Year, a_year
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.report_data import ReportData, Tested
from greenfront.studies.analysis.scores.interval import COVERED, score_interval
from greenfront.studies.analysis.search_cost.forecast import TUNE
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.analysis.words.choice import choices, comparison, warnings
from greenfront.studies.analysis.words.metric_words import score, score_in_unit
from greenfront.studies.analysis.words.wording import (
    SEARCH_COUNTS,
    break_even_sentence,
    leak_sentence,
    no_network_sentence,
)
from greenfront.studies.report.wording import summary

__all__ = ["pick"]


@dataclass(frozen=True, slots=True)
class _Tile:
    """One number.

    Attributes:
        title: What it is.
        value: For people.
        note: Below it.
        kind: How it was come by, in a word.
        source: The same in sentences.
    """

    title: str
    value: str
    note: str
    kind: str
    source: str


def pick(found: ReportData) -> str:
    """The greenest model that is accurate enough, as HTML; what is missing where there is none."""
    view = found.view
    row = view.front.greenest
    lead = f"<p class='lead'>{escape(summary(view))}</p>"
    if row is None:
        return f"{_callouts(view)}<h2 id='pick'>The model to take</h2>{lead}{_advice(view)}"
    head = (
        f"<h2 id='pick'><span class='eyebrow'>The model to take · trial {row.trial}</span> "
        f"{escape(view.label(row))}</h2>"
    )
    tiles = "".join(_drawn(each) for each in _tiles(view, row, found.tested))
    return f"{_callouts(view)}{head}<dl class='tiles'>{tiles}</dl>{lead}{_advice(view)}"


def _drawn(shown: _Tile) -> str:
    """A number with its provenance, which opens by a click or a key."""
    return (
        f"<div class='tile'><dt>{escape(shown.title)}</dt>"
        f"<dd class='value'>{escape(shown.value)}</dd><dd class='note'>{escape(shown.note)}</dd>"
        f"<dd class='source'><details><summary>{escape(shown.kind)}</summary>"
        f"<p>{escape(shown.source)}</p></details></dd></div>"
    )


def _callouts(view: StudyView) -> str:
    """What is said before the model: of a score that may be worth nothing, or of no network."""
    found, needless = view.no_network, None
    if found is not None:
        needless = no_network_sentence(found, view.scoring.predictions, view.kind, view.metric)
    told = filter(None, [leak_sentence(view.facts.task), needless])
    return "".join(f"<p class='callout'>{escape(each)}</p>" for each in told)


def _advice(view: StudyView) -> str:
    """The other named models, and what is not sure of the greenest, as a list."""
    front, baseline = view.front, view.baseline
    told = []
    for choice in choices(front):
        if front.greenest is None or choice.row.trial != front.greenest.trial:
            beside = (
                "" if baseline is None else comparison(choice.row, baseline, view.kind, view.metric)
            )
            model = f"{choice.title}: trial {choice.row.trial}, {view.label(choice.row)}"
            told.append(f"{model}; {beside}." if beside else f"{model}.")
    told += warnings(front, beaten=True)  # whether it is, the sentence above says
    listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in told)
    return f"<ul class='choices'>{listed}</ul>" if told else ""


def _tiles(view: StudyView, row: ScoredTrial, tested: Tested | None) -> list[_Tile]:
    outcome, baseline, kind = row.outcome, view.baseline, view.kind
    usual = None if baseline is None or baseline.trial == row.trial else baseline
    year = a_year(outcome, view.scoring, view.file.operation)
    reading, prepared = outcome.inference, outcome.preprocessing
    return [
        _validated(view, row) if tested is None else _tested(view, row, tested),
        _Tile(
            "A prediction",
            quantities.joules(outcome.answer.joules),
            _beside(
                _range(outcome.answer),
                None if usual is None else quantities.joules(usual.outcome.answer.joules),
            ),
            reading.kind,
            f"{reading.source}. {_measured(outcome.measurements)} Model "
            f"{quantities.joules(reading.joules)}, preprocessing "
            f"{quantities.joules(None if prepared is None else prepared.joules)}."
            + ("" if tested is None else _whole(tested)),
        ),
        *_years(view, year),
        _Tile(
            "Size of the file",
            quantities.size(outcome.artefact_bytes),
            _beside("", None if usual is None else quantities.size(usual.outcome.artefact_bytes)),
            "counted",
            f"Bytes of the exported ONNX file; {quantities.count(outcome.parameters)} parameters.",
        ),
        _Tile(
            "Latency",
            quantities.seconds(outcome.latency_seconds),
            _beside(
                "median",
                None if usual is None else quantities.seconds(usual.outcome.latency_seconds),
            ),
            "measured",
            "Median wall time of a prediction of the exported file in ONNX Runtime, in batches of "
            f"{view.file.objectives.batch}, without preprocessing.",
        ),
        _Tile(
            "Break-even",
            quantities.count(view.break_even.predictions),
            break_even_sentence(view.break_even, view.scoring.predictions, kind),
            kind,
            "What the whole search has spent, over what a prediction of this model saves against "
            f"the untouched baseline. {_spent(view)} {SEARCH_COUNTS}",
        ),
    ]


def _spent(view: StudyView) -> str:
    """What the search has spent, and how much of it after its last trial."""
    tuned = view.spent_by_phase.get(TUNE)
    of_it = f", of it {quantities.energy(tuned.kwh)} by tune, after it" if tuned else ""
    return f"The search has spent {quantities.energy(view.spent.shown_kwh[0])}{of_it}."


def _whole(tested: Tested) -> str:
    """What the exported file takes, which no part of the search has measured."""
    found = tested.prediction
    if found is None or found.joules is None:
        return ""
    return (
        f" So the study counts, with threads that do not spin. The file in {tested.source} takes "
        f"{quantities.joules(found.joules)} ({found.kind}) from raw input to answer in ONNX "
        "Runtime without options, which starts a thread a core."
    )


def _interval(metric: Metric, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "its interval is not known"
    return f"{COVERED:.0%} interval {score(metric, low)} to {score(metric, high)}"


def _validated(view: StudyView, row: ScoredTrial) -> _Tile:
    metric = view.metric
    found = score_interval(row.outcome, metric)
    low, high = (None, None) if found is None else (found.low, found.high)
    folds = len(row.outcome.folds)
    examples = view.facts.task.sizes.get("validation", 0)
    if folds > 1:
        examples = row.outcome.examples or 0
    anew = f", the mean of {folds} folds, each time trained anew" if folds > 1 else ""
    return _Tile(
        f"{metric.title} on validation",
        score_in_unit(metric, row.score),
        f"{_interval(metric, low, high)}. The test split has not been read.",
        "measured",
        f"Of the exported file, reloaded, on validation examples ({examples:,} in all{anew}), by "
        "which models were chosen, too: the interval says what other examples might have given (of "
        "an accuracy Wilson's, of other scores the middle of 200 resamples) and does not know of "
        "the choice. The test split is kept for the model that is taken.",
    )


def _tested(view: StudyView, row: ScoredTrial, tested: Tested) -> _Tile:
    metric = view.metric
    examples = "" if tested.examples is None else f", {tested.examples:,} in all,"
    return _Tile(
        f"{metric.title} on test",
        score_in_unit(metric, tested.score),
        f"{_interval(metric, tested.low, tested.high)}; {score(metric, row.score)} on validation.",
        "measured",
        f"Of the exported model in {tested.source} on the test examples{examples} that played no "
        "part in the search.",
    )


def _years(view: StudyView, year: Year) -> list[_Tile]:
    operation, carbon, kind = view.file.operation, view.scoring.carbon, view.kind
    life = "" if operation.years == 1 else f", in a life of {operation.years:g} years"
    used = f"{year.predictions:,.0f} predictions a year{life}"
    span, price = "", quantities.euro(year.euro)
    building = f"; PUE {carbon.pue:g}" if carbon.pue != 1 else ""
    made = carbon.embodied_kg_per_device_hour
    if year.low_kwh is not None and year.high_kwh is not None:
        span = f"{quantities.energy(year.low_kwh)} to {quantities.energy(year.high_kwh)}; "
    return [
        _Tile(
            "Electricity a year",
            quantities.energy(year.kwh),
            f"{span}{used}",
            kind,
            "Energy of a prediction, with its preprocessing, times the predictions of a year, "
            "without the making of the model. [objectives] predictions and [operation] years say "
            "how many.",
        ),
        _Tile(
            "CO₂ a year",
            quantities.mass(year.co2_kg),
            f"{carbon.intensity.g_per_kwh:.4g} g per kWh, {carbon.intensity.region}{building}"
            + (f"; {1000 * made:.4g} g per busy device-hour of making the device" if made else ""),
            kind,
            f"That energy × PUE × intensity ({carbon.intensity.source}), and the embodied share "
            "where the study states one.",
        ),
        _Tile(
            "Cost a year",
            "below €0.01" if year.euro is not None and 0 < year.euro < quantities.CENT else price,
            f"{price} of electricity, at €{operation.euro_per_kwh:g} per kWh{building}",
            kind,
            f"That energy × PUE × price ({operation.price_source}). [operation] euro_per_kwh sets "
            "another.",
        ),
    ]


def _measured(times: int) -> str:
    return "Measured once." if times == 1 else f"Median of {times} measurements."


def _range(reading: Reading) -> str:
    if reading.low_joules is None or reading.high_joules is None:
        return ""
    low, high = quantities.joules(reading.low_joules), quantities.joules(reading.high_joules)
    return f"{low} to {high}"


def _beside(told: str, usual: str | None) -> str:
    return "; ".join(filter(None, [told, usual and f"the untouched baseline: {usual}"]))

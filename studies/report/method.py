"""The section that says how every number on the page was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from html import escape

from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.metering.pinned import metered_machines
from greenfront.objectives.metrics import Metric
from greenfront.objectives.resampling import DRAWS
from greenfront.studies.analysis.findings.decisions import has_thresholds
from greenfront.studies.analysis.machine.readings import machine_sentences
from greenfront.studies.analysis.machine.remarks import compression_remarks
from greenfront.studies.analysis.ranking.membership import DRAWS as MEMBERSHIP_DRAWS
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.scores.cross_validated import is_cross_validated
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.analysis.words.choice import allowed
from greenfront.studies.analysis.words.metric_words import score
from greenfront.studies.analysis.words.wording import sentence
from greenfront.studies.report.tables import meter_table
from greenfront.studies.report.wording import instruments

__all__ = ["method"]


def method(found: ReportData) -> str:
    """Instruments, carbon model and formulas, as HTML."""
    view = found.view
    terms = [
        *_energy(view, tested=found.tested is not None),
        *_carbon(view),
        *_scores(view),
        *_search(view),
    ]
    listed = "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in terms)
    meters = meter_table(view) if view.meters else "<p>No instrument metered this study.</p>"
    return f"{meters}<dl>{listed}</dl>"


def _machine(view: StudyView) -> str:
    made = ", ".join(metered_machines(view.meters)) or "a processor that is not known"
    told = " ".join(machine_sentences(view))
    return told or f"All joules were read on {made}."


def _energy(view: StudyView, *, tested: bool) -> list[tuple[str, str]]:
    objectives, sizes = view.file.objectives, view.facts.task.sizes
    on_folds = any(is_cross_validated(row.outcome) for row in view.complete)
    notes = [
        ("Machine", escape(_machine(view))),
        (
            "Kind of readings",
            f"{escape(view.kind)} ({escape(instruments(view))}). "
            "<em>Measured</em> is read from a counter; <em>modelled</em> is computed from CPU time "
            "and constants, and comparable with other models of this study rather than with a "
            "power meter. What no instrument could tell is shown as –, never as 0.",
        ),
        (
            "Energy",
            "<code>energy_kwh = making_kwh + predictions × (inference_kwh + preprocessing_kwh)"
            "</code>, with "
            f"{objectives.predictions:,.0f} predictions, metered in batches of {objectives.batch}. "
            f"{_preprocessing(view)} "
            "Making counts the whole chain that leads to the model (training, pruning, "
            "fine-tuning, quantising, export), also the parts that another trial had paid for.",
        ),
        (
            "Energy of the search",
            "What was really spent, once: every trial whether it finished or not, and the search "
            "itself. It is another number than the sum of the models’ energies.",
        ),
        (escape(view.metric.title), _judged(view.metric, sizes, tested=tested)),
        *([("Cross-validation", _FOLDS)] if on_folds else []),
        ("Repeats", _repeats(view)),
    ]
    remarks = compression_remarks(view.file, view.facts)
    if remarks:
        notes.append(("Compression here", escape("; ".join(remarks)) + "."))
    flags = Counter(flag for row in view.complete for flag in row.outcome.inference.flags)
    if flags:
        told = "; ".join(f"{escape(flag)} ({n} trials)" for flag, n in sorted(flags.items()))
        notes.append(("Notes of the instruments on predictions", told))
    return notes


_FOLDS = (
    "The best models were made anew on other parts of the examples and judged on the rest, each "
    "time with another validation split; the test split was never among them. Their score is the "
    "mean, and their resamples are drawn on each fold. A model that was judged on one split alone "
    "is levelled: by as much as the cross-validated ones have gained or lost on average. What is "
    "exported is the model of the study’s own split."
)


def _preprocessing(view: StudyView) -> str:
    if any(row.outcome.preprocessing is not None for row in view.complete):
        return (
            "Preprocessing is what makes a raw example into the inputs of the file: imputing, "
            "standardising, tokenising. It is metered apart, on validation examples in memory; "
            "reading and decoding files is not in it."
        )
    return "Preprocessing was not metered and counts nowhere."


def _judged(metric: Metric, sizes: Mapping[str, int], *, tested: bool) -> str:
    part = sizes.get("evaluation")
    while_searching = (
        ""
        if part is None
        else f" While searching, trials are judged on {part:,} of them, the same share of each "
        "class; the front's members, measured again, on all."
    )
    examples = f"{sizes.get('validation', 0):,} validation examples"
    what = (
        f"Share of the {examples} that the exported file, reloaded, classifies rightly."
        if metric.name == "accuracy"
        else f"Of the answers that the exported file, reloaded, gives to the {examples}; "
        f"{'higher' if metric.maximise else 'lower'} is better."
    )
    test = (
        "The score on test is that of the exported model; the test split played no other part."
        if tested
        else "The test split played no part in this page."
    )
    return f"{what}{while_searching} {test}"


def _repeats(view: StudyView) -> str:
    counts = [row.outcome.measurements for row in view.front.rows]
    if max(counts, default=1) == 1:
        return (
            "Each file was measured once: how probable a place on the front is cannot be said. A "
            "measurement repeats predictions until the 95 % confidence interval of the median is "
            "within 5 % to either side, or its cap is reached."
        )
    return (
        f"The front and the baseline were measured {max(counts)} times in all, at different "
        "moments; shown are medians. The probability of a place on the front is the share of "
        f"{MEMBERSHIP_DRAWS} draws in which nothing dominates the model: energies from the pooled "
        "scatter of all files measured more than once (bootstrap of residuals), scores on "
        "resamples of the validation examples, the same for all models. Ranks marked ≈ are ties: "
        "their Green Score differs from that of the row above by less than two standard deviations "
        "of the difference."
    )


def _carbon(view: StudyView) -> list[tuple[str, str]]:
    carbon = view.file.carbon.study_model(view.facts)
    embodied = carbon.embodied_kg_per_device_hour
    training = [] if carbon.training is None else [("Training", _training(carbon.training))]
    by_gpu = carbon.embodied_component == "gpu"
    hours = "hours of the GPU" if by_gpu else "CPU hours ÷ threads"
    whole = (
        "in which the search holds the GPU; predictions run on the CPU"
        if by_gpu
        else f"with all {carbon.device_threads} threads busy"
    )
    return [
        (
            "CO₂",
            f"<code>co2_kg = energy_kwh × PUE × intensity + embodied × {hours}</code>, "
            "in CO₂ equivalent (Software Carbon Intensity, ISO/IEC 21031:2024).",
        ),
        (
            "Carbon intensity",
            f"{carbon.intensity.g_per_kwh:.4g} g per kWh ({escape(carbon.intensity.region)}). "
            f"Source: {escape(carbon.intensity.source)}.",
        ),
        *training,
        ("PUE", f"{carbon.pue:g} (energy of the building over that of its machines)"),
        (
            "Embodied CO₂",
            f"{quantities.mass(embodied)} per hour {whole}"
            + ("; nothing of the making of the machine is counted." if embodied == 0 else "."),
        ),
    ]


def _training(intensity: Intensity) -> str:
    return (
        f"Training a model counts with {intensity.g_per_kwh:.4g} g per kWh, because this study "
        f"waits for clean hours. Source: {escape(intensity.source)}. When a trial happened to run "
        "changes no score; what was really emitted stands where the energy went."
    )


def _scores(view: StudyView) -> list[tuple[str, str]]:
    floor, metric = view.front.floor, view.metric
    reached = "" if floor is None else f": {metric.text(floor.limit)} with the present trials"
    rule = (
        f"{allowed(view.front.tolerance, metric)}, and more accurate than {_nothing(view)}{reached}"
    )
    return [
        (
            "Front",
            f"The finished trials to which no other one is at least equal in {metric.title}, "
            "energy and CO₂ and better in one of them.",
        ),
        *_decisions(view),
        (
            "Green Score",
            f"<code>green_score = {_counted(metric)} / co2_kg</code>, higher is better. It ranks "
            "the front, but only what is accurate enough: alone it prefers a model that has learnt "
            "nothing at almost no cost.",
        ),
        (
            "Accurate enough",
            f"{sentence(rule)} What is not is listed last. How sure that is: the share of "
            f"{DRAWS} resamples of the validation examples (bootstrap within each class, the same "
            "examples for both models) in which the model is so beside the most accurate one.",
        ),
        (
            "Greenest, most accurate, knee",
            "The greenest model has the highest Green Score of those that are accurate enough. At "
            "the knee more accuracy begins to cost much more energy: it lies furthest above the "
            "line between the cheapest and the most accurate model of the front that have learnt "
            "something, with both axes scaled to that line and energy in the logarithm (Das 1999).",
        ),
        (
            "Baseline",
            "The most accurate finished model without pruning, quantisation or distillation: what "
            "would have been used without this search.",
        ),
        (
            "Break-even",
            "<code>search_kwh / (baseline_inference_kwh − greenest_inference_kwh)</code>: after "
            "so many predictions of the greenest model the search has paid for itself.",
        ),
    ]


def _nothing(view: StudyView) -> str:
    metric = view.metric
    what = "a model that has learnt nothing"
    if metric.name == "accuracy":
        what = "always answering the most frequent class"
    return f"{what} ({score(metric, metric.nothing)})"


def _counted(metric: Metric) -> str:
    if not metric.maximise:
        return f"100 × max(0, 1 − {metric.name} / {metric.nothing:.3g})"
    return f"100 × max(0, {metric.name})" if metric.of_numbers else f"100 × {metric.name}"


def _decisions(view: StudyView) -> list[tuple[str, str]]:
    """What a reader must know of thresholds, where models have any."""
    if not has_thresholds(view):
        return []
    positive = escape(repr(view.facts.task.class_names[view.metric.positive]))
    stated = isinstance(view.file.objectives.threshold, float)
    how = (
        "as the study file states it."
        if stated
        else "tuned on the same examples: what it brings flatters by as much."
    )
    return [
        (
            "Threshold",
            "The probability from which on a model "
            f"decides for {positive}, the positive class, {how}",
        )
    ]


def _worth(metric: Metric) -> str:
    return f"{metric.word} {score(metric, metric.nothing)}"


def _search(view: StudyView) -> list[tuple[str, str]]:
    search, study = view.file.search, view.file.study
    return [
        (
            "Hypervolume",
            f"{_reference(view)} An objective that is a multiple of another one counts once.",
        ),
        (
            "Search",
            f"{escape(search.sampler.upper())}, seed {study.seed}, trained on "
            f"{escape(view.facts.device)}.",
        ),
    ]


def _reference(view: StudyView) -> str:
    if view.baseline is None:
        return (
            "The share that the front dominates of the box between the best and the worst value "
            "seen of each objective; the corner of all the worst is the reference point. Once an "
            "untouched baseline has finished, it is measured against that."
        )
    return (
        "The share that the front dominates of the box between a model that has learnt nothing "
        f"({_worth(view.metric)}) at the energy and CO₂ of the dearest untouched baseline, which "
        "is the reference point, and a faultless one that costs nothing."
    )

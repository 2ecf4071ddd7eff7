"""What a model card says to people, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.studies.analysis.payback.break_even import BreakEven
from greenfront.studies.analysis.words.metric_words import change, score
from greenfront.studies.analysis.words.quantities import (
    UNAVAILABLE,
    count,
    energy,
    joules,
    mass,
    moment,
    number,
    percent,
    seconds,
    size,
)
from greenfront.studies.analysis.words.wording import (
    SEARCH_COUNTS,
    break_even_sentence,
    leak_sentence,
)
from greenfront.studies.export.record import Difference, MeasuredModel, ModelRecord, Score

__all__ = ["card_text", "table"]

MOST_CLASSES = 20
"""Of a confusion matrix or a list of names that is shown."""


def card_text(record: ModelRecord) -> str:
    """The card without its metadata, as Markdown."""
    parts = [
        *(_title(record), "## Run it", _run(record), "## Results", _results(record)),
        *_confusion(record),
        *("## Energy and carbon", _energy(record), "## Intended use", _use(record)),
        *("## Limits", _listed(_limits(record)), "## Where the numbers come from"),
        *(_provenance(record), "## Licence", _licence(record)),
    ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the cells' first column to the left, all others to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _title(record: ModelRecord) -> str:
    task, model = record.task, record.model
    named = f", the {' and '.join(record.names)} model of its front" if record.names else ""
    kind = "images" if task.is_image else "texts" if task.is_text else "table rows"
    return (
        f"# {_plain(record.study)}: {_plain(model.description)}\n\n"
        f"An ONNX model that takes {kind} of the task {_plain(task.name)} and predicts "
        f"{_plain(task.predicted)}. It is trial {model.trial} of the study "
        f"{_plain(record.study)}{named}: {count(model.parameters)} parameters, "
        f"{size(model.file_bytes)}."
    )


_GIVEN = {"table": "ROWS.csv", "image": "PICTURE.png", "array": "ROWS.npy", "text": "TEXTS.csv"}
"""What ``predict.py`` could be given."""


def _run(record: ModelRecord) -> str:
    task = record.task
    kind = "image" if task.is_image else "text" if task.is_text else "table"
    given = _GIVEN[record.takes or kind]
    return (
        "```bash\npip install -r requirements.txt\n"
        f"python predict.py {given}\n"
        "greenfront verify .    # claimed beside found, with greenfront installed\n```"
        + "".join(f"\n\n{_plain(remark)}" for remark in record.remarks)
    )


def _results(record: ModelRecord) -> str:
    metric, model, base = record.metric, record.model, record.baseline
    tested = None if base is None else base.test
    validated = None if base is None else base.validation
    rows = [
        (name, _score(record, mine), _score(record, usual), _difference(record, apart))
        for name, mine, usual, apart in (
            ("test", model.test, tested, record.test_difference),
            ("validation", model.validation, validated, record.validation_difference),
        )
    ]
    if model.cross_validated is not None:
        crossed = None if base is None else base.cross_validated
        name = f"mean over {model.folds} folds, trained anew on each"
        mine, usual = (_score(record, one) for one in (model.cross_validated, crossed))
        rows.append((name, mine, usual, UNAVAILABLE))
    told = table((metric.told, "this model", "untouched baseline", "difference, paired"), rows)
    nothing = f"A model that has learnt nothing scores {score(metric, metric.nothing)}."
    judged = [
        f"{name}: {one.examples:,}"
        for name, one in (("test", model.test), ("validation", model.validation))
        if one is not None and one.examples is not None
    ]
    examples = f" Examples: {', '.join(judged)}." if judged else ""
    unseen = (
        " The test split was not read by the search."
        if model.test is not None
        else " The test split has not been read yet: `greenfront verify` reads it."
    )
    return f"{told}\n\nIn brackets: 95 % intervals. {nothing}{examples}{unseen}"


def _score(record: ModelRecord, found: Score | None) -> str:
    if found is None:
        return UNAVAILABLE
    return f"{score(record.metric, found.value)}{_interval(record, found.low, found.high)}"


def _difference(record: ModelRecord, found: Difference | None) -> str:
    if record.is_baseline:
        return "is the baseline"
    if found is None:
        return UNAVAILABLE
    return change(record.metric, found.value, found.low, found.high)


def _interval(record: ModelRecord, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f" ({score(record.metric, low)} to {score(record.metric, high)})"


def _confusion(record: ModelRecord) -> Iterator[str]:
    split, found = ("test", record.model.test)
    if found is None:
        split, found = "validation", record.model.validation
    if found is None or found.decisions is None or found.decisions.confusion is None:
        return
    names = [str(name) for name in record.task.class_names]
    if len(names) > MOST_CLASSES:
        return
    yield f"### Confusion matrix ({split})"
    head = ("true \\ predicted", *names)
    yield table(
        head,
        [
            (name, *(f"{cell:,}" for cell in row))
            for name, row in zip(names, found.decisions.confusion, strict=True)
        ],
    )
    threshold = found.decisions.threshold
    if threshold is not None:
        positive = record.task.class_names[record.metric.positive]
        yield (
            f"It decides for {_plain(str(positive))} from a probability of {number(threshold)} on."
        )


def _energy(record: ModelRecord) -> str:
    model, search, scoring = record.model, record.search, record.scoring
    rows = list(_predictions(model))
    rows.append(("making this model alone", *_reading(model.training.reading, kwh=True)))
    rows.append(
        (
            f"the whole search, {search.trials} trials",
            energy(search.kwh),
            _range(energy(search.low_kwh), energy(search.high_kwh), search.kwh),
            search.kind,
        )
    )
    told = table(("energy", "best estimate", "plausible range", "kind"), rows)
    carbon = table(
        ("CO₂ equivalent", "best estimate"),
        [
            ("one prediction", mass(model.prediction.co2_kg)),
            ("making this model alone", mass(model.training.co2_kg)),
            ("the whole search", mass(search.co2_kg)),
            (
                f"making it and {scoring.predictions:,.0f} predictions "
                f"({energy(model.energy_kwh)})",
                mass(model.co2_kg),
            ),
        ],
    )
    return "\n\n".join([told, carbon, *_sentences(record)])


def _predictions(model: MeasuredModel) -> Iterator[tuple[str, ...]]:
    """One prediction as it is used, and as the study counts it."""
    if model.plain is not None:
        reading = _reading(model.plain.reading)
        yield ("one prediction, raw input to answer, plain session", *reading)
        yield ("one prediction as the study counts it", *_reading(model.answer.reading))
    else:
        yield ("one prediction", *_reading(model.answer.reading))
    if model.preprocessing is not None:
        yield ("– in the model", *_reading(model.inference.reading))
        yield ("– preprocessing", *_reading(model.preprocessing))
    if model.batched is not None:
        yield (f"one prediction, {model.batched.batch} a call", *_reading(model.batched.inference))


def _sentences(record: ModelRecord) -> Iterator[str]:
    model, carbon, base = record.model, record.scoring.carbon, record.baseline
    often = ""
    if model.plain is None and model.measurements > 1:
        often = f" (median of {model.measurements} measurements)"
    spread = ""
    if model.prediction_spread is not None:
        spread = (
            f"; repeated blocks put its energy within ±{percent(model.prediction_spread)} (95 %)"
        )
    yield f"One prediction takes {seconds(model.prediction_seconds)}{often}{spread}."
    if any(kind == "modelled" for kind in _kinds(record)):
        yield (
            "**Modelled** energy is computed from CPU time and constants, not read from a counter: "
            "compare it with that of other models of this study, not with a power meter."
        )
    if base is not None and not record.is_baseline:
        mine, usual = model.answer.reading.joules, base.answer.reading.joules
        share = None if mine is None or not usual else mine / usual
        yield (
            f"As the study counts it, that is {percent(share)} of what the untouched baseline "
            f"(trial {base.trial}, {_plain(base.description)}) takes for a prediction."
        )
    even = BreakEven(record.break_even, record.break_even_predictions)
    yield break_even_sentence(even, record.scoring.predictions, record.search.kind).replace(
        "the greenest model", "this model"
    )
    if even.predictions is not None:
        yield SEARCH_COUNTS
    made = carbon.embodied_kg_per_device_hour
    yield (
        f"Electricity: {_plain(carbon.intensity.region)}, {carbon.intensity.g_per_kwh:g} g/kWh "
        f"({_plain(carbon.intensity.source)}); PUE {carbon.pue:g}; "
        + (f"{1000 * made:g} g per busy device-hour for making the device" if made else "no")
        + (" are" if made else " embodied share is")
        + " counted."
    )


def _kinds(record: ModelRecord) -> set[str]:
    model = record.model
    return {model.training.reading.kind, model.answer.reading.kind, record.search.kind}


def _reading(reading: Reading, *, kwh: bool = False) -> tuple[str, str, str]:
    """Best estimate, range and kind."""
    shown = [reading.joules, reading.low_joules, reading.high_joules]
    if kwh:
        best, low, high = (energy(None if one is None else one / JOULES_PER_KWH) for one in shown)
    else:
        best, low, high = map(joules, shown)
    return best, _range(low, high, reading.joules), reading.kind


def _range(low: str, high: str, best: float | None) -> str:
    return UNAVAILABLE if best is None else f"{low} to {high}"


def _use(record: ModelRecord) -> str:
    task = record.task
    what = f"Predict {_plain(task.predicted)} for data like those of the task {_plain(task.name)}"
    if task.class_names and len(task.class_names) <= MOST_CLASSES:
        what += f": {', '.join(_plain(str(name)) for name in task.class_names)}"
    columns = ""
    if task.schema is not None:
        used = [_plain(column.name) for column in task.schema.columns if column.used]
        shown = ", ".join(used[:MOST_CLASSES])
        more = f" and {len(used) - MOST_CLASSES} more" if len(used) > MOST_CLASSES else ""
        columns = f" It reads the columns {shown}{more}; others are ignored."
    return (
        f"{what}, on a CPU, by ONNX Runtime.{columns} It was made for "
        f"{record.scoring.predictions:,.0f} predictions; for far fewer, or far more, another model "
        "of the study may be the better choice: `greenfront whatif` says."
    )


def _limits(record: ModelRecord) -> Iterator[str]:
    model, task = record.model, record.task
    yield (
        f"Chosen among {record.search.trials} trials by its "
        + ("validation score" if model.cross_validated is None else "mean over the folds")
        + ", which flatters a little"
        + (
            "; the test score is the one to expect."
            if model.test is not None
            else ", and no test score is known yet."
        )
    )
    yield (
        "Scores hold for data that were drawn like these. Nothing is known of other sources, later "
        "times or shifted inputs, and it always answers."
    )
    yield "No difference between groups of people was examined."
    found = model.test or model.validation
    if found is not None and found.decisions is not None and found.decisions.never:
        names = [_plain(str(task.class_names[index])) for index in found.decisions.never]
        yield f"It never decides for {', '.join(names[:MOST_CLASSES])}."
    if found is not None and found.low is None:
        yield "The scatter of its score over other examples is not known."
    if (leak := leak_sentence(task)) is not None:
        yield _plain(leak)
    if record.needs_no_network:
        yield "No neural network is needed for these data: this fitted model shows it."
    if record.search.unmetered:
        yield (
            f"{record.search.unmetered} parts of the search could not be metered and are not in "
            "its energy."
        )
    for note in task.notes:
        yield f"Data: {_plain(note)}."


def _provenance(record: ModelRecord) -> str:
    task, hardware, search = record.task, record.hardware, record.search
    sizes = ", ".join(f"{name} {number:,}" for name, number in task.sizes.items())
    meters = "; ".join(
        f"{meter.get('component')} {meter.get('kind')} by {meter.get('source')}"
        for meter in hardware.meters
    )
    rows = [
        ("data", f"{task.name}: {sizes}; fingerprint {task.fingerprint}"),
        ("trial", f"{record.model.trial}, finished {moment(record.trained_at)}"),
        ("search", f"{search.sampler}, seed {search.seed}, {moment(search.started_at)} to "
                   f"{moment(search.ended_at)}, {seconds(search.cpu_seconds)} of CPU time"),
        ("machine", f"{hardware.processor or 'processor not recorded'}, {hardware.threads} "
                    f"threads, {hardware.device}"),
        ("instruments", meters or "none"),
        ("versions", ", ".join(f"{name} {value}" for name, value in record.versions.items())),
        ("written", moment(record.created_at)),
    ]  # fmt: skip
    head = "\n".join(["| | |", "|---|---|"])
    return "\n".join([head, *(f"| {name} | {_cell(value)} |" for name, value in rows)])


def _licence(record: ModelRecord) -> str:
    said = record.licence.identifier
    told = (
        "No licence was stated for this model: ask whoever gave it to you, and mind the data's."
        if said == "other"
        else f"{_plain(said)}."
    )
    return "\n\n".join([told, *(_plain(note) for note in record.licence.notes)])


def _listed(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _plain(text: str) -> str:
    """Text of a user's as Markdown that shows it and does nothing else."""
    flat = " ".join(escape(text, quote=False).split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]#|" else sign for sign in flat)


def _cell(text: str) -> str:
    """Raw text as it fits a cell of a table."""
    return " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|")

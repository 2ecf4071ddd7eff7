"""The model card: ``README.md`` as people and the Hugging Face hub read it."""

from __future__ import annotations

from typing import Any

import yaml

from greenfront.studies.analysis.words.quantities import mass
from greenfront.studies.export.card_text import card_text
from greenfront.studies.export.forms import plain_decimal
from greenfront.studies.export.record import ModelRecord, Score

__all__ = ["CARD", "model_card"]

CARD = "README.md"
"""Its name in a folder."""

PLAIN_FROM = 1e-4
"""From so many grams on Python, and so the hub's client, writes a number without an exponent."""


def model_card(record: ModelRecord) -> str:
    """The whole card: metadata for the hub, then text for people."""
    head = yaml.safe_dump(metadata(record), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{head}---\n\n{card_text(record)}"


def metadata(record: ModelRecord) -> dict[str, Any]:
    """What the hub reads of a card; keys as in its documentation of model cards."""
    regression = record.task.regression
    task = _hub_task(record)
    told: dict[str, Any] = {
        "license": record.licence.identifier.lower(),  # as the hub writes them
        "library_name": "onnx",
        "pipeline_tag": task,
        "tags": [
            *("onnx", "automl", "green-ai", "energy-efficiency", "greenfront"),
            "regression" if regression else "classification",
        ],
        "metrics": [_hub_metric(record)],
    }
    emitted = _emitted(record)
    if emitted is not None:
        told["co2_eq_emissions"] = emitted
    results = _results(record, task)
    if results:
        told["model-index"] = [
            {"name": f"{record.study}-trial-{record.model.trial}", "results": results}
        ]
    return told


def training_grams(record: ModelRecord) -> tuple[float, str] | None:
    """What training has emitted, in grams of CO₂ equivalent, and what that counts.

    Of the whole search: without its other trials this model would not have been found. Where that
    is unknown, of making this model alone; ``None`` where nothing is known.
    """
    search, training = record.search, record.model.training
    if search.co2_kg is not None and search.kwh is not None:
        alone = mass(training.co2_kg)
        told = (
            f"the whole search of {search.trials} trials, {search.kind}; this model alone {alone}"
        )
        return 1000 * search.co2_kg, told
    if training.co2_kg is not None:
        return 1000 * training.co2_kg, f"making this model alone, {training.reading.kind}"
    return None


def grams(value: float) -> float | str:
    """Grams as a card has to say them, so that no reader meets an exponent.

    The hub's client looks for the first plain number in what Python prints of the value, and so
    takes 8.1e-05 for 8.1. A number that would print so is given as text, in plain decimals.
    """
    if value == 0 or value >= PLAIN_FROM:
        return value
    return plain_decimal(value)


def _emitted(record: ModelRecord) -> dict[str, Any] | None:
    found = training_grams(record)
    if found is None:
        return None
    value, counted = found
    grid, hardware = record.scoring.carbon.intensity, record.hardware
    processor = hardware.processor or "processor not recorded"
    used = f"{processor}, {hardware.threads} threads"
    if hardware.device == "cuda":
        used += f"; {hardware.gpu or 'GPU not recorded'}"
    version = record.versions.get("greenfront", "")
    return {
        "emissions": grams(value),
        "source": f"greenfront {version}: {counted}".replace("  ", " "),
        "training_type": "fine-tuning" if record.pretrained else "from scratch",
        "geographical_location": f"{grid.region} ({grid.g_per_kwh:g} g/kWh)",
        "hardware_used": used,
    }


def _hub_task(record: ModelRecord) -> str:
    task = record.task
    if task.regression:
        return "tabular-regression"
    kind = "image" if task.is_image else "text" if task.is_text else "tabular"
    return f"{kind}-classification"


def _hub_metric(record: ModelRecord) -> str:
    """Names of the hub's metrics where it has one."""
    names = {"f1_macro": "f1", "spearman": "spearmanr", "r2": "r_squared"}
    return names.get(record.metric.name, record.metric.name)


def _results(record: ModelRecord, task: str) -> list[dict[str, Any]]:
    splits = {"test": record.model.test, "validation": record.model.validation}
    return [_result(record, task, name, score) for name, score in splits.items() if score]


def _result(record: ModelRecord, task: str, split: str, score: Score) -> dict[str, Any]:
    return {
        "task": {"type": task},
        "dataset": {"name": record.task.name, "type": record.task.name, "split": split},
        "metrics": [
            {
                "type": _hub_metric(record),
                "value": score.value,
                "name": f"{record.metric.title} ({split})",
            }
        ],
    }

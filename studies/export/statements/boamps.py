"""BoAmps, Boavizta's report of the energy of an AI task: one of training, one of inference.

The form is that of https://github.com/Boavizta/BoAmps (``model/report_schema.json``).
"""

from __future__ import annotations

import re
from typing import Any, Literal

from greenfront.objectives.readings import JOULES_PER_KWH
from greenfront.studies.export.forms import identity, instant
from greenfront.studies.export.record import ModelRecord

__all__ = ["inference", "quality", "training"]

HIGH, MEDIUM = 0.10, 0.25
"""Relative errors up to which the form calls a report's quality high, or medium."""

BILLION = 1e9

_COUNTRY = re.compile(r"[A-Z]{2,3}(?![A-Z])")
"""How regions of countries begin: FRA, SE3, USA-OREGON; not WORLD, nor a trace without one."""

FORM = "1.1.0"
"""Version of the form, by its release notes."""


def training(record: ModelRecord) -> dict[str, Any] | None:
    """The report of training with all its runs; ``None`` where its energy is unknown."""
    search = record.search
    if search.kwh is None or search.low_kwh is None or search.high_kwh is None:
        return None
    measure: dict[str, Any] = {"powerConsumption": search.kwh}
    if search.started_at is not None and search.ended_at is not None:
        measure["measurementDuration"] = search.ended_at - search.started_at
        measure["measurementDateTime"] = _moment(search.started_at)
    sizes = record.task.sizes
    examples = sizes.get("train", 0) + sizes.get("validation", 0)
    described = (
        f"The whole search of {search.trials} trials that found the model ({search.kind}); "
        f"making this model alone took {record.model.training.reading.kwh} kWh."
    )
    task = _task(record, "training", examples, described)
    return _report(record, task, measure, quality(search.kwh, search.low_kwh, search.high_kwh))


def inference(record: ModelRecord) -> dict[str, Any] | None:
    """The report of one prediction with its preprocessing; ``None`` where it was not metered."""
    reading = record.model.prediction.reading
    if reading.joules is None or reading.low_joules is None or reading.high_joules is None:
        return None
    measure = {
        "powerConsumption": reading.joules / JOULES_PER_KWH,
        "measurementDuration": record.model.prediction_seconds,
    }
    task = _task(record, "inference", 1, f"One prediction ({reading.kind}: {reading.source}).")
    task["nbRequest"] = 1
    sure = quality(reading.joules, reading.low_joules, reading.high_joules)
    return _report(record, task, measure, sure)


def quality(best: float, low: float, high: float) -> Literal["high", "medium", "low"]:
    """The form's word for an error: up to 10 %, up to 25 %, or more."""
    error = max(best - low, high - best) / best if best else 0.0
    return "high" if error <= HIGH else "medium" if error <= MEDIUM else "low"


def _report(
    record: ModelRecord, task: dict[str, Any], measure: dict[str, Any], sure: str
) -> dict[str, Any]:
    modes = {meter.get("component"): meter for meter in record.hardware.meters}
    tracked = {
        f"{component}TrackingMode": f"{meter.get('kind')}: {meter.get('source')}"
        for component, meter in modes.items()
        if component in ("cpu", "gpu")
    }
    version = record.versions.get("greenfront")
    method = {"measurementMethod": "greenfront", **({"version": version} if version else {})}
    intensity = record.scoring.carbon.intensity
    stage = task["taskStage"]
    return {
        "header": {
            "formatVersion": FORM,
            "formatVersionSpecificationUri": "https://github.com/Boavizta/BoAmps",
            "reportId": str(identity(record, f"boamps {stage}")),
            "reportDatetime": _moment(record.created_at),
            "reportStatus": "final",
        },
        "task": task,
        # Earlier versions of the form ask for a unit, later ones know kWh alone.
        "measures": [{**method, **tracked, "unit": "kWh", **measure}],
        "system": {"os": record.hardware.system or "unknown"},
        "software": {"language": "python", "version": record.versions.get("python", "")},
        "infrastructure": {"infraType": "other", "components": _components(record)},
        "environment": {
            "country": intensity.region if _COUNTRY.match(intensity.region) else "unknown",
            "powerSourceCarbonIntensity": intensity.g_per_kwh,
        },
        "quality": sure,
    }


def _task(record: ModelRecord, stage: str, examples: int, described: str) -> dict[str, Any]:
    task, model = record.task, record.model
    kind = "image" if task.is_image else "text" if task.is_text else "tabular"
    told: dict[str, Any] = {
        "taskStage": stage,
        "taskFamily": f"{kind} {'regression' if task.regression else 'classification'}",
        "algorithms": [_algorithm(record)],
        "dataset": [{"dataUsage": "input", "dataType": kind, "dataQuantity": examples}],
        "taskDescription": described,
    }
    judged = model.test or model.validation
    if record.metric.name == "accuracy" and judged is not None:
        told["measuredAccuracy"] = judged.value
    return told


def _algorithm(record: ModelRecord) -> dict[str, Any]:
    model, family = record.model, record.model.candidate["architecture"]["family"]
    framework = "scikit-learn" if family.startswith("sklearn:") else "torch"
    told = {
        "trainingType": "transferLearning" if record.pretrained else "supervisedLearning",
        "algorithmName": family,
        "parametersNumber": model.parameters / BILLION,
        "framework": framework,
        "frameworkVersion": record.versions.get(framework, ""),
        "epochsNumber": model.epochs,
    }
    if record.pretrained:
        told["foundationModelName"] = record.pretrained
    settings = model.candidate.get("training")
    if settings:
        told["optimizer"] = settings["optimizer"]
    precision = model.candidate.get("precision")
    if precision:
        bits = precision["bits"]
        told["quantization"] = f"{'fp' if bits >= 16 else 'int'}{bits}"
    return told


def _components(record: ModelRecord) -> list[dict[str, Any]]:
    hardware = record.hardware
    named = {"componentName": hardware.processor} if hardware.processor else {}
    parts: list[dict[str, Any]] = [{"componentType": "cpu", "nbComponent": 1, **named}]
    if hardware.device == "cuda":
        card = {"componentName": hardware.gpu} if hardware.gpu else {}
        parts.append({"componentType": "gpu", "nbComponent": 1, **card})
    if hardware.memory_bytes is not None:
        gigabytes = round(hardware.memory_bytes / BILLION)
        parts.append({"componentType": "ram", "nbComponent": 1, "memorySize": gigabytes})
    return parts


def _moment(seconds: float) -> str:
    return instant(seconds).replace("T", " ").rstrip("Z")

"""CycloneDX 1.6: a bill of materials whose model card has ``environmentalConsiderations``.

The form is that of https://cyclonedx.org/schema/bom-1.6.schema.json.
"""

from __future__ import annotations

from typing import Any

from greenfront.studies.export.forms import identity, instant, limitations, plain_decimal
from greenfront.studies.export.record import ModelRecord, Score

__all__ = ["bom"]

KG_PER_TONNE = 1000.0


def bom(record: ModelRecord) -> dict[str, Any]:
    """The bill of materials: one machine-learning model."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": identity(record, "cyclonedx").urn,
        "version": 1,
        "metadata": {
            "timestamp": instant(record.created_at),
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "name": "greenfront",
                        "version": record.versions.get("greenfront", ""),
                    }
                ]
            },
        },
        "components": [_component(record)],
    }


def _component(record: ModelRecord) -> dict[str, Any]:
    model = record.model
    told: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model-{model.trial}",
        "name": record.study,
        "version": f"trial {model.trial}",
        "description": model.description,
        "modelCard": {
            "modelParameters": _parameters(record),
            "quantitativeAnalysis": {"performanceMetrics": _metrics(record)},
            "considerations": {
                "technicalLimitations": limitations(record),
                "environmentalConsiderations": {
                    "energyConsumptions": _consumptions(record),
                    "properties": _properties(_environment(record)),
                },
            },
        },
    }
    if record.licence.identifier != "other":
        told["licenses"] = [{"license": {"name": record.licence.identifier}}]
    if model.file_sha256:
        told["hashes"] = [{"alg": "SHA-256", "content": model.file_sha256}]
    return told


def _parameters(record: ModelRecord) -> dict[str, Any]:
    task = record.task
    return {
        "approach": {"type": "supervised"},
        "task": "regression" if task.regression else "classification",
        "architectureFamily": record.model.candidate["architecture"]["family"],
        "modelArchitecture": record.model.description,
        "datasets": [{"type": "dataset", "name": task.name}],
        "inputs": [{"format": "image" if task.is_image else "text" if task.is_text else "table"}],
        "outputs": [{"format": "number" if task.regression else "class probabilities"}],
    }


def _metrics(record: ModelRecord) -> list[dict[str, Any]]:
    splits = {"test": record.model.test, "validation": record.model.validation}
    return [_metric(record, split, found) for split, found in splits.items() if found is not None]


def _metric(record: ModelRecord, split: str, found: Score) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": record.metric.name,
        "value": plain_decimal(found.value),
        "slice": split,
    }
    if found.low is not None and found.high is not None:
        bounds = {"lowerBound": plain_decimal(found.low), "upperBound": plain_decimal(found.high)}
        told["confidenceInterval"] = bounds
    return told


def _consumptions(record: ModelRecord) -> list[dict[str, Any]]:
    """Training, which is the whole search with every trial, and one prediction; as known."""
    search, training = record.search, record.model.training
    answer = record.model.prediction
    found = []
    if search.kwh is not None:
        told = {
            "kind": search.kind,
            "low_kwh": search.low_kwh,
            "high_kwh": search.high_kwh,
            "counts": f"the whole search of {search.trials} trials",
            "this_model_alone_kwh": training.reading.kwh,
        }
        found.append(_consumption("training", search.kwh, search.co2_kg, told))
    if answer.reading.kwh is not None:
        reading = answer.reading
        told = {
            "kind": reading.kind,
            "low_kwh": reading.low_kwh,
            "high_kwh": reading.high_kwh,
            "counts": "one prediction with its preprocessing",
        }
        found.append(_consumption("inference", answer.reading.kwh, answer.co2_kg, told))
    return found


def _consumption(
    activity: str, kwh: float, co2_kg: float | None, told: dict[str, Any]
) -> dict[str, Any]:
    energy = {"value": kwh, "unit": "kWh"}
    found: dict[str, Any] = {
        "activity": activity,
        "energyProviders": [
            {
                "organization": {"name": "not recorded"},
                "energySource": "unknown",
                "energyProvided": energy,
            }
        ],
        "activityEnergyCost": energy,
        "properties": _properties(told),
    }
    if co2_kg is not None:
        found["co2CostEquivalent"] = {"value": co2_kg / KG_PER_TONNE, "unit": "tCO2eq"}
    return found


def _environment(record: ModelRecord) -> dict[str, Any]:
    carbon = record.scoring.carbon
    return {
        "region": carbon.intensity.region,
        "g_per_kwh": carbon.intensity.g_per_kwh,
        "intensity_source": carbon.intensity.source,
        "pue": carbon.pue,
        "embodied_kg_per_device_hour": carbon.embodied_kg_per_device_hour or None,
    }


def _properties(told: dict[str, Any]) -> list[dict[str, str]]:
    """Names and values; what is unknown is left out."""
    return [
        {
            "name": f"greenfront:{name}",
            "value": plain_decimal(value) if isinstance(value, float) else str(value),
        }
        for name, value in told.items()
        if value is not None
    ]

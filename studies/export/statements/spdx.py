"""SPDX 3.0.1 in JSON-LD, AI profile: an ``ai_AIPackage`` with ``ai_energyConsumption``.

The form is that of https://spdx.github.io/spdx-spec/v3.0.1/model/AI/.
"""

from __future__ import annotations

import re
from typing import Any

from greenfront.studies.export.forms import identity, instant, limitations, plain_decimal
from greenfront.studies.export.record import ModelRecord

__all__ = ["document"]

CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
CREATION = "_:creation"
NO_LICENCE = "https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoAssertionLicense"


def document(record: ModelRecord) -> dict[str, Any]:
    """The whole graph: document, agent, model, licences."""
    base = f"{identity(record, 'spdx').urn}#"
    licence, extra = _licence(record, base)
    package = _package(record, base)
    relations = [
        _relation(f"{base}{name}", package["spdxId"], name, licence)
        for name in ("hasDeclaredLicense", "hasConcludedLicense")
    ]
    agent = _element("SoftwareAgent", f"{base}greenfront", name="greenfront")
    elements = [agent, package, *extra, *relations]
    whole = _element(
        *("SpdxDocument", f"{base}document"),
        profileConformance=["core", "software", "simpleLicensing", "ai"],
        rootElement=[package["spdxId"]],
        element=[each["spdxId"] for each in elements],
    )
    creation = {
        "@id": CREATION,
        "type": "CreationInfo",
        "specVersion": "3.0.1",
        "created": instant(record.created_at),
        "createdBy": [agent["spdxId"]],
    }
    return {"@context": CONTEXT, "@graph": [creation, whole, *elements]}


def _package(record: ModelRecord, base: str) -> dict[str, Any]:
    model, task = record.model, record.task
    told: dict[str, Any] = {
        "name": record.study,
        "description": model.description,
        "suppliedBy": f"{base}greenfront",
        "releaseTime": instant(record.created_at),
        "software_packageVersion": f"trial {model.trial}",
        "software_downloadLocation": "file:model.onnx",
        "software_primaryPurpose": "model",
        "ai_domain": [task.name],
        "ai_typeOfModel": ["supervised", model.candidate["architecture"]["family"]],
        "ai_informationAboutTraining": _about_training(record),
        "ai_limitation": " ".join(limitations(record)),
        "ai_hyperparameter": _entries(_hyperparameters(record)),
        "ai_metric": _entries(_metrics(record)),
    }
    energy = _energy(record)
    if energy is not None:
        told["ai_energyConsumption"] = energy
    judged = model.test or model.validation
    if judged is not None and judged.decisions is not None and judged.decisions.threshold:
        threshold = judged.decisions.threshold
        told["ai_metricDecisionThreshold"] = _entries({f"{record.metric.name}": threshold})
    if model.file_sha256:
        hashed = {"type": "Hash", "algorithm": "sha256", "hashValue": model.file_sha256}
        told["verifiedUsing"] = [hashed]
    return _element("ai_AIPackage", f"{base}model", **told)


def _energy(record: ModelRecord) -> dict[str, Any] | None:
    """Training, which is the whole search, and one prediction; ``None`` where both are unknown."""
    told: dict[str, Any] = {}
    if record.search.kwh is not None:
        told["ai_trainingEnergyConsumption"] = [_quantity(record.search.kwh)]
    one = record.model.prediction.reading.kwh
    if one is not None:
        told["ai_inferenceEnergyConsumption"] = [_quantity(one)]
    return {"type": "ai_EnergyConsumption", **told} if told else None


def _quantity(kwh: float) -> dict[str, Any]:
    return {
        "type": "ai_EnergyConsumptionDescription",
        "ai_energyQuantity": plain_decimal(kwh),
        "ai_energyUnit": "kilowattHour",
    }


def _about_training(record: ModelRecord) -> str:
    search, alone = record.search, record.model.training.reading.kwh
    one = record.model.prediction.reading
    unknown = "unknown"
    return (
        f"Found by a search of {search.trials} trials; the training energy counts all of them "
        f"({search.kind}). Making this model alone took "
        f"{unknown if alone is None else plain_decimal(alone)} kWh. The inference energy is of one "
        f"prediction with its preprocessing ({one.kind}: {one.source})."
    )


def _hyperparameters(record: ModelRecord) -> dict[str, Any]:
    """Every setting of the candidate, named by its place."""
    found: dict[str, Any] = {}
    waiting = list(record.model.candidate.items())
    while waiting:
        name, value = waiting.pop(0)
        if isinstance(value, dict):
            waiting = [(f"{name}.{key}", inner) for key, inner in value.items()] + waiting
        elif value is not None:
            found[name] = value
    return found


def _metrics(record: ModelRecord) -> dict[str, Any]:
    splits = {"test": record.model.test, "validation": record.model.validation}
    return {
        f"{record.metric.name} ({split})": found.value
        for split, found in splits.items()
        if found is not None
    }


def _licence(record: ModelRecord, base: str) -> tuple[str, list[dict[str, Any]]]:
    """The identity of the licence, and the elements that describe it."""
    if record.licence.identifier == "other":
        return NO_LICENCE, []
    name = "-".join(re.findall(r"[A-Za-z0-9.+]+", record.licence.identifier))
    listed = name == record.licence.identifier
    found = _element(
        *("simplelicensing_LicenseExpression", f"{base}licence"),
        simplelicensing_licenseExpression=name if listed else f"LicenseRef-{name}",
    )
    return f"{base}licence", [found]


def _relation(name: str, source: str, kind: str, target: str) -> dict[str, Any]:
    told = {"from": source, "relationshipType": kind, "to": [target]}
    return {**_element("Relationship", name), **told}


def _element(kind: str, name: str, /, **told: Any) -> dict[str, Any]:
    return {"type": kind, "spdxId": name, "creationInfo": CREATION, **told}


def _entries(told: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "type": "DictionaryEntry",
            "key": key,
            "value": plain_decimal(value) if isinstance(value, float) else str(value),
        }
        for key, value in told.items()
    ]

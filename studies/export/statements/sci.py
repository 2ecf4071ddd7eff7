"""SCI for AI: the two scores of the Green Software Foundation's specification.

https://github.com/Green-Software-Foundation/sci-ai (an extension of ISO/IEC 21031:2024) asks for
both, and publishes no form for machines: the keys here are its words. The consumer's score counts
runtime operations, for classical machine learning per inference. The provider's counts data
engineering and model training, which includes model selection and benchmarking and so the whole
search; per parameter is one of the three units that it allows.
"""

from __future__ import annotations

from typing import Any

from greenfront.objectives.carbon.units import SECONDS_PER_HOUR
from greenfront.studies.export.forms import instant
from greenfront.studies.export.record import ModelRecord

__all__ = ["scores"]

BILLION = 1e9


def scores(record: ModelRecord) -> dict[str, Any]:
    """Both scores with what they are made of; what is unknown is ``None``."""
    carbon = record.scoring.carbon
    return {
        "specification": "Software Carbon Intensity for AI; SCI = (E · I + M) per R",
        "reported_at": instant(record.created_at),
        "model": {"name": record.study, "trial": record.model.trial},
        "carbon_intensity": {
            "g_per_kwh": carbon.intensity.g_per_kwh,
            "region": carbon.intensity.region,
            "source": carbon.intensity.source,
            "method": "location-based",
        },
        "pue": carbon.pue,
        "consumer": _consumer(record),
        "provider": _provider(record),
    }


def _consumer(record: ModelRecord) -> dict[str, Any]:
    answer, carbon = record.model.prediction, record.scoring.carbon
    kwh = answer.reading.kwh
    operational = None if kwh is None else carbon.co2_kg(kwh)
    total = answer.co2_kg
    embodied = None
    if _states_embodied(record) and total is not None and operational is not None:
        embodied = total - operational
    return {
        "functional_unit": "inference",
        "boundary": ["model", *(["preprocessing"] if record.model.preprocessing else [])],
        "excluded": [
            *("orchestration", "monitoring", "storage", "client", "network", "end of life"),
            *_not_embodied(record),
        ],
        "energy_kwh": kwh,
        "energy_low_kwh": answer.reading.low_kwh,
        "energy_high_kwh": answer.reading.high_kwh,
        "kind": answer.reading.kind,
        "operational_g": _grams(operational),
        "embodied_g": _grams(embodied),
        "units": 1,
        "sci_g_per_inference": _grams(total),
    }


def _provider(record: ModelRecord) -> dict[str, Any]:
    search, model = record.search, record.model
    total, embodied = search.co2_kg, _embodied_kg(record)
    billions = model.parameters / BILLION
    return {
        "functional_unit": "billion parameters",
        "boundary": ["data preparation", "model training with all intermediate runs", "evaluation"],
        "excluded": [
            *("data collection", "system integration", "end of life"),
            *_not_embodied(record),
        ],
        "energy_kwh": search.kwh,
        "energy_low_kwh": search.low_kwh,
        "energy_high_kwh": search.high_kwh,
        "kind": search.kind,
        "unmetered_entries": search.unmetered,
        "runs": search.trials,
        "this_model_alone_kwh": model.training.reading.kwh,
        "operational_g": _grams(None if total is None or embodied is None else total - embodied),
        "embodied_g": _grams(embodied) if _states_embodied(record) else None,
        "units": billions,
        "sci_g_per_billion_parameters": (
            None if total is None or not billions else 1000 * total / billions
        ),
    }


def _states_embodied(record: ModelRecord) -> bool:
    return record.scoring.carbon.embodied_kg_per_device_hour > 0


def _not_embodied(record: ModelRecord) -> list[str]:
    return [] if _states_embodied(record) else ["embodied emissions: the study states none"]


def _embodied_kg(record: ModelRecord) -> float | None:
    """Share of making the machine in the search; ``None`` where it follows a card's time."""
    carbon = record.scoring.carbon
    if not _states_embodied(record):
        return 0.0
    if carbon.embodied_component != "cpu":
        return None
    return carbon.co2_kg(0.0, record.search.cpu_seconds / SECONDS_PER_HOUR)


def _grams(kg: float | None) -> float | None:
    return None if kg is None else 1000 * kg

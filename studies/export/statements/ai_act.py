"""The quantities that Annex XI of the EU's AI Act asks providers of general-purpose models for.

Regulation (EU) 2024/1689, Annex XI, Section 1, point 2 (d) and (e); the Code of Practice's Model
Documentation Form wants training energy in MWh and two significant figures. There is no published
form for machines. A model of greenfront's is none of general purpose: these are the same
quantities, labelled as what they are, and no declaration of conformity.
"""

from __future__ import annotations

from typing import Any

from greenfront.studies.export.forms import instant, plain_decimal, two_figures
from greenfront.studies.export.record import ModelRecord

__all__ = ["quantities"]

KWH_PER_MWH = 1000.0
SECONDS_PER_DAY = 86400.0


def quantities(record: ModelRecord) -> dict[str, Any]:
    """What is known of them, and what is missing."""
    search, model = record.search, record.model
    alone = model.training.reading
    missing = [
        "floating-point operations of training: not counted",
        "energy of data collection, people's machines and networks: not in the boundary",
    ]
    if search.kwh is None:
        missing.append("training energy: no instrument could tell")
    if search.unmetered:
        missing.append(f"energy of {search.unmetered} parts of the search: not metered")
    return {
        "regulation": "Regulation (EU) 2024/1689, Annex XI, Section 1, point 2 (d) and (e)",
        "status": (
            "Voluntary quantities of a model that is not of general purpose; no declaration of "
            "conformity"
        ),
        "reported_at": instant(record.created_at),
        "model": {
            "name": record.study,
            "trial": model.trial,
            "architecture": model.description,
            "parameters": two_figures(model.parameters),
        },
        "training_energy": {
            **_mwh(search.kwh),
            "label": f"{search.kind}: the whole search of {search.trials} trials",
            "low_mwh": _two(search.low_kwh),
            "high_mwh": _two(search.high_kwh),
        },
        "this_model_alone_energy": {
            **_mwh(alone.kwh),
            "label": f"{alone.kind}: {alone.source}",
        },
        "training_time_days": _days(record),
        "training_cpu_days": two_figures(search.cpu_seconds / SECONDS_PER_DAY),
        "inference_flop": two_figures(model.flops),
        "missing": missing,
    }


def _mwh(kwh: float | None) -> dict[str, Any]:
    value = _two(kwh)
    return {"mwh": value, "text": "unknown" if value is None else f"{plain_decimal(value)} MWh"}


def _two(kwh: float | None) -> float | None:
    return None if kwh is None else two_figures(kwh / KWH_PER_MWH)


def _days(record: ModelRecord) -> float | None:
    begin, end = record.search.started_at, record.search.ended_at
    if begin is None or end is None:
        return None
    return two_figures((end - begin) / SECONDS_PER_DAY)

"""Whether a prediction takes the energy and the time that are claimed, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.packaging.findings import Check
from greenfront.objectives.packaging.inspection import Inspection
from greenfront.objectives.packaging.shipped import costs
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.evaluate import inference_cost
from greenfront.objectives.stages.session import open_plain

__all__ = ["cost_checks"]

PHASE = "verify"
ROOM = 1.5
"""A claim holds up to so many times its joules, by the reference workload beside it."""
SEARCH_ROOM = 2.5
"""The same of what a search measured, at a moment whose speed nobody knows."""
MOST_TRIES = 3
"""Whatever disturbs a measurement makes it dearer: so often it may be taken until it holds."""


def cost_checks(inspection: Inspection) -> Iterator[Check]:
    """Whole file in the session of ``predict.py`` and in one without options; the model alone."""
    claims, runtime = inspection.claims, inspection.runtime
    measuring = replace(
        runtime.measuring,
        most_blocks=runtime.measuring.least_blocks,
        entire=inspection.candidate.second is not None,
    )

    def alone() -> Reading:
        data = runtime.models.data(inspection.candidate).validation
        return inference_cost(
            open_plain(inspection.core),
            data.inputs.cpu().numpy(),
            runtime.context,
            phase=PHASE,
            measuring=measuring,
            padding=data.padding,
        ).reading

    for _ in range(MOST_TRIES):
        found = costs(inspection.path, inspection.data, runtime.context, measuring, PHASE)
        room = ROOM * _dearer(found.reference, claims.reference)
        if _within(found.own.energy, claims.cost.energy, room) and _within(
            found.plain.energy, claims.plain_cost.energy, room
        ):
            break
    now, then = found.reference, claims.reference
    why = (
        f"it takes {_times(now, then)} what it took at the export, so whole "
        f"predictions may take {room:.2g} times what is claimed, and the model alone, whose moment "
        f"in the search is not known, {SEARCH_ROOM:g} times"
    )
    yield Check("reference workload", _text(then), _text(now), None, why)
    yield _energy(
        inspection, "energy, raw input to label", claims.cost.energy, found.own.energy, room
    )
    yield _energy(
        inspection,
        "the same, no session options",
        claims.plain_cost.energy,
        found.plain.energy,
        room,
    )
    model = _least(alone, claims.model_alone, SEARCH_ROOM)
    name = "model alone, no session options"
    yield _energy(inspection, name, claims.model_alone, model, SEARCH_ROOM)
    yield Check(
        "latency, raw input to label",
        f"{claims.cost.latency_seconds * 1e6:.3g} µs",
        f"{found.own.latency_seconds * 1e6:.3g} µs",
        None,
        "wall time moves with neighbours: it is only shown",
    )


def _times(now: Reading, then: Reading) -> str:
    if now.joules is None or not then.joules:
        return "an unknown multiple of"
    return f"{now.joules / then.joules:.2f} times"


def _dearer(now: Reading, then: Reading) -> float:
    """How many times what it took then the same work takes now; 1 where that is unknown.

    At least 1: what takes no more than is claimed bears the claim out, whatever the moment.
    """
    return max(now.joules / then.joules, 1.0) if now.joules and then.joules else 1.0


def _least(measure: Callable[[], Reading], claimed: Reading, room: float) -> Reading:
    best = measure()
    for _ in range(MOST_TRIES - 1):
        if _within(best, claimed, room):
            break
        best = min(best, measure(), key=lambda found: found.joules or float("inf"))
    return best


def _within(found: Reading, claimed: Reading, room: float) -> bool:
    return found.joules is None or claimed.joules is None or found.joules <= room * claimed.joules


def _energy(
    inspection: Inspection, name: str, claimed: Reading, found: Reading, room: float
) -> Check:
    wanted, given = _text(claimed), _text(found)
    why = None
    if claimed.joules is None or found.joules is None:
        why = "a reading is unavailable"
    elif inspection.claims.processor != describe_cpu().name:
        why = f"claimed on {inspection.claims.processor or 'another processor'}"
    elif claimed.source != found.source:
        why = f"claimed by another instrument ({claimed.source})"
    if why is not None:
        return Check(name, wanted, given, None, why)
    why = (
        f"a prediction takes more than {room:.3g} times the claimed energy, which is more than "
        "neighbours and a slower moment explain"
    )
    return Check(name, wanted, given, _within(found, claimed, room), why)


def _text(reading: Reading) -> str:
    if reading.joules is None:
        return "unavailable"
    return f"{reading.joules * 1e6:.3g} µJ ({reading.kind})"

"""What waiting for clean hours would save a study, estimated before it begins."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from greenfront.errors import DataError
from greenfront.objectives.carbon.scaling import ONE_WORKER
from greenfront.objectives.carbon.schedule import best_hours
from greenfront.objectives.carbon.traces import as_instant
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR
from greenfront.search.electricity.intensity import IntensityProvider
from greenfront.studies.analysis.words.quantities import percent, seconds
from greenfront.studies.config.carbon import CarbonSection
from greenfront.studies.config.study_file import StudyFile

__all__ = ["ScheduleForecast", "schedule_forecast"]


@dataclass(frozen=True, slots=True)
class ScheduleForecast:
    """What waiting saves, if the study began now.

    Attributes:
        kind: ``"modelled"`` where the intensity is known until the deadline, else ``"forecast"``.
        at_once_g_per_kwh: Mean intensity of the work without a pause; ``None`` where unknown.
        g_per_kwh: Mean intensity of the same work in its greenest hours until the deadline.
        start: Begin of these hours, in ISO 8601.
        end: Their end.
        saving: Share of the carbon that waiting saves, against all workers at once; ``None`` where
            unknown.
        replayed: Whether all times are of a replayed clock.
        workers: Fewest and most workers that run in these hours; 1 and 1 where all do or none.
    """

    kind: Literal["modelled", "forecast"]
    at_once_g_per_kwh: float | None
    g_per_kwh: float
    start: str
    end: str
    saving: float | None
    replayed: bool
    workers: tuple[int, int] = (1, 1)


def schedule_forecast(
    file: StudyFile, provider: IntensityProvider | None, minutes: float | None
) -> tuple[ScheduleForecast | None, str | None]:
    """Looks for the greenest hours of work that takes so many minutes with all workers.

    Returns:
        The forecast and a sentence on it, without its full stop; both ``None`` for a study that
        does not wait.
    """
    section, throughput = file.carbon, file.throughput or ONE_WORKER
    if not section.waits or provider is None or section.deadline_hours is None:
        return None, None
    clock = section.clock(time.time())
    now = clock.at(time.time()) if clock.start is None else clock.start
    deadline = now + SECONDS_PER_HOUR * section.deadline_hours
    if minutes is None:
        return None, "what waiting saves cannot be told: without a number of trials it has no end"
    work = 60 * minutes * clock.speed
    if work > deadline - now:
        return None, (
            f"the deadline of {section.deadline_hours:g} h is too short to wait at all: the work "
            f"takes {seconds(work)}{clock.label}"
        )
    if work <= 0:
        return None, None
    try:
        trace = provider.ahead(now, deadline)
        plan = best_hours(
            trace, as_instant(now), as_instant(deadline), work * throughput[-1], throughput
        )
    except DataError as error:
        return None, f"what waiting saves cannot be told: {error}"
    present = as_instant(now)
    known = not any(
        step.estimated and step.end_seconds > now and step.start_seconds < deadline
        for step in trace.steps
    )
    end = as_instant(now + work)
    emitted = plan.g_per_kwh * plan.worker_seconds
    at_once = trace.mean_between(present, end) if trace.covers(present, end) else None
    found = ScheduleForecast(
        kind="modelled" if known else "forecast",
        at_once_g_per_kwh=at_once,
        g_per_kwh=plan.g_per_kwh,
        start=plan.start.isoformat(),
        end=plan.end.isoformat(),
        saving=1 - emitted / (at_once * work * len(throughput)) if at_once else None,
        workers=(min(plan.workers), max(plan.workers)),
        replayed=clock.replayed,
    )
    return found, _sentence(section, found, clock.label, len(throughput))


def _how(found: ScheduleForecast, together: int) -> str:
    """What saves the carbon of a study on so many workers."""
    fewest, most = found.workers
    if together == 1:
        return "waiting"
    if fewest == most == together:
        return f"waiting, with {most} workers at a time or none,"
    some = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f"waiting, with {some} instead of {together} workers at a time,"


def _sentence(section: CarbonSection, found: ScheduleForecast, label: str, together: int) -> str:
    start, end = (datetime.fromisoformat(text) for text in (found.start, found.end))
    told = (
        f"in the greenest hours until the deadline, from {start:%Y-%m-%d %H:%M} to "
        f"{end:%Y-%m-%d %H:%M} UTC{label}, the work gets {found.g_per_kwh:.4g} g/kWh"
    )
    if found.at_once_g_per_kwh is not None and found.saving is not None:
        told += (
            f" instead of {found.at_once_g_per_kwh:.4g} when begun at once: "
            f"{_how(found, together)} saves {percent(found.saving)} of the carbon of its "
            f"electricity ({found.kind})"
        )
    if section.pause_above is not None:
        told += f"; the study waits while it is over {section.pause_above:g} g/kWh instead"
    return told

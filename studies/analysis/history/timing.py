"""When a search ran, how long it waited for cleaner electricity or a cooler machine, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.carbon.traces import as_instant
from greenfront.studies.analysis.words.quantities import counted, mass, percent, seconds
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.intervals import Interval, length, minus, union
from greenfront.studies.store.ledger_writer import WAITING
from greenfront.studies.store.pauses import Pause
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import ledger_table, moments_table

__all__ = ["Timing", "timing", "timing_lines"]

BRIDGED_SECONDS = 1.0
"""Gaps within a run that are shorter are no stretch's end."""

SHOWN_STRETCHES = 8

NO_WORK = (WAITING, "overhead")
"""Phases that lie in a wait, or may reach across one between two trials."""


@dataclass(frozen=True, slots=True)
class Timing:
    """A search in time.

    Attributes:
        clock: The grid's time, by which all instants here are told.
        stretches: When it ran, without its waits; by the grid's time, in seconds since 1970.
        waits: Its waits for cleaner electricity, by their begin.
        rests: Those of workers for a cooler machine, while which others may have worked.
        ran_seconds: By the wall's clock, rests and all.
        waited_seconds: By the wall's clock.
        co2_kg: Emitted; ``None`` where nothing is known.
        unpaused_co2_kg: What the same work would have emitted, run through from its start without
            waiting; ``None`` where no intensity over time is known.
        told_share: Share of the metered energy whose intensity is that of its time, by a trace or
            a live service; the rest counts with the study's average.
    """

    clock: Clock
    stretches: tuple[Interval, ...]
    waits: tuple[Pause, ...]
    rests: tuple[Pause, ...]
    ran_seconds: float
    waited_seconds: float
    co2_kg: float | None
    unpaused_co2_kg: float | None
    told_share: float

    @property
    def rested_seconds(self) -> dict[str, float]:
        """How long heat has kept workers from new trials, all of them together, by machine."""
        found: dict[str, float] = {}
        for rest in self.rests:
            found[rest.host] = found.get(rest.host, 0.0) + length([rest.span])
        return found

    @property
    def saved_kg(self) -> float | None:
        """What waiting has saved; negative where it has cost."""
        if self.co2_kg is None or self.unpaused_co2_kg is None:
            return None
        return self.unpaused_co2_kg - self.co2_kg

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        return {
            "clock": "replayed" if self.clock.replayed else "real",
            "speed": self.clock.speed,
            "stretches": [[_iso(start), _iso(end)] for start, end in self.stretches],
            "ran_seconds": self.ran_seconds,
            "waited_seconds": self.waited_seconds,
            "rested_seconds": self.rested_seconds,
            "pauses": [
                {
                    "kind": wait.kind,
                    "host": wait.host,
                    "trial": wait.number,
                    "started_at": _iso(self.clock.at(wait.started_at)),
                    "ended_at": _iso(self.clock.at(wait.ended_at)),
                    "reason": wait.reason,
                }
                for wait in sorted((*self.waits, *self.rests), key=lambda wait: wait.started_at)
            ],
            "co2_kg": self.co2_kg,
            "unpaused_co2_kg": self.unpaused_co2_kg,
            "saved_co2_kg": self.saved_kg,
            "told_share": self.told_share,
        }


def _iso(instant: float) -> str:
    return as_instant(instant).isoformat()


def timing(study: Study) -> Timing:
    """Reads a study's times.

    Args:
        study: Any study.
    """
    clock = Clock()
    if study.facts is not None:
        clock = StudyFile.from_stored(study.configuration).carbon.clock(study.created_at)
    found = study.pauses.all()
    waits = tuple(pause for pause in found if pause.kind == "electricity")
    rests = tuple(pause for pause in found if pause.kind == "heat")
    waited = union(wait.span for wait in waits)
    # While one worker waits another may still be in an epoch.
    ran = union([*minus(study.runs.spans(), waited), *_busy(study)])
    ran = union(ran, bridging=0.0 if waited else BRIDGED_SECONDS)
    co2_kg, unpaused, told_share = _emitted(study)
    return Timing(
        clock=clock,
        stretches=tuple((clock.at(start), clock.at(end)) for start, end in ran),
        waits=waits,
        rests=rests,
        ran_seconds=length(ran),
        waited_seconds=length(minus(waited, ran)),
        co2_kg=co2_kg,
        unpaused_co2_kg=unpaused,
        told_share=told_share,
    )


def _busy(study: Study) -> list[Interval]:
    """When trials worked, from the ledger."""
    entry = ledger_table.c
    query = (
        sa.select(entry.started_at, entry.ended_at)
        .where(
            entry.study_id == study.study_id, entry.number.is_not(None), entry.phase.not_in(NO_WORK)
        )
        .distinct()
    )
    return [(row.started_at, row.ended_at) for row in study.storage.rows(query)]


def _emitted(study: Study) -> tuple[float | None, float | None, float]:
    entry, moment = ledger_table.c, moments_table.c
    told = sa.case((moment.basis.in_(("trace", "live", "estimated")), entry.joules), else_=0.0)
    query = (
        sa.select(
            sa.func.sum(entry.co2_kg),
            sa.func.sum(sa.func.coalesce(moment.unpaused_co2_kg, entry.co2_kg)),
            sa.func.count(moment.entry_id),
            sa.func.coalesce(sa.func.sum(told), 0.0),
            sa.func.coalesce(sa.func.sum(entry.joules), 0.0),
        )
        .select_from(ledger_table.outerjoin(moments_table, moment.entry_id == entry.entry_id))
        .where(entry.study_id == study.study_id)
    )
    co2_kg, unpaused, moments, told_joules, joules = study.storage.rows(query)[0]
    share = float(told_joules / joules) if joules else 0.0
    return co2_kg, unpaused if moments else None, share


def timing_lines(found: Timing) -> list[str]:
    """The same in sentences; instants in UTC."""
    lines = []
    if found.stretches:
        lines.append(f"Ran {_stretches(found)}{found.clock.label}.")
    if found.waits:
        between = sum(wait.number is not None for wait in found.waits)
        speed = found.clock.speed
        there = seconds(speed * found.waited_seconds)
        scaled = f" ({there} of the replayed clock)" if speed != 1 else ""
        lines.append(
            f"Waited {seconds(found.waited_seconds)}{scaled} for cleaner electricity, in "
            f"{counted(len(found.waits), 'pause')}, {between} of them between epochs."
        )
    lines += _rested(found)
    saved = found.saved_kg
    if found.co2_kg is not None and found.unpaused_co2_kg is not None and saved is not None:
        share = f" ({percent(abs(saved) / found.unpaused_co2_kg)})" if found.unpaused_co2_kg else ""
        verdict = "saved" if saved >= 0 else "cost"
        lines.append(
            f"Emitted {mass(found.co2_kg)} CO₂; the same work, run through from its start without "
            f"waiting, would have emitted {mass(found.unpaused_co2_kg)} (modelled): waiting has "
            f"{verdict} {mass(abs(saved))}{share}."
            if found.waits
            else f"Emitted {mass(found.co2_kg)} CO₂, without waiting for cleaner electricity."
        )
        if found.told_share < 1 - 1e-9:
            lines.append(
                f"{percent(found.told_share)} of the energy counts with the intensity of its "
                "time, the rest with the study's average."
            )
    return lines


def _rested(found: Timing) -> list[str]:
    if not found.rests:
        return []
    machines = found.rested_seconds
    each = ", ".join(f"{host} {seconds(span)}" for host, span in machines.items())
    where = f" ({each})" if len(machines) > 1 else ""
    return [
        f"Heat kept workers from new trials for {seconds(sum(machines.values()))} of their time, "
        f"in {counted(len(found.rests), 'pause')}{where}; none of its energy is a trial's."
    ]


def _stretches(found: Timing) -> str:
    shown = found.stretches[:SHOWN_STRETCHES]
    told = _joined(f"{_clock(start)} to {_clock(end)}" for start, end in shown)
    more = len(found.stretches) - len(shown)
    return f"{told} UTC" + (f" and in {more} more stretches" if more else "")


def _joined(parts: Iterable[str]) -> str:
    listed = list(parts)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _clock(instant: float) -> str:
    return f"{as_instant(instant):%Y-%m-%d %H:%M}"

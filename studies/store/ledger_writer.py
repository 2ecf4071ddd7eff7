"""Writing into the ledger on behalf of one run."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import sqlalchemy as sa

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.codec import to_json
from greenfront.objectives.readings import Component, Reading
from greenfront.studies.store.rescue import Known
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import ledger_table, moments_table, pauses_table

__all__ = ["CROSS_VALIDATION", "WAITING", "Basis", "Charged", "LedgerWriter", "Moment", "Moments"]

MERGED_SECONDS = 60.0
"""Pieces that belong to no trial are merged by this much of the wall's clock."""

WAITING = "waiting"
"""Phase of what an evaluator draws while the search holds it: no trial's, but the search's."""

CROSS_VALIDATION = "cross-validate"
"""Phase of all that making and judging finished models on other splits takes."""

Basis = Literal["trace", "live", "estimated", "average"]
"""Who tells an entry's intensity: the study's trace, a live service, the same service's forecast or
estimate, or the study's average, where none of them covers the entry's time."""


@dataclass(frozen=True, slots=True)
class Charged:
    """A window to be charged later: there was no study yet, or its database did not answer.

    Attributes:
        phase: What was going on.
        readings: By component.
        started_at: Unix seconds.
        ended_at: Unix seconds.
    """

    phase: str
    readings: Mapping[Component, Reading]
    started_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class Moment:
    """The electricity of one entry's time.

    Attributes:
        g_per_kwh: ``None`` where nobody tells and the study's average counts.
        basis: Who tells.
        unpaused_g_per_kwh: What it was when the same work would have been done without the pauses
            before it; ``None`` where nobody tells.
        worked_share: Share of the time that was no pause, 0 to 1.
    """

    g_per_kwh: float | None
    basis: Basis
    unpaused_g_per_kwh: float | None
    worked_share: float


class Moments(Protocol):
    """Tells the electricity of a time."""

    def at(self, started_at: float, ended_at: float, worker: int | None) -> Moment:
        """The electricity of an entry's time, in Unix seconds.

        Args:
            started_at: Its begin.
            ended_at: Its end.
            worker: Whose pauses count; ``None`` for what belongs to no trial.
        """
        ...


class LedgerWriter:
    """Writes into the ledger of one study, on behalf of one run.

    Args:
        storage: The database.
        study_id: Optuna's number of the study.
        run_id: The run that spends.
        carbon: Turns energy into CO₂; ``None`` leaves CO₂ empty.
        moments: Tells the intensity of each entry's time; without it the carbon model's counts.
        known: Keeps what was charged in memory, too; ``None``: nobody asks.
    """

    def __init__(
        self,
        storage: Storage,
        study_id: int,
        run_id: str,
        carbon: CarbonModel | None,
        moments: Moments | None = None,
        known: Known | None = None,
    ) -> None:
        self.known = known
        self.storage = storage
        self.study_id = study_id
        self.run_id = run_id
        self.carbon = carbon
        self.moments = moments
        # What belongs to no trial is charged by all threads, and merged by one of them: not while
        # another looks whether its own piece was written.
        self._unmerged = threading.Lock()

    def charge(
        self,
        phase: str,
        readings: Mapping[Component, Reading],
        *,
        number: int | None,
        started_at: float,
        ended_at: float,
        worker: int | None = None,
    ) -> None:
        """Writes one window.

        Args:
            phase: What was going on.
            readings: By component; none at all leave no trace.
            number: The trial; ``None`` for the search itself.
            started_at: Unix seconds.
            ended_at: Unix seconds.
            worker: The worker of this run that spent it.
        """
        if not readings:
            return
        moment = self.moments.at(started_at, ended_at, worker) if self.moments else None
        window = {
            "study_id": self.study_id,
            "run_id": self.run_id,
            "worker": worker,
            "number": number,
            "phase": phase,
            "started_at": started_at,
            "ended_at": ended_at,
        }
        rows = [
            {
                **window,
                "component": component,
                **{k: v for k, v in to_json(reading).items() if k in ledger_table.c},
                **self._carbon(component, reading, moment),
            }
            for component, reading in readings.items()
        ]
        if self.known is not None:
            self.known.charged(rows)

        def charge(connection: sa.Connection) -> None:
            if moment is None:
                connection.execute(sa.insert(ledger_table), rows)
                return
            for row, reading in zip(rows, readings.values(), strict=True):
                self._insert(connection, row, reading, moment)

        # One worker is in one window at a time.
        written = sa.select(ledger_table.c.entry_id).where(
            *(
                ledger_table.c[name].is_(None) if value is None else ledger_table.c[name] == value
                for name, value in window.items()
            )
        )
        with self._unmerged if number is None else nullcontext():
            self.storage.write(charge, done=lambda connection: connection.scalar(written))

    def _insert(
        self, connection: sa.Connection, row: dict[str, Any], reading: Reading, moment: Moment
    ) -> None:
        """Writes an entry, and what its electricity was."""
        entry_id = ledger_table.c.entry_id
        made = connection.execute(sa.insert(ledger_table).returning(entry_id).values(row))
        waiting = row["phase"] == WAITING
        unpaused = 0.0 if waiting else self._unpaused_kg(row["component"], reading, moment)
        connection.execute(
            sa.insert(moments_table).values(
                entry_id=made.scalar_one(),
                study_id=self.study_id,
                basis=moment.basis,
                unpaused_co2_kg=unpaused,
            )
        )

    def merge(self, number: int | None) -> None:
        """Makes one entry of all pieces of a phase and component that this run has written.

        Long windows are written piece by piece, so that a kill loses little; once their trial is
        over the pieces say nothing more. Sums stay what they are. Pieces stay apart where their
        electricity differs and where a pause lies between them; those that belong to no trial, for
        which the search goes on, by the minute.

        Args:
            number: The trial that is over; ``None`` for what belongs to none.
        """
        with self._unmerged if number is None else nullcontext():
            self._merge(number)

    def _merge(self, number: int | None) -> None:
        c, m = ledger_table.c, moments_table.c
        mine = (c.study_id == self.study_id, c.run_id == self.run_id, c.number == number)
        query = (
            sa.select(ledger_table, m.entry_id.label("moment"), m.basis, m.unpaused_co2_kg)
            .select_from(ledger_table.outerjoin(moments_table, m.entry_id == c.entry_id))
            .where(*mine)
            .order_by(c.entry_id)
        )
        # Nobody else writes what this run has spent on this trial.
        pauses = self._pauses(number)
        groups: dict[tuple[Any, ...], list[sa.Row[Any]]] = defaultdict(list)
        for row in self.storage.rows(query):
            past = sum(begun <= row.started_at for begun in pauses)
            minute = None if number is not None else row.started_at // MERGED_SECONDS
            same = (row.worker, row.phase, row.component, row.kind, row.source)
            groups[(*same, row.g_per_kwh, row.basis, past, minute)].append(row)
        several = [pieces for pieces in groups.values() if len(pieces) > 1]

        def merged(connection: sa.Connection) -> None:
            for pieces in several:
                _merge(connection, pieces)

        if several:  # made again it comes to the same: sums are of what was read
            self.storage.write(merged)

    def _pauses(self, number: int | None) -> list[float]:
        """When this trial's pauses began.

        Not when they ended, which a clock that was set meanwhile tells otherwise than the entries.
        """
        if self.moments is None or number is None:
            return []
        p = pauses_table.c
        query = sa.select(p.started_at).where(p.study_id == self.study_id, p.number == number)
        return [started_at for (started_at,) in self.storage.rows(query)]

    def settle(self, cost: Charged) -> None:
        """Writes a window that was to be charged later, to no trial."""
        self.charge(
            cost.phase,
            cost.readings,
            number=None,
            started_at=cost.started_at,
            ended_at=cost.ended_at,
        )

    def _carbon(
        self, component: Component, reading: Reading, moment: Moment | None
    ) -> dict[str, float | None]:
        if self.carbon is None or reading.kwh is None:
            return {"co2_kg": None, "g_per_kwh": None}
        told = None if moment is None else moment.g_per_kwh
        grams = self.carbon.intensity.g_per_kwh if told is None else told
        hours = self.carbon.busy_hours(component, reading)
        return {
            "co2_kg": self.carbon.co2_kg(reading.kwh, hours, g_per_kwh=grams),
            "g_per_kwh": grams,
        }

    def _unpaused_kg(self, component: Component, reading: Reading, moment: Moment) -> float | None:
        """What the entry would have emitted without pauses; what a pause itself took is nothing."""
        if self.carbon is None or reading.kwh is None:
            return None
        hours = self.carbon.busy_hours(component, reading)
        # Where nobody tells, nothing was saved.
        grams = moment.unpaused_g_per_kwh
        grams = moment.g_per_kwh if grams is None else grams
        return moment.worked_share * self.carbon.co2_kg(reading.kwh, hours, g_per_kwh=grams)


def _merge(connection: sa.Connection, pieces: Sequence[sa.Row[Any]]) -> None:
    """Adds the later pieces to the first, and removes them."""
    first, *others = pieces
    ids = [piece.entry_id for piece in others]
    c, m = ledger_table.c, moments_table.c

    def added(name: str) -> float | None:
        known = [value for piece in pieces if (value := getattr(piece, name)) is not None]
        return sum(known) if known else None

    sums = ("joules", "low_joules", "high_joules", "co2_kg", "cpu_seconds", "wall_seconds")
    connection.execute(
        sa.update(ledger_table)
        .where(c.entry_id == first.entry_id)
        .values(
            **{name: added(name) for name in sums},
            flags=sorted({flag for piece in pieces for flag in piece.flags}),
            started_at=min(piece.started_at for piece in pieces),
            ended_at=max(piece.ended_at for piece in pieces),
        )
    )
    if first.moment is not None:
        told = [p.unpaused_co2_kg for p in pieces if p.unpaused_co2_kg is not None]
        # Where nobody told what it would have been, it is what it was.
        missed = [p.co2_kg or 0.0 for p in pieces if p.unpaused_co2_kg is None]
        unpaused = sum(told) + sum(missed) if told else None
        connection.execute(
            sa.update(moments_table)
            .where(m.entry_id == first.entry_id)
            .values(unpaused_co2_kg=unpaused)
        )
        connection.execute(sa.delete(moments_table).where(m.entry_id.in_(ids)))
    connection.execute(sa.delete(ledger_table).where(c.entry_id.in_(ids)))

"""What the search has spent, joule by joule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import sqlalchemy as sa

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.codec import to_json
from greenfront.objectives.readings import JOULES_PER_KWH, Component, Reading
from greenfront.studies.store.runs import Runs
from greenfront.studies.store.storage import Storage, ledger_table, moments_table, trials_table
from greenfront.studies.store.trials import WITHOUT_RESULT

__all__ = [
    "WAITING",
    "Basis",
    "Charged",
    "Ledger",
    "LedgerWriter",
    "Moment",
    "Moments",
    "Spent",
]

WAITING = "waiting"
"""Phase of what an evaluator draws while the search holds it: no trial's, but the search's."""

Basis = Literal["trace", "live", "estimated", "average"]
"""Who tells an entry's intensity: the study's trace, a live service, the same service's forecast or
estimate, or the study's average, where none of them covers the entry's time."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Energy and carbon of a part of the search.

    Attributes:
        kwh: Best estimate; entries without a reading are not in it but in ``unmetered``.
        low_kwh: Lower end.
        high_kwh: Upper end.
        co2_kg: ``None`` where no carbon model was given.
        cpu_seconds: CPU time.
        wall_seconds: Length of the windows, which may overlap.
        entries: Number of ledger entries.
        unmetered: Entries for which no instrument could tell.
    """

    kwh: float
    low_kwh: float
    high_kwh: float
    co2_kg: float | None
    cpu_seconds: float
    wall_seconds: float
    entries: int
    unmetered: int

    @property
    def unknown(self) -> bool:
        """Whether no instrument could tell anything of it: no energy is no reading of 0."""
        return 0 < self.entries == self.unmetered

    @property
    def shown_kwh(self) -> tuple[float | None, float | None, float | None]:
        """Best estimate, lower and upper end, to be shown: ``None`` where they are unknown."""
        return (None, None, None) if self.unknown else (self.kwh, self.low_kwh, self.high_kwh)

    def to_json(self) -> dict[str, Any]:
        """Returns plain values that ``json.dumps`` takes; unknown energy is ``None``."""
        kwh, low_kwh, high_kwh = self.shown_kwh
        return {**asdict(self), "kwh": kwh, "low_kwh": low_kwh, "high_kwh": high_kwh}


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


class Ledger:
    """What a study has spent, and on what.

    Args:
        storage: The database.
        study_id: Optuna's number of the study.
    """

    def __init__(self, storage: Storage, study_id: int) -> None:
        self.storage = storage
        self.study_id = study_id

    def writer(
        self, run_id: str, carbon: CarbonModel | None, moments: Moments | None = None
    ) -> LedgerWriter:
        """What charges energy on behalf of one run; see :class:`LedgerWriter`."""
        return LedgerWriter(self.storage, self.study_id, run_id, carbon, moments)

    def total(self) -> Spent:
        """The whole study: every trial, finished or not, and the search itself."""
        query = sa.select(*_sums()).where(ledger_table.c.study_id == self.study_id)
        with self.storage.reading() as connection:
            return _spent(tuple(connection.execute(query).one()))

    def by(self, what: str) -> dict[str, Spent]:
        """The study's spending in parts that add up to the whole.

        Args:
            what: ``"phase"``, ``"component"``, ``"kind"``, ``"run"``, ``"worker"`` (of a run; what
                belongs to none is ``"no worker"``), ``"trial"`` or ``"state"``: that of the trial;
                attempts whose run was interrupted are ``"interrupted"`` and what belongs to no
                trial is ``"search"``.

        Returns:
            From part to spending, the largest first.
        """
        ledger, trials = ledger_table.c, trials_table.c
        numbers = sa.func.coalesce(sa.cast(ledger.number, sa.String), "search")
        dead = trials.run_id.not_in(Runs(self.storage, self.study_id).living())
        state = sa.case(
            (ledger.number.is_(None), "search"),
            (trials.state.is_(None) | (trials.state == "requeued"), "interrupted"),
            ((trials.state == "running") & dead, "interrupted"),
            else_=trials.state,
        )
        worker = sa.case(
            (ledger.worker.is_(None), "no worker"),
            else_=ledger.run_id + " worker " + sa.cast(ledger.worker, sa.String),
        )
        part = {
            "phase": ledger.phase,
            "component": ledger.component,
            "kind": ledger.kind,
            "run": ledger.run_id,
            "worker": worker,
            "trial": numbers,
            "state": state,
        }[what]
        joined = ledger_table.outerjoin(
            trials_table,
            (trials.study_id == ledger.study_id) & (trials.number == ledger.number),
        )
        query = (
            sa.select(part, *_sums())
            .select_from(joined if what == "state" else ledger_table)
            .where(ledger.study_id == self.study_id)
            .group_by(part)
        )
        with self.storage.reading() as connection:
            parts = {str(row[0]): _spent(tuple(row[1:])) for row in connection.execute(query)}
        return dict(sorted(parts.items(), key=lambda item: -item[1].kwh))

    def wasted_kwh(self) -> float:
        """What trials without a result have cost: failed, infeasible, stopped, interrupted."""
        states = self.by("state")
        lost = (*WITHOUT_RESULT, "interrupted")
        return sum(states[state].kwh for state in lost if state in states)


class LedgerWriter:
    """Writes into the ledger of one study, on behalf of one run.

    Args:
        storage: The database.
        study_id: Optuna's number of the study.
        run_id: The run that spends.
        carbon: Turns energy into CO₂; ``None`` leaves CO₂ empty.
        moments: Tells the intensity of each entry's time; without it the carbon model's counts.
    """

    def __init__(
        self,
        storage: Storage,
        study_id: int,
        run_id: str,
        carbon: CarbonModel | None,
        moments: Moments | None = None,
    ) -> None:
        self.storage = storage
        self.study_id = study_id
        self.run_id = run_id
        self.carbon = carbon
        self.moments = moments

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
        rows = [
            {
                "study_id": self.study_id,
                "run_id": self.run_id,
                "worker": worker,
                "number": number,
                "phase": phase,
                "component": component,
                **{
                    name: value
                    for name, value in to_json(reading).items()
                    if name in ledger_table.c
                },
                **self._carbon(component, reading, moment),
                "started_at": started_at,
                "ended_at": ended_at,
            }
            for component, reading in readings.items()
        ]
        with self.storage.writing() as connection:
            if moment is None:
                connection.execute(sa.insert(ledger_table), rows)
                return
            entry = ledger_table.c.entry_id
            for row, (component, reading) in zip(rows, readings.items(), strict=True):
                made = connection.execute(sa.insert(ledger_table).returning(entry).values(row))
                connection.execute(
                    sa.insert(moments_table).values(
                        entry_id=made.scalar_one(),
                        study_id=self.study_id,
                        basis=moment.basis,
                        unpaused_co2_kg=0.0
                        if phase == WAITING
                        else self._unpaused_kg(component, reading, moment),
                    )
                )

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


def _columns(reading: Reading) -> dict[str, Any]:
    return {name: value for name, value in to_json(reading).items() if name in ledger_table.c}


def _sums() -> list[sa.ColumnElement[Any]]:
    c = ledger_table.c
    return [
        sa.func.coalesce(sa.func.sum(c.joules), 0.0),
        sa.func.coalesce(sa.func.sum(c.low_joules), 0.0),
        sa.func.coalesce(sa.func.sum(c.high_joules), 0.0),
        sa.func.sum(c.co2_kg),
        # Every component's entry of a window carries its seconds: once is enough.
        *(
            sa.func.coalesce(sa.func.sum(sa.case((c.component == "cpu", seconds), else_=0.0)), 0.0)
            for seconds in (c.cpu_seconds, c.wall_seconds)
        ),
        sa.func.count(),
        sa.func.count() - sa.func.count(c.joules),
    ]


def _spent(row: tuple[Any, ...]) -> Spent:
    joules, low, high, co2_kg, cpu_seconds, wall_seconds, entries, unmetered = row
    return Spent(
        joules / JOULES_PER_KWH,
        low / JOULES_PER_KWH,
        high / JOULES_PER_KWH,
        co2_kg,
        cpu_seconds,
        wall_seconds,
        entries,
        unmetered,
    )

"""What the search has spent, joule by joule."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from greenfront.objectives.readings import JOULES_PER_KWH
from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.runs import Runs
from greenfront.studies.store.tables import ledger_table, trials_table
from greenfront.studies.store.trials import WITHOUT_RESULT

if TYPE_CHECKING:
    from greenfront.objectives.carbon.footprint import CarbonModel
    from greenfront.studies.store.ledger_writer import LedgerWriter, Moments
    from greenfront.studies.store.rescue import Known

__all__ = ["PACKAGE", "Ledger", "Spent"]

PACKAGE = "package"
"""The phase of an export, which is no part of the search: what was used without one would be
exported, too."""


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


class Ledger(StudyPart):
    """What a study has spent, and on what."""

    def writer(
        self,
        run_id: str,
        carbon: CarbonModel | None,
        moments: Moments | None = None,
        known: Known | None = None,
    ) -> LedgerWriter:
        """What charges energy on behalf of one run; see :class:`LedgerWriter`."""
        from greenfront.studies.store.ledger_writer import LedgerWriter

        return LedgerWriter(self.storage, self.study_id, run_id, carbon, moments, known)

    def total(self) -> Spent:
        """The whole study: every trial, finished or not, the search itself, and exports."""
        return self._sum()

    def of_search(self) -> Spent:
        """All that was spent to find its models: the whole study but exports of them."""
        return self._sum(ledger_table.c.phase != PACKAGE)

    def of_phase(self, phase: str) -> Spent:
        """What one phase has taken in all."""
        return self._sum(ledger_table.c.phase == phase)

    def _sum(self, *which: sa.ColumnElement[bool]) -> Spent:
        query = sa.select(*_sums()).where(ledger_table.c.study_id == self.study_id, *which)
        return _spent(tuple(self.storage.rows(query)[0]))

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
        rows = self.storage.rows(query)
        parts = {str(row[0]): _spent(tuple(row[1:])) for row in rows}
        return dict(sorted(parts.items(), key=lambda item: -item[1].kwh))

    def wasted_kwh(self) -> float:
        """What trials without a result have cost: failed, infeasible, stopped, interrupted."""
        states = self.by("state")
        lost = (*WITHOUT_RESULT, "interrupted")
        return sum(states[state].kwh for state in lost if state in states)


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

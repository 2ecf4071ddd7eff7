"""The electricity that each trial ran on, over time."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.readings import JOULES_PER_KWH
from greenfront.studies.store.study import Study
from greenfront.studies.store.tables import ledger_table

__all__ = ["TrialElectricity", "electricity"]


@dataclass(frozen=True, slots=True)
class TrialElectricity:
    """One trial's share of it.

    Attributes:
        number: Of the trial.
        started_at: By the grid's time, in seconds since 1970.
        ended_at: The same.
        g_per_kwh: Mean of the intensities at which its energy was charged, weighted by energy.
        kwh: That energy.
    """

    number: int
    started_at: float
    ended_at: float
    g_per_kwh: float
    kwh: float


def electricity(study: Study, clock: Clock) -> list[TrialElectricity]:
    """What the ledger knows, by begin; trials whose intensity or energy is unknown are left out.

    Args:
        study: Any study.
        clock: The grid's time in it.
    """
    entry = ledger_table.c
    query = (
        sa.select(
            entry.number,
            sa.func.min(entry.started_at),
            sa.func.max(entry.ended_at),
            sa.func.sum(entry.joules * entry.g_per_kwh),
            sa.func.sum(entry.joules),
        )
        .where(
            entry.study_id == study.study_id,
            entry.number.is_not(None),
            entry.g_per_kwh.is_not(None),
            entry.joules > 0,
        )
        .group_by(entry.number)
        .order_by(sa.func.min(entry.started_at), entry.number)
    )
    rows = study.storage.rows(query)
    return [
        TrialElectricity(
            number, clock.at(start), clock.at(end), grams / joules, joules / JOULES_PER_KWH
        )
        for number, start, end, grams, joules in rows
    ]

"""Further measurements of finished trials: stored, and taken together with the first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from greenfront.objectives.outcome import Batched, Outcome, Repeat
from greenfront.objectives.readings import Reading
from greenfront.studies.store.storage import Storage, repeats_table
from greenfront.studies.store.trials import TrialRow

__all__ = ["Repeats", "inferences", "settled"]


class Repeats:
    """The repeats of one study; safe for any number of runs at once."""

    def __init__(self, storage: Storage, study_id: int) -> None:
        self.storage = storage
        self.study_id = study_id

    def add(self, run_id: str, key: str, position: int, repeat: Repeat) -> bool:
        """Keeps one measurement.

        Args:
            run_id: Who measured.
            key: Identity of the candidate.
            position: Which repeat it is, from 1.
            repeat: What was measured.

        Returns:
            Whether it was the first in this position: another run may have been quicker.
        """
        row = {
            "study_id": self.study_id,
            "key": key,
            "position": position,
            "run_id": run_id,
            "detail": repeat.to_json(),
            "measured_at": time.time(),
        }
        try:
            with self.storage.writing() as connection:
                connection.execute(sa.insert(repeats_table), [row])
        except sa.exc.IntegrityError:
            return False
        return True

    def all(self) -> dict[str, tuple[Repeat, ...]]:
        """From a candidate's key to its repeats, in their order."""
        c = repeats_table.c
        query = (
            sa.select(c.key, c.detail)
            .where(c.study_id == self.study_id)
            .order_by(c.key, c.position)
        )
        found: dict[str, tuple[Repeat, ...]] = {}
        with self.storage.reading() as connection:
            for key, detail in connection.execute(query):
                found[key] = (*found.get(key, ()), Repeat.from_json(detail))
        return found


def inferences(
    rows: Sequence[TrialRow], repeats: Mapping[str, Sequence[Repeat]]
) -> dict[str, tuple[Reading, ...]]:
    """From a candidate's key to all measurements of a prediction, the trial's own first.

    Args:
        rows: Trials as they were stored.
        repeats: Further measurements, by candidate.
    """
    return {
        row.key: (
            Outcome.from_json(row.detail).inference,
            *(repeat.inference for repeat in repeats.get(row.key, ())),
        )
        for row in rows
        if row.values is not None and row.detail is not None
    }


def settled(outcome: Outcome, repeats: Sequence[Repeat]) -> Outcome:
    """A trial's outcome with the medians of all measurements of its file.

    The accuracy is that of the repeats, which judge on the whole validation split. What making
    the model cost was measured once and stays.

    Args:
        outcome: Of the trial.
        repeats: Further measurements; none leave it as it is.
    """
    if not repeats:
        return outcome
    return replace(
        outcome,
        accuracy=statistics.median(repeat.accuracy for repeat in repeats),
        inference=_median([outcome.inference, *(repeat.inference for repeat in repeats)]),
        latency_seconds=statistics.median(
            [outcome.latency_seconds, *(repeat.latency_seconds for repeat in repeats)]
        ),
        batched=_batched([repeat.batched for repeat in repeats if repeat.batched is not None]),
        measurements=1 + len(repeats),
    )


def _batched(measured: Sequence[Batched]) -> Batched | None:
    if not measured:
        return None
    return Batched(
        measured[0].batch,
        _median([one.inference for one in measured]),
        statistics.median(one.latency_seconds for one in measured),
    )


def _median(readings: Sequence[Reading]) -> Reading:
    """Number by number; unavailable if any is: a median of what is left would be another's."""
    parts: dict[str, Any] = {
        name: statistics.median(getattr(reading, name) for reading in readings)
        for name in ("cpu_seconds", "wall_seconds")
    }
    worst = next((r for r in readings if r.joules is None), readings[0])
    for name in ("joules", "low_joules", "high_joules"):
        values = [getattr(reading, name) for reading in readings]
        known = worst.joules is not None
        parts[name] = statistics.median(values) if known else None
    flags = tuple(sorted({flag for reading in readings for flag in reading.flags}))
    return replace(worst, flags=flags, **parts)

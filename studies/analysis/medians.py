"""Further measurements of a finished trial, taken together with its first."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from greenfront.objectives.outcome import Batched, Outcome, Repeat
from greenfront.objectives.readings import Reading
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["inferences", "settled"]


def inferences(
    trials: Sequence[NetworkTrial], repeats: Mapping[str, Sequence[Repeat]]
) -> dict[str, tuple[Reading, ...]]:
    """From a candidate's key to all measurements of a prediction, the trial's own first.

    Args:
        trials: As they were stored.
        repeats: Further measurements, by candidate.
    """
    return {
        trial.key: (
            trial.outcome.inference,
            *(repeat.inference for repeat in repeats.get(trial.key, ())),
        )
        for trial in trials
        if trial.values is not None and trial.outcome is not None
    }


def settled(outcome: Outcome, repeats: Sequence[Repeat]) -> Outcome:
    """A trial's outcome with the medians of all measurements of its file.

    The score is that of the repeats, which judge on the whole validation split. What making
    the model cost was measured once and stays.

    Args:
        outcome: Of the trial.
        repeats: Further measurements; none leave it as it is.
    """
    if not repeats:
        return outcome
    return replace(
        outcome,
        score=statistics.median(repeat.score for repeat in repeats),
        resampled=repeats[0].resampled,
        decisions=repeats[0].decisions or outcome.decisions,
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

"""Which trainings a search has stopped between two epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from greenfront.objectives.learning_curve import AFTER_EPOCH
from greenfront.studies.store.trials import NetworkTrial

if TYPE_CHECKING:
    from greenfront.studies.analysis.ranked import RankedStudy

__all__ = ["early_stops", "early_stops_lines"]


def early_stops(trials: Sequence[NetworkTrial]) -> list[NetworkTrial]:
    """Those whose training was stopped since nothing that could come of it would have paid."""
    return [
        row
        for row in trials
        if row.state == "stopped" and (row.reason or "").startswith(AFTER_EPOCH)
    ]


def early_stops_lines(study: RankedStudy) -> list[str]:
    """The same in a sentence; none where no training was stopped."""
    numbers = [str(row.number) for row in early_stops(study.trials)]
    if not numbers:
        return []
    one = len(numbers) == 1
    what = f"The training of trial {numbers[0]} was" if one else f"{len(numbers)} trainings were"
    which = "" if one else f" (trials {', '.join(numbers)})"
    return [
        f"{what} stopped between two epochs{which}: a finished trial was better than what could "
        "still come of it; [search] stop_hopeless = false trains on."
    ]

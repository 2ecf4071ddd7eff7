"""What each family of models can do here: the best of each, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView

__all__ = ["FamilyRecord", "families"]


@dataclass(frozen=True, slots=True)
class FamilyRecord:
    """One family.

    Attributes:
        family: Its name.
        trials: Of it that have finished.
        greenest: Its highest Green Score among the trials that are accurate enough.
        most_accurate: Its best score; of several the one of least energy.
    """

    family: str
    trials: int
    greenest: ScoredTrial | None
    most_accurate: ScoredTrial


def families(view: StudyView) -> list[FamilyRecord]:
    """The families of the finished trials: accurate enough first, the greenest first."""
    judged = {row.trial: row for row in (*view.complete, *view.front.rows)}
    groups: dict[str, list[ScoredTrial]] = {}
    for row in judged.values():
        if row.candidate.stands_alone:  # what is joined is of several families
            groups.setdefault(row.candidate.architecture.family, []).append(row)
    records = [
        FamilyRecord(
            family,
            len(rows),
            max((r for r in rows if r.eligible), key=lambda r: r.green_score, default=None),
            max(rows, key=lambda r: (view.metric.gain(r.score), -r.energy_kwh)),
        )
        for family, rows in groups.items()
    ]

    def order(record: FamilyRecord) -> tuple[bool, float, str]:
        shown = record.greenest or record.most_accurate
        return record.greenest is None, -shown.green_score, record.family

    return sorted(records, key=order)

"""Learning curves of a study's complete trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from greenfront.objectives.learning_curve import LearningCurve
from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.tables import trials_table

__all__ = ["Curves", "TrialCurve"]


@dataclass(frozen=True, slots=True)
class TrialCurve:
    """The training of one complete trial.

    Attributes:
        slot: Of the trial.
        training: Identity of the training, which trials may share.
        curve: Of the training.
        score: Of the trial, in the unit of the study's metric.
    """

    slot: int
    training: str
    curve: LearningCurve
    score: float


class Curves(StudyPart):
    """Reads the learning curves of one study."""

    def of(self, slots: Sequence[int]) -> list[TrialCurve]:
        """Those of some trials, without those that have none: fitted, of Python, or older."""
        from greenfront.spaces.candidate import Candidate

        c = trials_table.c
        query = sa.select(c.slot, c.choice, c["values"], c.detail["curve"]).where(
            c.study_id == self.study_id, c.slot.in_(slots), c.state == "complete"
        )
        found = []
        for slot, choice, values, qualities in self.storage.rows(query):
            if not qualities:
                continue
            candidate = Candidate.from_json(choice)
            curve = LearningCurve(tuple(qualities), candidate.training.epochs)
            found.append(TrialCurve(slot, candidate.training_key or "", curve, values[0]))
        return found

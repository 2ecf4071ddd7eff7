"""Stops a training between two epochs when no accuracy that it can still reach would pay."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.context import TrialContext
from greenfront.objectives.learning_curve import LearningCurve, least_error, pace
from greenfront.objectives.metrics import Metric
from greenfront.objectives.readings import Reading
from greenfront.objectives.scores import training_co2_kg
from greenfront.search.archive import Archive
from greenfront.studies.store.curves import Curves

__all__ = ["Hopeless", "Paces"]


class Paces:
    """Of a study's finished trainings, the quickest of those that share one; thread-safe.

    Args:
        curves: Of the study.
        archive: Knows which trials are complete.
        ideal: A perfect value of the first objective; ``None``: no curve says anything.
    """

    def __init__(self, curves: Curves, archive: Archive, ideal: float | None) -> None:
        self._curves = curves
        self._archive = archive
        self._ideal = ideal
        self._lock = threading.Lock()
        self._seen: set[int] = set()
        self._paces: dict[str, float] = {}

    def all(self) -> Sequence[float]:
        """One a training, as of the archive's last refresh."""
        if self._ideal is None:
            return ()
        with self._lock:
            new = self._archive.complete_slots() - self._seen
            if new:
                for found in self._curves.of(sorted(new)):
                    error = abs(self._ideal - found.score)
                    known = self._paces.get(found.training, float("inf"))
                    self._paces[found.training] = min(known, pace(found.curve, error))
                self._seen |= new
            return list(self._paces.values())


@dataclass(frozen=True, slots=True)
class Hopeless:
    """Judges the trainings of one study by the curves of those that are finished.

    Attributes:
        metric: Of the study.
        carbon: Of the study.
        protected: Trainings that are never stopped: by those of baselines others are measured,
            and students learn from one of them.
    """

    metric: Metric
    carbon: CarbonModel
    protected: frozenset[str | None]

    def verdict(
        self,
        training: str | None,
        curve: LearningCurve,
        least_kwh: float,
        spent: Callable[[], Reading | None],
        context: TrialContext,
    ) -> str | None:
        """Why a training cannot pay any more; ``None`` where it may.

        It is stopped where a finished trial dominates the best that can come of it: the score that
        :func:`least_error` leaves it, for what it has spent so far and the least that its
        predictions cost.

        Args:
            training: Its identity.
            curve: As far as it has come.
            least_kwh: Energy of the stated predictions, at least.
            spent: Reads what the training has cost so far.
            context: Of its trial.
        """
        if training in self.protected:
            return None
        error = least_error(curve, context.paces())
        if error is None:
            return None
        score = self.metric.perfect + (-error if self.metric.maximise else error)
        if context.dominated((score, float("inf"), float("inf"))) is None:
            return None  # more accurate than all others: whatever it costs
        reading = spent()
        kwh, co2_kg = least_kwh, self.carbon.co2_kg(least_kwh)
        if reading is not None:
            kwh += reading.kwh or 0.0
            co2_kg += training_co2_kg(reading, self.carbon) or 0.0
        return context.dominated((score, kwh, co2_kg))

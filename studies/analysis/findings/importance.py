"""Which knobs mattered in a search: a forest that foresees results from settings.

Not Optuna's own importance (PED-ANOVA in Optuna 5, shown by the dashboard): that says what the best
trials have in common and not how sure it is. A forest tells how much it foresees of trials that it
has not seen, for scores as they are shown, medians included. A knob that a family does not have is
a value of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenfront.spaces.architectures.registry import is_fitted
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.labels import flat_settings

__all__ = ["FEWEST_TRIALS", "Importance", "Target", "knob_importance"]

FEWEST_TRIALS = 12
"""Of fewer networks a forest learns nothing worth telling."""

TREES = 40
MOST_SAMPLES = 1000
"""That each tree is grown on."""

ABSENT = -1.0

TELLING = 0.1
"""A forest that foresees less of the variance says nothing of knobs."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is foreseen, and how much of it each knob explains.

    Attributes:
        name: ``"score"`` or ``"energy"`` (the logarithm of the whole energy).
        shares: Of the forest's mean decrease in variance, by knob; they add up to 1.
        explained: R² on the trials that a tree has not seen (out of bag); where it is little,
            ``shares`` mean nothing.
    """

    name: str
    shares: dict[str, float]
    explained: float


@dataclass(frozen=True, slots=True)
class Importance:
    """Importance of the knobs.

    Attributes:
        trials: Networks that the forests have learnt from.
        targets: What was foreseen.
    """

    trials: int
    targets: tuple[Target, ...]

    @property
    def telling(self) -> tuple[Target, ...]:
        """Those whose forest foresees enough to be told."""
        return tuple(target for target in self.targets if target.explained >= TELLING)


def knob_importance(view: StudyView) -> Importance | None:
    """Grows a forest on the finished networks for the score and one for the energy.

    The importance of a knob is its share of the mean decrease in variance (Breiman et al.,
    Classification and Regression Trees, 1984; scikit-learn's ``feature_importances_``).

    Returns:
        ``None`` with fewer than :data:`FEWEST_TRIALS` networks, or where nothing was varied.
    """
    rows = [row for row in view.complete if not is_fitted(row.candidate.architecture.family)]
    if len(rows) < FEWEST_TRIALS:
        return None
    names, table = _table(rows)
    if not names:
        return None
    foreseen = {
        "score": np.array([row.score for row in rows]),
        "energy": np.log([max(row.energy_kwh, 1e-30) for row in rows]),
    }
    targets = [_target(name, names, table, values) for name, values in foreseen.items()]
    return Importance(len(rows), tuple(each for each in targets if each is not None))


def _target(
    name: str, names: Sequence[str], table: NDArray[np.float64], values: NDArray[np.float64]
) -> Target | None:
    from sklearn.ensemble import RandomForestRegressor

    if np.ptp(values) == 0:
        return None
    forest = RandomForestRegressor(
        n_estimators=TREES,
        max_samples=min(MOST_SAMPLES, len(values)),
        oob_score=True,
        random_state=0,
    ).fit(table, values)
    shares = dict(zip(names, forest.feature_importances_.tolist(), strict=True))
    ordered = dict(sorted(shares.items(), key=lambda item: -item[1]))
    return Target(name, ordered, float(forest.oob_score_))


def _table(rows: Sequence[ScoredTrial]) -> tuple[list[str], NDArray[np.float64]]:
    """The settings that differ, as numbers ``[trials, knobs]``."""
    flat = [flat_settings(row.candidate.to_json()) for row in rows]
    names: list[str] = []
    columns: list[list[float]] = []
    for name in dict.fromkeys(name for settings in flat for name in settings):
        values = [settings.get(name) for settings in flat]
        if len(set(map(repr, values))) > 1:
            names.append(name)
            columns.append(_column(values))
    return names, np.array(columns, dtype=np.float64).T


def _column(values: Sequence[Any]) -> list[float]:
    """Numbers as they are; of anything else the place in a list of all."""
    if all(value is None or isinstance(value, (int, float)) for value in values):
        return [ABSENT if value is None else float(value) for value in values]
    places = sorted(set(map(str, values)))
    return [ABSENT if value is None else float(places.index(str(value))) for value in values]

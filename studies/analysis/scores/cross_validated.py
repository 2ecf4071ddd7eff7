"""Scores over the folds of a cross-validation, and how those of one split compare with them.

A score on one small split holds the luck of that split: of its examples, which are easier or harder
than others for every model, and of the training that was judged by it. A mean over folds holds less
of both.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from greenfront.objectives.outcome import FoldScore, Outcome

__all__ = ["is_cross_validated", "judged_folds", "on_folds", "on_own_split"]


def judged_folds(outcome: Outcome) -> int:
    """On how many splits it was judged: its study's own is one of them."""
    return max(1, len(outcome.folds))


def is_cross_validated(outcome: Outcome) -> bool:
    """Whether its score is a mean over folds."""
    return judged_folds(outcome) > 1


def on_own_split(outcome: Outcome) -> Outcome:
    """The same judged on the study's own validation split alone, as its file is."""
    if not outcome.folds:
        return outcome
    own = outcome.folds[0]
    return replace(outcome, score=own.score, resampled=own.resampled, folds=())


def on_folds(outcomes: Mapping[int, Outcome]) -> dict[int, Outcome]:
    """The outcomes of a study on one scale.

    Of those with the most folds the score is the mean over them. Others, where there are such, are
    *levelled*: modelled as their mean over the folds that they have, and what those with the most
    have gained or lost on average by further ones, within what any model of the study scores. One
    with no fold but its own then holds that one.

    Args:
        outcomes: As they were judged on the study's own split, by number of the trial.

    Returns:
        The same outcomes where none was cross-validated.
    """
    known = {number: outcome.folds or (_own(outcome),) for number, outcome in outcomes.items()}
    most = max(map(len, known.values()), default=1)
    if most == 1:
        return dict(outcomes)
    whole = [folds for folds in known.values() if len(folds) == most]
    shifts = {
        count: statistics.fmean(_mean(folds) - _mean(folds[:count]) for folds in whole)
        for count in range(1, most)
    }
    attained = [_mean(folds) for folds in known.values()]

    def judged(outcome: Outcome, folds: tuple[FoldScore, ...]) -> Outcome:
        shift = shifts.get(len(folds), 0.0)
        score = min(max(_mean(folds) + shift, min(attained)), max(attained))
        return replace(outcome, score=score, resampled=_resampled(folds, shift), folds=folds)

    return {number: judged(outcome, known[number]) for number, outcome in outcomes.items()}


def _own(outcome: Outcome) -> FoldScore:
    return FoldScore(outcome.score, outcome.examples or 0, outcome.resampled)


def _mean(folds: Sequence[FoldScore]) -> float:
    return statistics.fmean(fold.score for fold in folds)


def _resampled(folds: Sequence[FoldScore], shift: float) -> str | None:
    """Means over the folds' resamples, which are independent of each other.

    The same draw of two folds holds the same places, so each fold's draws are taken one later than
    those of the fold before; of two models they stay the same.
    """
    texts = [fold.resampled for fold in folds if fold.resampled is not None]
    if len(texts) < len(folds):
        return None
    import numpy as np

    from greenfront.objectives.resampling import packed, unpacked

    drawn = [np.roll(unpacked(text), place) for place, text in enumerate(texts)]
    return packed((np.mean(drawn, axis=0) + shift).astype(np.float32))

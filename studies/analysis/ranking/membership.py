"""How sure the front is: which members owe their place to noise, or to the examples at hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from greenfront.objectives.outcome import Outcome
from greenfront.objectives.pooling import log_ratios
from greenfront.objectives.readings import Reading
from greenfront.objectives.resampling import unpacked
from greenfront.objectives.scores import Scoring, maximised
from greenfront.studies.analysis.ranking.front import Front, ScoredTrial
from greenfront.studies.analysis.scores.medians import graph_of
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["residuals", "with_membership"]

DRAWS = 500
FEWEST_RESIDUALS = 6
"""Of fewer nothing can be said."""

TIE_DEVIATIONS = 2.0


def with_membership(
    front: Front,
    rows: Sequence[NetworkTrial],
    scoring: Scoring,
    readings: Mapping[str, Sequence[Reading]],
    baseline: int | None = None,
    *,
    examples: bool = True,
) -> Front:
    """Says of each member how probable it is, and whether it can be told from the one above.

    A bootstrap of residuals (Efron and Tibshirani, An Introduction to the Bootstrap, 9.4): the
    energies of each file's measurements, as ratios to their median, are pooled over the study,
    since three of one file say little of their spread. In each draw every graph's median is made
    anew of as many pooled ratios as it has measurements, the same for all trials whose files
    execute it, a trial's score is that on a resample of the
    validation examples (see :mod:`greenfront.objectives.resampling`), the same for all trials, and
    the front is found again. Trials that were stored without resamples keep their score.

    Args:
        front: Of the trials.
        rows: The same trials, rescored.
        scoring: As they were.
        readings: All measurements of an inference, by candidate; of one graph all are the same.
        baseline: Number of the untouched baseline; ``None`` while there is none.
        examples: Whether to ask what other validation examples would say, too; else measurements
            alone.

    Returns:
        The front; its rows' ``probability``, ``tied`` and ``beats_baseline`` stay unknown where
        too little was measured more than once.
    """
    details = {row.number: row.outcome for row in rows if row.outcome}
    complete = [row for row in rows if row.values is not None]
    graphs = {row.number: graph_of(details[row.number], row.key) for row in complete}
    pooled = residuals(list({graphs[row.number]: readings[row.key] for row in complete}.values()))
    if len(pooled) < FEWEST_RESIDUALS:
        return front
    lines = {
        row.number: _line(details[row.number], row.values, scoring)
        for row in complete
        if row.values
    }
    metric, signs = front.metric, np.where(np.asarray(maximised(front.metric)), -1.0, 1.0)
    drawn = {number: _scores(details[number], examples) for number in lines}
    losses = {number: signs[0] * scores for number, scores in drawn.items()}
    members = [row.trial for row in front.rows]
    contenders = _contenders(lines, losses, members, float(np.abs(pooled).max()))
    if baseline in lines:
        contenders = sorted({*contenders, baseline})
    factors = _drawn(
        pooled, [(graphs[number], details[number].measurements) for number in contenders]
    )
    fixed = np.array([lines[n][0] for n in contenders])
    slopes = np.array([lines[n][1] for n in contenders])
    vectors = fixed + slopes * factors[:, :, None]
    vectors[:, :, 0] = np.stack([drawn[n] for n in contenders], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # what emits nothing has no finite score
        scores = metric.percents(vectors[:, :, 0]) / vectors[:, :, 2]
    vectors = vectors * signs
    places = {number: index for index, number in enumerate(contenders)}
    shares = dict(zip(members, _on_front(vectors, [places[n] for n in members]), strict=True))
    result: list[ScoredTrial] = []
    for row, above in zip(front.rows, (None, *front.rows), strict=False):
        place = places[row.trial]
        tied = (
            above is not None
            and above.eligible == row.eligible
            and _tied(scores[:, places[above.trial]], scores[:, place], above, row)
        )
        beats = None
        if baseline in places:
            beats = _better(vectors[:, place], vectors[:, places[baseline]])
        result.append(replace(row, probability=shares[row.trial], tied=tied, beats_baseline=beats))
    return replace(front, rows=tuple(result))


def residuals(measurements: Sequence[Sequence[Reading]]) -> NDArray[np.float64]:
    """Logarithms of energies over the median of the same file's, widened for small groups.

    A group's spread about its own median is too small by about ``√((n − 1)/n)``.

    Args:
        measurements: Readings of one file each; those without joules say nothing.

    Returns:
        Of all files that were measured at least twice, in one vector.
    """
    pooled: list[float] = []
    for readings in measurements:
        ratios = log_ratios(readings)
        if len(ratios) >= 2:
            widened = math.sqrt(len(ratios) / (len(ratios) - 1))
            pooled += [widened * ratio for ratio in ratios]
    return np.array(pooled)


def _line(
    outcome: Outcome, once: Sequence[float], scoring: Scoring
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Objectives as ``fixed + slope · factor`` of the factor by which inference is dearer."""
    costs = scoring.predictions_costs(outcome.inference)
    if costs is None:
        raise ValueError("an outcome without energy has no objectives")
    slope = (0.0, *costs)
    return tuple(a - s for a, s in zip(once, slope, strict=True)), slope


def _scores(outcome: Outcome, examples: bool) -> NDArray[np.float64]:
    """On each draw, ``[DRAWS]``: on a resample of the examples, or always the same."""
    if examples and outcome.resampled is not None:
        # In turn: there are fewer resamples than draws of energies.
        return np.resize(unpacked(outcome.resampled), DRAWS)
    always: NDArray[np.float64] = np.full(DRAWS, outcome.score)
    return always


def _better(row: NDArray[np.float64], baseline: NDArray[np.float64]) -> float:
    """Share of draws ``[draws, objectives]`` that are lower, in the likeliest objective."""
    return float((row < baseline).mean(axis=0).max())


def _contenders(
    lines: Mapping[int, tuple[tuple[float, ...], tuple[float, ...]]],
    losses: Mapping[int, NDArray[np.float64]],
    members: Sequence[int],
    widest: float,
) -> list[int]:
    """The members, and the trials that could dominate one of them on some draw."""
    others = sorted(lines.keys() - set(members))
    if not others:
        return sorted(members)

    def costs(numbers: Sequence[int], factor: float) -> NDArray[np.float64]:
        fixed, slopes = np.array([lines[number] for number in numbers])[:, :, 1:].swapaxes(0, 1)
        dear: NDArray[np.float64] = fixed + slopes * factor
        return dear

    cheap, lost = costs(others, math.exp(-widest)), np.stack([losses[n] for n in others])
    hopeful = np.zeros(len(others), dtype=np.bool_)
    for number, cost in zip(members, costs(members, math.exp(widest)), strict=True):
        hopeful |= (cheap <= cost).all(axis=1) & (lost <= losses[number]).any(axis=1)
    return sorted([*members, *(n for n, kept in zip(others, hopeful, strict=True) if kept)])


def _drawn(pooled: NDArray[np.float64], measured: Sequence[tuple[str, int]]) -> NDArray[np.float64]:
    """Factors ``[draws, trials]``: the median of as many residuals as there are measurements.

    Args:
        pooled: Residuals.
        measured: Of each trial its graph, which has one factor, and how often that was measured.
    """
    random = np.random.default_rng(0)  # the same study always says the same
    columns: dict[str, NDArray[np.float64]] = {}
    for graph, count in measured:
        if graph not in columns:
            chosen = random.choice(pooled, size=(DRAWS, count))
            columns[graph] = np.exp(np.median(chosen, axis=1))
    return np.stack([columns[graph] for graph, _ in measured], axis=1)


def _on_front(vectors: NDArray[np.float64], members: Sequence[int]) -> list[float]:
    """For each member, the share of draws in which no trial dominates it; all are minimised."""
    kept = np.zeros(len(members))
    for draw in vectors:
        mine = draw[None, members]
        beaten = (draw[:, None] <= mine).all(-1) & (draw[:, None] < mine).any(-1)
        kept += ~beaten.any(axis=0)
    return [float(share) for share in kept / len(vectors)]


def _tied(
    scores_above: NDArray[np.float64],
    scores: NDArray[np.float64],
    above: ScoredTrial,
    row: ScoredTrial,
) -> bool:
    """Whether two scores differ by less than two standard deviations of their difference."""
    if above.green_score == row.green_score:
        return True
    if row.co2_kg <= 0 or not min(row.green_score, scores.min(), scores_above.min()) > 0:
        return False
    spread = float(np.std(np.log(scores_above) - np.log(scores)))
    return math.log(above.green_score / row.green_score) < TIE_DEVIATIONS * spread

"""What the sampler believes of every candidate: its final values, and what they cost to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenfront.search.samplers.green.curves import Curves, Scale, Series, learn
from greenfront.search.samplers.green.model import Prior
from greenfront.search.samplers.green.state import Objectives, RungState, Terrain
from greenfront.spaces.knobs import Point

__all__ = ["Beliefs", "Outlook", "Prospect", "form_beliefs"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

LEARNING = 0.45
"""By what power of the effort an error is expected to fall, before any was seen to."""
SURE = 1e-3
"""Distance of the ideal that is told apart, as a share of what was seen."""
CHEAPEST_STEP = 0.004
"""Deciding on a step counts for this share of a mean full training, where no more is known."""
FREE = 1e-3
"""Energies under this share of the median are told apart no further."""
WIDE = 3.0
"""Positive values that differ by more than this factor are modelled by their logarithm."""


@dataclass(frozen=True)
class Prospect:
    """A candidate that may be trained on, or begun.

    Attributes:
        key: Of the decoded choice.
        point: Its settings.
        x: Description.
        u: Settings in unit range.
        known: Final values as far as they are known; empty: nothing.
        done: The last finished rung, by itself or by others for it; -1 for none.
    """

    key: str
    point: Point
    x: tuple[float, ...]
    u: tuple[float, ...]
    known: Objectives = ()
    done: int = -1


@dataclass(frozen=True)
class Outlook:
    """Beliefs about ``n`` prospects.

    Attributes:
        mean: Final loss on its scale ``[n]``.
        variance: Of it, without noise ``[n]``.
        revealed: Share of the variance that is known after each rung ``[n, rungs]``; the last is 1.
        others: Mean of the other objectives' final values, on their scales ``[n, objectives - 1]``.
        doubt: Their standard deviation ``[n, objectives - 1]``; 0 where they are known.
        costs: Energy of each rung to come ``[n, rungs]``, in kWh; 0 for those done.
        done: The last finished rung ``[n]``.
    """

    mean: Array
    variance: Array
    revealed: Array
    others: Array
    doubt: Array
    costs: Array
    done: Indices


@dataclass(frozen=True)
class Beliefs:
    """Models of the loss, of the other objectives and of energy.

    Attributes:
        loss: Model of the first objective.
        scales: One for each objective.
        others: Models of the others; ``None`` where none is needed, or nothing was seen.
        energy: Model of the energy from the start to each rung (logarithms of kWh).
        deciding_kwh: Energy of deciding on a step, in kWh.
        terrain: What may be asked.
    """

    loss: Curves
    scales: tuple[Scale, ...]
    others: tuple[Curves | None, ...]
    energy: Curves
    deciding_kwh: float
    terrain: Terrain

    def outlook(self, prospects: Sequence[Prospect], *, next_only: bool = False) -> Outlook:
        """What is believed of some prospects.

        Args:
            prospects: Any, begun or not.
            next_only: Only the next rung and the last are looked at: quicker. What others reveal
                is then taken for as much as those below them do.
        """
        x, u = _columns(prospects)
        done = np.array([p.done for p in prospects], dtype=np.int64)
        last = self.terrain.rungs - 1
        rungs = list(range(last + 1))
        if next_only:
            rungs = sorted({min(rung + 1, last) for rung in set(done.tolist())} | {last})
        mean, covariance = self.loss.predict(x, u, rungs)
        variance = np.maximum(covariance[:, -1, -1], 1e-8)
        shown = covariance[:, :, -1] ** 2 / (
            np.einsum("nii->ni", covariance).clip(1e-12) + self.loss.noise()[rungs]
        )
        revealed = np.zeros((len(x), last + 1))
        revealed[:, rungs] = np.minimum(shown / variance[:, None], 0.999)
        revealed[:, -1] = 1.0
        others, doubt = self._others(prospects, x, u)
        return Outlook(
            mean=mean[:, -1],
            variance=variance,
            revealed=np.maximum.accumulate(revealed, axis=1),
            others=others,
            doubt=doubt,
            costs=self._costs(prospects, x, u, done),
            done=done,
        )

    def _others(self, prospects: Sequence[Prospect], x: Array, u: Array) -> tuple[Array, Array]:
        size = len(self.scales) - 1
        means, doubts = np.zeros((len(x), size)), np.zeros((len(x), size))
        for column, model in enumerate(self.others):
            known = np.array([_given(p.known, column + 1) for p in prospects], dtype=np.float64)
            if model is not None:
                mean, covariance = model.predict(x, u, [self.terrain.rungs - 1])
                means[:, column] = mean[:, -1]
                doubts[:, column] = np.sqrt(np.maximum(covariance[:, -1, -1], 0.0))
            sure = ~np.isnan(known)
            means[sure, column] = self.scales[column + 1].forward(known[sure])
            doubts[sure, column] = 0.0
        return means, doubts

    def _costs(self, prospects: Sequence[Prospect], x: Array, u: Array, done: Indices) -> Array:
        effort = np.array(self.terrain.effort)
        total = np.maximum.accumulate(np.exp(self.energy.mean(x, u)), axis=1)
        steps = np.diff(np.concatenate([np.zeros((len(x), 1)), total], axis=1), axis=1)
        shares = np.diff(np.concatenate([[0.0], effort]))
        steps = np.maximum(steps, 0.3 * total[:, -1:] * shares)
        for row, prospect in enumerate(prospects):
            for rung in range(prospect.done + 1, len(effort)):
                exact = self.terrain.step_kwh(prospect.point, rung)
                if exact is not None:
                    steps[row, rung] = exact
        steps += self.deciding_kwh
        ahead = np.arange(len(effort))[None] > done[:, None]
        costs: Array = np.where(ahead, steps, 0.0)
        return costs


def form_beliefs(
    terrain: Terrain, states: Sequence[RungState], counted: Sequence[bool], worst_loss: float
) -> Beliefs:
    """Learns from all candidates that have finished a rung and did not fail.

    Args:
        terrain: What may be asked.
        states: Of the candidates, in any order; at least one has finished a rung.
        counted: For each objective whether it counts; nothing is learnt of one that does not.
        worst_loss: The loss from which on nothing is gained.
    """
    begun = [s for s in states if s.losses and s.status != "failed"]
    x = np.array([s.description for s in begun], dtype=np.float64)
    u = np.array([terrain.settings(s) for s in begun], dtype=np.float64)
    effort = np.log(np.array(terrain.effort))
    flat = np.zeros(terrain.rungs)
    loss_scale = _loss_scale(terrain, begun, worst_loss)
    falling = flat if loss_scale.zero is None else -LEARNING * (effort - effort[0])
    prior = Prior.of(x.shape[1], terrain.rungs)
    smooth = Prior.of(x.shape[1], terrain.rungs, noise=0.05, own=-2.0)

    def series(rows: list[list[float | None]], scale: Scale, trend: Array) -> Series:
        return _series(begun, x, u, rows, scale, trend)

    losses = series([list(s.losses) for s in begun], loss_scale, falling)
    spent = [list(np.cumsum(s.kwh)) for s in begun]
    energy = learn(series(spent, _energy_scale(spent), effort), smooth, clip=False)
    scales: list[Scale] = [loss_scale]
    others: list[Curves | None] = []
    for column in range(1, len(counted)):
        if not counted[column]:
            scales.append(Scale())
            others.append(None)
            continue
        rows = [_measured(s, column, terrain.rungs) for s in begun]
        seen = [v for row in rows for v in row if v is not None]
        wide = bool(seen) and min(seen) > 0 and max(seen) > WIDE * min(seen)
        scale = Scale(0.0, min(seen)) if wide else Scale()
        scales.append(scale)
        trend = flat
        if wide and any(v is not None for row in rows for v in row[:-1]):
            trend = effort
        model = learn(series(rows, scale, trend), smooth, clip=False) if seen else None
        others.append(model)
    full = [sum(s.kwh) for s in begun if s.rung == terrain.rungs - 1]
    if not full:
        full = [sum(s.kwh) / terrain.effort[s.rung] for s in begun]
    return Beliefs(
        loss=learn(losses, prior, clip=True),
        scales=tuple(scales),
        others=tuple(others),
        energy=energy,
        deciding_kwh=max(CHEAPEST_STEP * float(np.mean(full)), terrain.deciding_kwh()),
        terrain=terrain,
    )


def _columns(prospects: Sequence[Prospect]) -> tuple[Array, Array]:
    x = np.array([p.x for p in prospects], dtype=np.float64)
    return x, np.array([p.u for p in prospects], dtype=np.float64)


def _given(values: Objectives, column: int) -> float:
    value = values[column] if column < len(values) else None
    return np.nan if value is None else float(value)


def _loss_scale(terrain: Terrain, begun: Sequence[RungState], worst: float) -> Scale:
    if terrain.ideal is None:
        return Scale()
    seen = max(max(s.losses) for s in begun)
    reach = (worst if np.isfinite(worst) else seen) - terrain.ideal
    return Scale(terrain.ideal, max(SURE * reach, 1e-12))


def _energy_scale(spent: Sequence[Sequence[float]]) -> Scale:
    """Logarithmic; what costs next to nothing, as a child of a trained parent, is all the same."""
    positive = [row[-1] for row in spent if row[-1] > 0]
    if not positive:
        return Scale(0.0, 1e-12)
    # A power of two: each change of the floor has all hyperparameters fitted anew.
    return Scale(0.0, 2.0 ** np.floor(np.log2(FREE * float(np.median(positive)))))


def _measured(state: RungState, column: int, rungs: int) -> list[float | None]:
    """One objective at each rung: as measured, or as known for the whole training."""
    row: list[float | None] = [None] * rungs
    known = _given(state.known, column)
    if not np.isnan(known):
        row[-1] = known
        return row
    for rung, values in enumerate(state.measured):
        value = _given(values, column)
        row[rung] = None if np.isnan(value) else value
    if state.values is not None:
        row[-1] = state.values[column]
    return row


def _series(
    begun: Sequence[RungState],
    x: Array,
    u: Array,
    rows: list[list[float | None]],
    scale: Scale,
    trend: Array,
) -> Series:
    seen = [
        (state.finished[rung] if rung < len(state.finished) else np.inf, row, rung, value)
        for row, (state, values) in enumerate(zip(begun, rows, strict=True))
        for rung, value in enumerate(values)
        if value is not None
    ]
    seen.sort(key=lambda each: each[0])  # stable: what has no time stays in its order, last
    candidate = np.array([each[1] for each in seen], dtype=np.int64)
    rung = np.array([each[2] for each in seen], dtype=np.int64)
    z = scale.forward(np.array([each[3] for each in seen], dtype=np.float64))
    return Series(x, u, candidate, rung, z, trend)

"""What the racing sampler reads and what it answers: plain data, without a storage or a clock.

The sampler is ``GreenPolicy(terrain, seed)``; its ``decide(states, decisions_made)`` answers with
a :class:`Decision`, or ``None`` while nothing is left to train. States are given in the order in
which their candidates were begun. A decision is a function of its arguments alone: asked again
after a crash it is the same, and it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from greenfront.search.samplers.green.encode import knob_vector
from greenfront.spaces.knobs import Point
from greenfront.spaces.space import SearchSpace

__all__ = ["Decision", "Objectives", "RungState", "RungStatus", "Terrain"]

RungStatus = Literal["paused", "running", "complete", "failed"]

DEAR = 0.02
"""Share of the trainings' energy from which on deciding is dear."""

Objectives = tuple[float | None, ...]
"""One number an objective, every one minimised (a maximised one with its sign turned);
``None`` where it is not known."""


@dataclass(frozen=True, slots=True)
class RungState:
    """All that the sampler knows of one candidate that was begun.

    A *rung* is an index into ``Problem.fidelities``, from 0; the last rung is the whole training.

    Attributes:
        key: Of the decoded choice; unique among the states of a search.
        point: The settings that led to it.
        description: Free numbers, as ``Problem.describe`` gives them; equally long for all
            candidates of a search.
        losses: The first objective at each finished rung, minimised, lowest rung first; its length
            is the number of finished rungs. Always finite numbers.
        kwh: Energy that each of these rungs takes beyond the one below, in kWh; as long as
            ``losses``. Whoever has paid for it: what a child of a trained parent need not pay is
            the terrain's to say.
        known: All objectives as far as they are known for the *whole* training without having
            trained it (an energy known from sizing, a size, a latency), minimised. The first is
            ``None`` as a rule.
        measured: All objectives as they stood at each finished rung, minimised; as long as
            ``losses``. Where an objective grows with training (energy of the training), the
            sampler learns from these how it ends. Empty: none were taken but the losses.
        finished: When each of these rungs finished: any number that grows over the search, such
            as the number of rungs that had finished before; as long as ``losses``. Lets the
            sampler fit its hyperparameters seldom. Empty: unknown, then it fits more often.
        values: Those of the whole training, minimised; ``None`` unless complete.
        status: ``paused``: may go on from the last finished rung; one that has finished no rung
            waits for its first. ``running``: some worker trains it to ``running_rung``.
            ``complete``: has ``values``. ``failed``: closed for good, and no teacher.
        running_rung: The rung that it is being trained to; ``None`` unless running.
        settings: What :func:`knob_vector` gives of the point, where it is kept; empty: it is not.
    """

    key: str
    point: Point
    description: tuple[float, ...]
    losses: tuple[float, ...] = ()
    kwh: tuple[float, ...] = ()
    known: Objectives = ()
    measured: tuple[Objectives, ...] = ()
    finished: tuple[int, ...] = ()
    values: tuple[float, ...] | None = None
    status: RungStatus = "paused"
    running_rung: int | None = None
    settings: tuple[float, ...] = ()

    @property
    def rung(self) -> int:
        """The last finished rung; -1 if none is."""
        return len(self.losses) - 1


@dataclass(frozen=True, slots=True)
class Decision:
    """What to train next.

    Attributes:
        key: Of the candidate; that of a state (to be resumed), or a new one.
        point: Its settings.
        rung: The rung to train it to: the one above its last finished rung, or above that which
            others have finished for it.
        price: Expected gain of the hypervolume a kWh, under the best policy of going on or
            stopping: the highest price of a kWh at which this still pays. The volume is that of
            the terrain's box. ``None`` while the sampler gathers its first points and has no
            model, and for its random share: then it says nothing about stopping.
    """

    key: str
    point: Point
    rung: int
    price: float | None


@dataclass(frozen=True)
class Terrain:
    """What the sampler may ask of the problem, all of it free: no training, no measuring.

    Attributes:
        space: The search space.
        rungs: Number of rungs; 1 for a problem of a single fidelity.
        effort: For each rung the share of the whole training that it reaches, ascending to 1; the
            first guess of how energy grows before any was seen.
        describe: Free numbers of a point, from it and from its settings in unit range (as
            :func:`knob_vector` gives them): see ``RungState.description``.
        box: Worst and best corner of the hypervolume, minimised, from the values of the complete
            candidates (minimised); the best may be ``None`` (raw volume). ``None`` while unknown.
        ideal: The best possible value of the first objective, minimised: what is modelled is the
            logarithm of the distance to it (an error rate). ``None``: it is modelled as it is.
        step_kwh: Energy in kWh of training a point from the rung below to this rung, as far as
            the problem knows it (marginal: what a trained parent has is free); ``None``: the
            sampler models it from what was spent.
        reached: The last rung, below the whole, that others have finished for a point, too, since
            they share it; -1: none.
        known: See ``RungState.known``, for points that were not begun; empty: nothing.
        deciding_kwh: Energy in kWh that a step takes of who decides on it, as far as it is metered.
        proposed: Points that are worth a look on any data, the most telling first.
        promising: Whether a point is worth a look, on any data.
        beside: Values of the complete candidates outside of the space, minimised: what they
            dominate wins nothing. They are the simplest there are: until one of the space was
            seen to have less of an objective than they, none is believed to.
    """

    space: SearchSpace[Any]
    rungs: int
    effort: tuple[float, ...]
    describe: Callable[[Point, tuple[float, ...]], Sequence[float]]
    box: Callable[
        [Sequence[tuple[float, ...]]], tuple[tuple[float, ...], tuple[float, ...] | None] | None
    ]
    ideal: float | None = None
    step_kwh: Callable[[Point, int], float | None] = lambda _point, _rung: None
    reached: Callable[[Point], int] = lambda _point: -1
    known: Callable[[Point], Objectives] = lambda _point: ()
    deciding_kwh: Callable[[], float] = lambda: 0.0
    proposed: Sequence[Point] = ()
    promising: Callable[[Point], bool] = lambda _point: True
    beside: Callable[[], Sequence[tuple[float, ...]]] = lambda: ()

    def settings(self, state: RungState) -> tuple[float, ...]:
        """What :func:`knob_vector` gives of a candidate's point."""
        return state.settings or knob_vector(self.space, state.point)

    def dearness(self, states: Sequence[RungState]) -> float:
        """What deciding has taken, in shares of what it may: it is dear above 1."""
        decided_kwh = self.deciding_kwh() * sum(len(state.losses) for state in states)
        trained_kwh = sum(sum(state.kwh) for state in states)
        return decided_kwh / (DEAR * trained_kwh) if trained_kwh else 0.0

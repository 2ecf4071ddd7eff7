"""Our racing sampler on a table: its state in memory, trainings looked up."""

from __future__ import annotations

import time

import numpy as np
from efficiency_ledger import Ledger
from efficiency_tables import Table

from greenfront.search.samplers.green.encode import knob_vector
from greenfront.search.samplers.green.policy import GreenPolicy
from greenfront.search.samplers.green.state import Objectives, RungState, Terrain
from greenfront.spaces.knobs import Point

__all__ = ["Simulation", "search_green"]


class Simulation:
    """The states of one search, grown rung by rung.

    Args:
        table: Answers.
        ledger: Is charged.

    Attributes:
        states: By key, in the order in which they were begun.
    """

    def __init__(self, table: Table, ledger: Ledger) -> None:
        self.table, self.ledger = table, ledger
        self.states: dict[str, RungState] = {}
        self.finished = 0

    def terrain(self) -> Terrain:
        """What the sampler may ask."""
        table = self.table
        return Terrain(
            space=table.space,
            rungs=len(table.epochs),
            effort=tuple(epochs / table.epochs[-1] for epochs in table.epochs),
            describe=table.describe,
            box=lambda _: (table.reference, (0.0, 0.0)),
            ideal=0.0,
            step_kwh=self.step_kwh,
        )

    def step_kwh(self, point: Point, rung: int) -> float | None:
        """Energy follows from epochs once a candidate was begun, where the table says so."""
        begun = self.table.foreseen and self.table.space.decode(point).key in self.states
        if not begun:
            return None
        return _step(self.table.curve(point), rung)

    def train(self, key: str, point: Point, rung: int) -> None:
        """Carries a decision out."""
        curve, state = self.table.curve(point), self.states.get(key)
        reached = curve[: rung + 1]
        done = 0 if state is None else len(state.losses)
        for each in range(done, rung + 1):
            self.ledger.charge(_step(curve, each))
        complete = rung == len(curve) - 1
        known: Objectives = (None, float(curve[-1, 1])) if self.table.foreseen else ()
        finished = () if state is None else state.finished
        finished += tuple(range(self.finished, self.finished + rung + 1 - done))
        self.finished += rung + 1 - done
        self.states[key] = RungState(
            key=key,
            point=point,
            description=self.table.describe(point, knob_vector(self.table.space, point)),
            losses=tuple(reached[:, 0].tolist()),
            kwh=tuple(_step(curve, each) for each in range(rung + 1)),
            known=known,
            measured=tuple((float(e), float(c)) for e, c in reached),
            finished=finished,
            values=(float(curve[-1, 0]), float(curve[-1, 1])) if complete else None,
            status="complete" if complete else "paused",
        )
        if complete:
            self.ledger.add(curve[-1])


def _step(curve: np.ndarray, rung: int) -> float:
    return float(curve[rung, 1] - (curve[rung - 1, 1] if rung else 0.0))


def search_green(simulation: Simulation, seed: int, budget: float, target: float) -> float:
    """Searches until the budget is spent or the target reached; returns CPU-ms a decision."""
    ledger = simulation.ledger
    policy = GreenPolicy(simulation.terrain(), seed)
    began, decisions = time.process_time(), 0
    while ledger.spent < budget and ledger.volume < target:
        decision = policy.decide(list(simulation.states.values()), decisions)
        if decision is None:
            break
        simulation.train(decision.key, decision.point, decision.rung)
        decisions += 1
    return 1000 * (time.process_time() - began) / max(decisions, 1)

"""What a study may cost is held to within an epoch of each worker, though others spend unseen."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field

import pytest

from greenfront.search.stopping.budget_watch import BudgetWatch
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.ledger import Spent

LOOK_SECONDS, CHARGE_SECONDS = 0.003, 0.0014
KG_AN_EPOCH = 0.5


def test_nothing_is_asked_without_a_budget() -> None:
    watch = BudgetWatch(Budget(), ledger=None, minutes=lambda: 1 / 0)  # type: ignore[arg-type]
    assert watch.reached() is None
    assert watch.reached_lately() is None
    assert not watch.meters
    assert not watch.awaits_charge(-math.inf)


@dataclass
class Simulated:
    """Processes of one worker each, whose epochs cost 1 kWh, on a clock that they move on.

    Each begins at some moment of the first second, rests at times, and then has charged all.
    """

    budget: Budget
    workers: int
    epoch_seconds: float
    seed: int
    now: float = 0.0
    charged: int = 0
    epochs: int = 0
    charges: int = 0
    looks: int = 0
    owed: list[int] = field(init=False)
    charged_at: list[float] = field(init=False)

    def total(self) -> Spent:
        self.now += LOOK_SECONDS
        self.looks += 1
        kg = KG_AN_EPOCH * self.charged
        return Spent(float(self.charged), 0.0, 0.0, kg, 0.0, 0.0, self.charges, 0)

    def run(self) -> None:
        """Until all have heard that the budget is spent; each has then charged its last epoch."""
        chance = random.Random(self.seed)
        watches = [BudgetWatch(self.budget, self, lambda: 0.0) for _ in range(self.workers)]  # type: ignore[arg-type]
        ends = {worker: chance.random() for worker in range(self.workers)}
        self.owed, self.charged_at = [0] * self.workers, list(ends.values())
        while ends:
            worker = min(ends, key=lambda each: ends[each])
            self.now = ends[worker]
            self.epochs += 1
            self.owed[worker] += 1
            if watches[worker].awaits_charge(self.charged_at[worker]):
                self.charge(worker)
            if watches[worker].reached_lately() is not None:
                self.charge(worker)
                del ends[worker]
                continue
            ends[worker] = self.now + self.epoch_seconds * (0.8 + 0.4 * chance.random())
            if chance.random() < 0.002:
                self.charge(worker)
                ends[worker] += 3 * chance.random()

    def charge(self, worker: int) -> None:
        self.now += CHARGE_SECONDS
        self.charges += 1
        self.charged += self.owed[worker]
        self.owed[worker], self.charged_at[worker] = 0, self.now


@pytest.mark.parametrize("epoch_seconds", [0.01, 0.3])
@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("what", ["kwh", "co2_kg"])
def test_it_is_overshot_by_an_epoch_a_worker(
    monkeypatch: pytest.MonkeyPatch, what: str, workers: int, epoch_seconds: float
) -> None:
    epochs = math.floor(20 * workers / epoch_seconds) + 0.5
    budget = Budget(kwh=epochs) if what == "kwh" else Budget(co2_kg=epochs * KG_AN_EPOCH)
    for seed in range(4):
        simulated = Simulated(budget, workers, epoch_seconds, seed)
        monkeypatch.setattr(time, "monotonic", lambda which=simulated: which.now)
        simulated.run()
        assert epochs < simulated.charged < epochs + workers
        if epoch_seconds < LOOK_SECONDS * 10:
            # While it is far, an epoch is told without the database.
            assert simulated.charges + simulated.looks < 0.25 * simulated.epochs

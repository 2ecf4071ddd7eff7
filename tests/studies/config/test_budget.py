from __future__ import annotations

import pytest

from greenfront.studies.config.budget import Budget
from greenfront.studies.store.ledger import Spent


def spent(kwh: float = 0.0, co2_kg: float | None = None) -> Spent:
    return Spent(kwh, kwh, 9 * kwh, co2_kg, 1.0, 1.0, 1, 0)


@pytest.mark.parametrize(
    ("budget", "cost", "minutes", "reason"),
    [
        (Budget(), spent(1e9, 1e9), 1e9, None),
        (Budget(trials=1), spent(1e9, 1e9), 1e9, None),
        (Budget(kwh=0.05), spent(0.049), 0, None),
        (Budget(kwh=0.05), spent(0.05), 0, "the energy budget of 0.05 kWh is spent"),
        (Budget(co2_kg=0.02), spent(9, 0.019), 0, None),
        (Budget(co2_kg=0.02), spent(9, None), 0, None),
        (Budget(co2_kg=0.02), spent(0, 0.021), 0, "the carbon budget of 0.02 kg CO₂ is spent"),
        (Budget(minutes=30), spent(9), 29.9, None),
        (Budget(minutes=30), spent(), 30, "the time budget of 30 minutes is spent"),
        (Budget(9, 1.0, 1.0, 1.0), spent(0.9, 0.9), 0.9, None),
        (Budget(9, 1.0, 1.0, 1.0), spent(0.9, 0.9), 1.1, "the time budget of 1 minutes is spent"),
    ],
)
def test_the_first_limit_to_be_reached_is_named(
    budget: Budget, cost: Spent, minutes: float, reason: str | None
) -> None:
    assert budget.reached(cost, minutes) == reason

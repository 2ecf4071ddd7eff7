"""Several measurements of one graph, and whether their interval holds what it says."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from greenfront.objectives.outcome import GraphReading
from greenfront.objectives.pooling import Scatter, pooled
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.metered import median_spread


def reading(
    joules: float | None, spread: float | None = None, latency: float = 1.0
) -> GraphReading:
    kind = "unavailable" if joules is None else "measured"
    inference = Reading(joules, joules, joules, kind, "counter", 0.0, 0.0)  # type: ignore[arg-type]
    return GraphReading(f"{joules}", inference, latency, spread)


def test_one_measurement_is_what_it_is() -> None:
    cost = pooled([reading(2.0, 0.03, 5.0)])
    assert (cost.inference.joules, cost.latency_seconds, cost.spread) == (2.0, 5.0, 0.03)


def test_the_median_counts() -> None:
    cost = pooled([reading(1.0, latency=3.0), reading(9.0, latency=1.0), reading(2.0, latency=2.0)])
    assert (cost.inference.joules, cost.latency_seconds) == (2.0, 2.0)


def test_an_unavailable_measurement_has_no_interval() -> None:
    cost = pooled([reading(1.0, 0.1), reading(None)])
    assert (cost.inference.joules, cost.spread) == (None, None)


def test_the_scatter_of_two_is_students() -> None:
    ratio = 1.1
    scatter = Scatter.of([[reading(1.0), reading(ratio)]])
    logs = [math.log(1.0), math.log(ratio)]
    # About their median, which for two is nearly the mean of the logarithms.
    assert scatter.deviation == pytest.approx(statistics.stdev(logs), rel=0.01)
    assert scatter.freedom == 1
    half = stats.t.ppf(0.975, 1) * scatter.deviation / math.sqrt(2)
    assert scatter.half_width(2) == pytest.approx(half)


def test_what_was_measured_once_tells_no_scatter() -> None:
    scatter = Scatter.of([[reading(1.0)], [reading(5.0)], []])
    assert scatter == Scatter(0.0, 0)
    assert scatter.half_width(1) is None
    assert pooled([reading(1.0)], scatter).spread is None


def test_what_is_known_of_others_widens_the_interval_of_one() -> None:
    scatter = Scatter(0.1, 20)
    assert pooled([reading(1.0, 0.01)], scatter).spread == pytest.approx(
        stats.t.ppf(0.975, 20) * 0.1
    )
    assert pooled([reading(1.0, 0.5)], scatter).spread == 0.5


def replayed(truth: float, between: float, within: float, rng: np.random.Generator) -> GraphReading:
    """A measurement from the counts of its blocks, at a moment of its own."""
    moment = truth * math.exp(between * rng.standard_normal())
    blocks: Sequence[float] = [moment * math.exp(within * rng.standard_normal()) for _ in range(7)]
    return reading(statistics.median(blocks), median_spread(blocks))


@pytest.mark.parametrize(("between", "within"), [(0.08, 0.02), (0.0, 0.05), (0.03, 0.03)])
def test_the_interval_holds_the_truth(between: float, within: float) -> None:
    rng = np.random.default_rng(0)
    inside = total = blocks_alone = 0
    for _ in range(150):
        truths = rng.uniform(0.5, 2.0, size=6)
        graphs = [
            [replayed(truth, between, within, rng) for _ in range(count)]
            for truth, count in zip(truths, (1, 1, 2, 2, 3, 4), strict=True)
        ]
        scatter = Scatter.of(graphs)
        for truth, readings in zip(truths, graphs, strict=True):
            cost = pooled(readings, scatter)
            assert cost.inference.joules is not None
            assert cost.spread is not None
            error = abs(math.log(cost.inference.joules / truth))
            inside += error <= cost.spread
            blocks_alone += error <= (readings[0].spread or 0.0)
            total += 1
    assert inside / total >= 0.94
    if between > 2 * within:  # what blocks of one moment say of it is not the truth
        assert blocks_alone / total < 0.7

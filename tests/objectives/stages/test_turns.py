"""Ratios of work that is measured in turns do not move with what disturbs all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from greenfront.objectives.context import StageContext, Window
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages import metered
from greenfront.objectives.stages.metered import Blocks, Measuring, Work, median_interval
from greenfront.objectives.stages.turns import in_turns

MEASURING = Measuring(block_seconds=1e-9)


class Charged(StageContext):
    """Charges what the work in a window says it takes, times a factor for each pair of windows.

    Args:
        factors: Of the machine, turn by turn; ``None``: no instrument tells.
        works: How many take turns.
    """

    def __init__(self, factors: list[float | None], works: int) -> None:
        self.taken = 0.0
        self._factors, self._works, self._windows = factors, works, 0

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Window]:
        window = Window(name)
        self.taken = 0.0
        yield window
        factor = self._factors[self._windows // self._works]
        joules = None if factor is None else factor * self.taken
        kind = "unavailable" if joules is None else "measured"
        window.readings["cpu"] = Reading(joules, joules, joules, kind, "test", 1.0, 1.0)
        self._windows += 1


def work(context: Charged, joules: float) -> Work:
    def call() -> None:
        context.taken += joules

    return Work([call], 1)


def test_a_busier_moment_comes_upon_all_of_them() -> None:
    context = Charged([1.0, 5.0, 1.0, 2.0, 9.0, 1.0, 3.0, 1.0, 1.0], 3)
    works = [work(context, joules) for joules in (2.0, 1.0, 6.0)]
    found = in_turns(works, context, phase="tune", measuring=MEASURING)
    ratios = [each.ratio for each in found if each.ratio is not None]
    for ratio, wanted in zip(ratios, (1.0, 0.5, 3.0), strict=True):
        assert (ratio.low, ratio.value, ratio.high) == pytest.approx((wanted, wanted, wanted))
    assert found[0].cost.reading.joules == pytest.approx(2)
    assert found[1].joules == pytest.approx((1.0, 5.0, 1.0, 2.0, 9.0, 1.0, 3.0, 1.0, 1.0))


def test_without_a_reading_nothing_is_said() -> None:
    context = Charged([1.0] * 8 + [None], 2)
    works = [work(context, joules) for joules in (2.0, 1.0)]
    found = in_turns(works, context, phase="tune", measuring=MEASURING)
    assert [each.ratio for each in found] == [None, None]
    few = in_turns(works, Charged([1.0] * 5, 2), phase="tune", measuring=MEASURING, rounds=5)
    assert [each.ratio for each in few] == [None, None]


def test_the_interval_of_a_median() -> None:
    assert median_interval([1.0] * 5) is None
    assert median_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == (1.0, 6.0)
    assert median_interval([float(n) for n in range(9)]) == (1.0, 7.0)


class Spinning:
    """A clock by which threads spin for a while after each call.

    Args:
        spin_seconds: How long.
    """

    def __init__(self, spin_seconds: float) -> None:
        self.now = self.cpu = self.until = 0.0
        self.disturbed = False
        self._spin_seconds = spin_seconds
        self.monotonic = self.perf_counter = lambda: self.now
        self.process_time = lambda: self.cpu

    def spinning_call(self) -> None:
        self.now += 0.001
        self.until = self.now + self._spin_seconds

    def quiet_call(self) -> None:
        self.disturbed |= self.now < self.until
        self.now += 0.001

    def sleep(self, seconds: float) -> None:
        self.cpu += min(seconds, max(0.0, self.until - self.now))
        self.now += seconds


@pytest.mark.parametrize(("seconds", "disturbed"), [(0.05, False), (1e9, True)])
def test_what_threads_spin_after_a_block_is_charged_to_no_other(
    monkeypatch: pytest.MonkeyPatch, seconds: float, disturbed: bool
) -> None:
    """Nor do threads that never rest keep a measurement from its end."""
    clock = Spinning(seconds)
    monkeypatch.setattr(metered, "time", clock)
    works = [Work([clock.spinning_call], 1, spins=True), Work([clock.quiet_call], 1)]
    in_turns(works, Charged([1.0] * 9, 2), phase="tune", measuring=MEASURING)
    assert clock.disturbed == disturbed


def test_where_threads_spin_a_block_is_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Spinning(0.0)
    monkeypatch.setattr(metered, "time", clock)
    context, measuring = Charged([1.0], 2), Measuring(block_seconds=0.1)
    quiet, spinning = (
        Blocks.of(Work([clock.quiet_call], 1, spins=s), context, phase="x", measuring=measuring)
        for s in (False, True)
    )
    assert quiet.calls == 100
    assert spinning.calls == 500

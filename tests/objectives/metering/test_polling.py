from __future__ import annotations

import pytest

from greenfront.objectives.metering.polling import watch_resolution


class Counter:
    """Moves every so often on a clock that only sleeping moves on."""

    def __init__(self, every_seconds: float) -> None:
        self.now = 0.0
        self.every_seconds = every_seconds

    def read(self) -> int:
        return int(self.now / self.every_seconds + 1e-9)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def watch(self, limit_seconds: float) -> float | None:
        return watch_resolution(
            self.read, limit_seconds, clock_seconds=lambda: self.now, sleep=self.sleep
        )


@pytest.mark.parametrize("every_seconds", [0.002, 0.02, 0.1])
def test_the_time_between_moves_is_found(every_seconds: float) -> None:
    counter = Counter(every_seconds)
    found = counter.watch(5)
    assert found == pytest.approx(every_seconds, abs=0.0006)
    assert counter.now < 7 * every_seconds


def test_a_counter_that_moved_once_is_as_coarse_as_the_watch_was_long() -> None:
    assert Counter(0.6).watch(1.0) == 1.0


def test_a_counter_that_stands_still_has_no_resolution() -> None:
    counter = Counter(100)
    assert counter.watch(0.5) is None
    assert counter.now == pytest.approx(0.5, abs=0.01)

from __future__ import annotations

import pytest

from greenfront.objectives.metering.cpu_model import CpuModelMeter, generic_watts
from greenfront.objectives.metering.meter import IdlePower, Slowdown, Snapshot
from greenfront.objectives.metering.windows import (
    COUNTER_ACCURACY,
    HEAT,
    POWER_LIMIT,
    Span,
    active_joules,
    share_of,
)

START = Snapshot(wall_seconds=10.0, cpu_seconds=4.0, machine_cpu_seconds=100.0)


def test_cpu_time_that_fell_is_clamped_and_flagged() -> None:
    span = Span.between(START, Snapshot(12.0, 3.5))
    assert (span.wall_seconds, span.cpu_seconds) == (2.0, 0.0)
    assert span.flags == ("cpu time fell and was clamped to 0",)
    assert Span.between(START, START).flags == ()


@pytest.mark.parametrize(
    ("later", "seconds", "flags"),
    [
        (Slowdown(heat_seconds=0.5), 0.5, (HEAT,)),
        (Slowdown(heat_seconds=9.0), 2.0, (HEAT,)),
        (Slowdown(events=1), 0.0, (HEAT,)),
        (Slowdown(cap_seconds=1.0), 0.0, (POWER_LIMIT,)),
        (Slowdown(), 0.0, ()),
        (None, 0.0, ()),
    ],
)
def test_throttling_is_flagged(
    later: Slowdown | None, seconds: float, flags: tuple[str, ...]
) -> None:
    before = Snapshot(10.0, 4.0, slowdown=Slowdown())
    span = Span.between(before, Snapshot(12.0, 5.0, slowdown=later))
    assert span.throttled_seconds == seconds
    assert span.flags == flags


def test_the_share_is_that_of_busy_time_and_at_most_one() -> None:
    after = Snapshot(12.0, 5.0, machine_cpu_seconds=104.0)
    share = share_of(Span.between(START, after), START, after)
    assert share is not None
    assert share.best == 0.25
    assert share.low < share.best < share.high
    ahead = Snapshot(12.0, 5.0, machine_cpu_seconds=100.99)
    assert share_of(Span.between(START, ahead), START, ahead).best == 1  # type: ignore[union-attr]
    unknown = Snapshot(12.0, 5.0)
    assert share_of(Span.between(START, unknown), START, unknown) is None


def test_idle_energy_is_subtracted_once() -> None:
    meter, span = CpuModelMeter(generic_watts()), Span(10.0, 1.0, 0.0, ())
    bare = active_joules(meter, span, 1000.0)
    assert (bare.joules, bare.idle_joules, bare.flags) == (1000, None, ())
    assert bare.high_joules == pytest.approx(1000 * (1 + COUNTER_ACCURACY))
    meter.idle = IdlePower(30, 20, 40)
    above = active_joules(meter, span, 1000.0)
    assert (above.joules, above.idle_joules) == (700, 300)
    assert above.low_joules < above.joules < above.high_joules
    below = active_joules(meter, span, 100.0)
    assert (below.joules, below.idle_joules) == (0, 100)
    assert below.flags == ("less than idle energy, clamped to 0",)

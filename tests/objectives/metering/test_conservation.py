"""What is charged, what is reserved and what others use is what the counters counted."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.hardware import FakeCard, FakeNvml, Machine
from contracts.meters import RELATIVE
from greenfront.objectives.metering.meter import Snapshot

PROCESSES = 3

seconds = st.floats(0.001, 50)


@st.composite
def laps(draw: st.DrawFn) -> tuple[int, float, list[float]]:
    """Energy, length, and the CPU time of each process; together they are all that is busy."""
    wall = draw(seconds)
    microjoules = draw(st.integers(1, 10**10))
    return microjoules, wall, draw(st.lists(seconds, min_size=PROCESSES, max_size=PROCESSES))


@settings(max_examples=50, deadline=None)
@given(st.lists(laps(), min_size=1, max_size=6), st.none() | st.floats(0, 200))
def test_all_processes_and_their_idle_shares_are_the_whole_counter(
    history: list[tuple[int, float, list[float]]], idle: float | None
) -> None:
    with TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "powercap")
        machine.add("intel-rapl:0", "package-0")
        meter = machine.meter(idle=idle)
        used = [0.0] * PROCESSES
        spent = charged = 0.0

        def looks() -> list[Snapshot]:
            return [machine.snapshot(meter, cpu) for cpu in used]

        for microjoules, wall, each in history:
            before = looks()
            machine.run(microjoules, busy=sum(each), wall=wall)
            used = [cpu + more for cpu, more in zip(used, each, strict=True)]
            for earlier, later in zip(before, looks(), strict=True):
                reading = meter.reading(earlier, later)
                assert reading.joules is not None
                assert reading.low_joules is not None
                assert reading.high_joules is not None
                assert 0 <= reading.low_joules <= reading.joules <= reading.high_joules
                charged += reading.joules + (reading.reserved_joules or 0.0)
            spent += microjoules / 1e6
    assert charged == pytest.approx(spent, rel=RELATIVE)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 10**9), seconds), min_size=1, max_size=8),
    st.none() | st.floats(0, 500),
)
def test_laps_on_gpus_and_their_idle_energy_are_the_whole_counter(
    history: list[tuple[int, float]], idle: float | None
) -> None:
    nvml = FakeNvml([FakeCard("GPU-a"), FakeCard("GPU-b")])
    meter = nvml.meter(idle=idle)
    charged = spent = 0.0
    for millijoules, wall in history:
        before = meter.snapshot(1, cpu_seconds=0.0)
        nvml.run(millijoules, wall)
        reading = meter.reading(before, meter.snapshot(1, cpu_seconds=0.0))
        assert reading.joules is not None
        charged += reading.joules + (reading.reserved_joules or 0.0)
        spent += 2 * millijoules / 1e3
    assert charged == pytest.approx(spent, rel=RELATIVE)


@settings(max_examples=50, deadline=None)
@given(st.lists(laps(), min_size=2, max_size=6))
def test_a_steady_share_makes_windows_add_up_to_the_one_that_spans_them(
    history: list[tuple[int, float, list[float]]],
) -> None:
    with TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "powercap")
        machine.add("intel-rapl:0", "package-0")
        meter = machine.meter()
        first = before = machine.snapshot(meter)
        parts = 0.0
        for microjoules, wall, _ in history:
            machine.run(microjoules, busy=4 * wall, own=wall, wall=wall)
            after = machine.snapshot(meter)
            parts += meter.reading(before, after).joules or 0.0
            before = after
        assert meter.reading(first, before).joules == pytest.approx(parts, rel=RELATIVE)

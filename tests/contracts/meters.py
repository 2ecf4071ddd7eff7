"""What every meter promises; a meter's tests subclass :class:`MeterContract`.

The contract asks the meter for nothing but snapshots and readings. A subclass says how to make the
meter, and how to let some work happen that the meter must notice.
"""

from __future__ import annotations

import abc
import math
import os
import subprocess
import sys
from itertools import pairwise

import pytest

from greenfront.errors import MeterError
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.metering.meter import Meter, Snapshot
from greenfront.objectives.metering.windows import HEAT
from greenfront.objectives.readings import Reading

RELATIVE = 1e-9


def ended_process() -> int:
    """The number of a process that has ended and was waited for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def joules(reading: Reading) -> float:
    assert reading.joules is not None
    return reading.joules


class MeterContract(abc.ABC):
    @pytest.fixture
    @abc.abstractmethod
    def meter(self) -> Meter:
        """A new meter."""

    @abc.abstractmethod
    def work(self, joules_wanted: float) -> None:
        """Lets this process do work; more joules wanted means more work."""

    def snapshots(self, meter: Meter, works: list[float]) -> list[Snapshot]:
        taken = [meter.snapshot(os.getpid())]
        for wanted in works:
            self.work(wanted)
            taken.append(meter.snapshot(os.getpid()))
        return taken

    def test_it_says_what_it_is(self, meter: Meter) -> None:
        assert meter.component in {"cpu", "gpu", "dram"}
        assert meter.kind in {"measured", "modelled"}
        assert meter.source
        assert meter.resolution_seconds >= 0
        assert meter.max_silence_seconds > 0

    def test_counters_grow(self, meter: Meter) -> None:
        taken = self.snapshots(meter, [0.2, 0.3, 0.1])
        assert not any(snapshot.trouble for snapshot in taken)
        for earlier, later in pairwise(taken):
            for name in ("wall_seconds", "cpu_seconds", "machine_cpu_seconds", "counter_joules"):
                before, after = getattr(earlier, name), getattr(later, name)
                assert (before is None) == (after is None)
                assert before is None or after >= before
            assert later.gaps == earlier.gaps

    def test_work_costs_energy_within_the_band(self, meter: Meter) -> None:
        before, after = self.snapshots(meter, [0.5])
        reading = meter.reading(before, after)
        assert reading.kind == meter.kind
        assert reading.source == meter.source
        assert reading.low_joules is not None
        assert reading.high_joules is not None
        assert 0 <= reading.low_joules <= joules(reading) <= reading.high_joules
        assert joules(reading) > 0
        assert reading.wall_seconds == after.wall_seconds - before.wall_seconds
        assert reading.cpu_seconds == after.cpu_seconds - before.cpu_seconds

    def test_adjacent_windows_add_up_to_the_whole(self, meter: Meter) -> None:
        taken = self.snapshots(meter, [0.2, 0.4, 0.1, 0.3])
        parts = [meter.reading(*edges) for edges in pairwise(taken)]
        whole = meter.reading(taken[0], taken[-1])
        assert sum(map(joules, parts)) == pytest.approx(joules(whole), rel=RELATIVE)
        for field in ("cpu_seconds", "wall_seconds"):
            assert sum(getattr(part, field) for part in parts) == pytest.approx(
                getattr(whole, field), rel=RELATIVE
            )

    def test_reading_is_pure(self, meter: Meter) -> None:
        before, after = self.snapshots(meter, [0.3])
        reading = meter.reading(before, after)
        self.work(0.2)
        meter.snapshot(os.getpid())
        assert meter.reading(before, after) == reading

    def test_unavailable_is_none_and_never_zero(self, meter: Meter) -> None:
        taken = meter.snapshot(os.getpid())
        for reading in (
            meter.reading(taken, taken),
            meter.reading(taken, meter.snapshot(os.getpid())),
        ):
            energies = (reading.joules, reading.low_joules, reading.high_joules)
            if reading.kind == "unavailable":
                assert energies == (None, None, None)
            else:
                assert all(value is not None and math.isfinite(value) for value in energies)

    def test_a_fall_is_clamped_and_flagged(self, meter: Meter) -> None:
        before, after = self.snapshots(meter, [0.3])
        ended = meter.snapshot(os.getpid(), cpu_seconds=after.cpu_seconds / 2)
        reading = meter.reading(after, ended)
        assert before.cpu_seconds < after.cpu_seconds
        assert reading.cpu_seconds == 0
        assert any("clamped" in flag for flag in reading.flags)
        assert reading.joules is None or reading.joules >= 0

    def test_a_process_that_does_not_exist_is_refused(self, meter: Meter) -> None:
        pid = ended_process()
        with pytest.raises(MeterError, match=rf"process {pid}: .*no such process.*cpu_seconds"):
            meter.snapshot(pid)

    def test_an_ended_process_is_charged_what_the_caller_knows(self, meter: Meter) -> None:
        pid = ended_process()
        before = meter.snapshot(pid, cpu_seconds=1.0)
        self.work(0.3)
        after = meter.snapshot(pid, cpu_seconds=1.75)
        assert (before.cpu_seconds, after.cpu_seconds) == (1.0, 1.75)
        assert meter.reading(before, after).cpu_seconds == 0.75

    def test_readings_survive_json(self, meter: Meter) -> None:
        reading = meter.reading(*self.snapshots(meter, [0.3]))
        assert from_json(Reading, to_json(reading)) == reading
        kept = from_json(Reading, to_json(reading))
        assert (kept.joules, kept.flags) == (reading.joules, reading.flags)

    def test_idle_energy_stands_beside_and_not_in_it(self, meter: Meter) -> None:
        reading = meter.reading(*self.snapshots(meter, [0.3]))
        assert (reading.reserved_joules is None) == (meter.idle is None)
        assert meter.counts_idle or meter.idle is None

    def test_what_was_not_slowed_down_says_nothing_of_heat(self, meter: Meter) -> None:
        reading = meter.reading(*self.snapshots(meter, [0.3]))
        assert 0 <= reading.throttled_seconds <= reading.wall_seconds
        assert (HEAT in reading.flags) or reading.throttled_seconds == 0

    def test_heat_is_told_without_a_window(self, meter: Meter) -> None:
        told = meter.slowdown()
        (window,) = self.snapshots(meter, [])
        assert (told is None) == (window.slowdown is None)

    def test_windows_that_overlap_do_not_disturb_each_other(self, meter: Meter) -> None:
        taken = self.snapshots(meter, [0.2, 0.3, 0.1])
        outer, inner = (taken[0], taken[3]), (taken[1], taken[2])
        alone = meter.reading(*inner)
        meter.reading(*outer)
        assert meter.reading(*inner) == alone
        assert joules(meter.reading(*outer)) >= joules(alone)

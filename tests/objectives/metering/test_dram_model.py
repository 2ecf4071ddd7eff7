from __future__ import annotations

import math
import os
import subprocess
import sys
import time

import pytest

from contracts.meters import MeterContract, joules
from greenfront.errors import UsageError
from greenfront.objectives.metering.dram_model import DramModelMeter
from greenfront.objectives.metering.process_tree import own_rss_bytes, tree_rss_bytes


class TestDramModelMeter(MeterContract):
    @pytest.fixture
    def meter(self) -> DramModelMeter:
        return DramModelMeter()

    def work(self, joules_wanted: float) -> None:
        until = time.process_time() + joules_wanted / 20
        while time.process_time() < until:
            pass


def test_joules_are_gigabytes_times_watts_times_seconds() -> None:
    clock = [100.0]
    meter = DramModelMeter(2.0, clock_seconds=lambda: clock[0])
    before = meter.snapshot(os.getpid())
    held = tree_rss_bytes(os.getpid())
    clock[0] += 10
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert joules(reading) == pytest.approx(held / 1e9 * 2 * 10, rel=0.05)
    assert reading.low_joules == pytest.approx(0.9 * joules(reading))
    assert reading.high_joules == pytest.approx(1.1 * joules(reading))
    assert reading.kind == "modelled"
    assert meter.source == "resident memory × 2 W per GB (stated by the user)"


def test_the_listed_constant_says_where_it_is_from() -> None:
    assert DramModelMeter().source == (
        "resident memory × 0.3725 W per GB (Karyakin and Salem 2017)"
    )


def test_growth_between_two_looks_is_taken_for_even() -> None:
    clock = [0.0]
    meter = DramModelMeter(1.0, clock_seconds=lambda: clock[0])
    before = meter.snapshot(os.getpid())
    first = tree_rss_bytes(os.getpid())
    block = b"x" * 200_000_000
    clock[0] += 8
    reading = meter.reading(before, meter.snapshot(os.getpid()))
    assert joules(reading) == pytest.approx((first / 1e9 + len(block) / 2e9) * 8, rel=0.02)


def test_a_process_that_has_ended_holds_nothing() -> None:
    clock = [0.0]
    meter = DramModelMeter(1.0, clock_seconds=lambda: clock[0])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        before = meter.snapshot(child.pid)
        clock[0] += 1
        child.communicate(b"\n")
    ended = meter.snapshot(child.pid, cpu_seconds=5.0)
    clock[0] += 100
    later = meter.snapshot(child.pid, cpu_seconds=5.0)
    assert joules(meter.reading(before, ended)) > 0
    assert joules(meter.reading(ended, later)) == 0


def test_a_supervisor_is_metered_without_its_children() -> None:
    program = "data = b'x' * 100_000_000\nprint('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        alone, whole = own_rss_bytes(os.getpid()), tree_rss_bytes(os.getpid())
        assert whole - alone >= 100_000_000
        clock = [0.0]
        meter = DramModelMeter(1.0, clock_seconds=lambda: clock[0]).of_the_process_alone()
        before = meter.snapshot(os.getpid())
        clock[0] += 1
        reading = meter.reading(before, meter.snapshot(os.getpid()))
        child.communicate(b"\n")
    assert joules(reading) == pytest.approx(alone / 1e9, rel=0.05)


@pytest.mark.parametrize("watts", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_number_is_refused(watts: float) -> None:
    with pytest.raises(UsageError, match=r"watts_per_gb: .* above 0, got"):
        DramModelMeter(watts)

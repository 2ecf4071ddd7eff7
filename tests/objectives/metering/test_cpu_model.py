from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts.meters import MeterContract, joules
from greenfront.errors import UsageError
from greenfront.objectives.metering.cpu_model import (
    CpuDescription,
    CpuModelMeter,
    WattsPerThread,
    best_watts,
    describe_cpu,
    generic_watts,
    listed_tdp_watts,
    stated_watts,
    tdp_watts,
)
from greenfront.objectives.metering.meter import Snapshot

EPYC = CpuDescription("AMD EPYC 7763 64-Core Processor", threads=128, cores=64, virtual=False)


class TestCpuModelMeter(MeterContract):
    @pytest.fixture
    def meter(self) -> CpuModelMeter:
        return CpuModelMeter(generic_watts())

    def work(self, joules_wanted: float) -> None:
        until = time.process_time() + joules_wanted / 4
        while time.process_time() < until:
            pass

    def test_joules_are_cpu_seconds_times_watts(self) -> None:
        meter = CpuModelMeter(WattsPerThread(5, 2, 8, "test"))
        reading = meter.reading(Snapshot(0.0, 1.0), Snapshot(10.0, 4.0))
        assert (reading.joules, reading.low_joules, reading.high_joules) == (15, 6, 24)
        assert (reading.cpu_seconds, reading.wall_seconds) == (3, 10)
        assert reading.source == "cpu-seconds × 5 W per busy thread (test)"

    def test_short_children_are_charged(self) -> None:
        meter = CpuModelMeter(WattsPerThread(1, 1, 1, "test"))
        burn = "import time\nwhile time.process_time() < 0.2: pass"
        before = meter.snapshot(os.getpid())
        for _ in range(3):
            subprocess.run([sys.executable, "-c", burn], check=True)
        after = meter.snapshot(os.getpid())
        assert joules(meter.reading(before, after)) >= 0.97 * 3 * 0.2

    def test_idling_costs_nothing_and_is_no_gap(self) -> None:
        reading = CpuModelMeter(generic_watts()).reading(Snapshot(0.0, 1.0), Snapshot(9.0, 1.0))
        assert (reading.joules, reading.kind) == (0.0, "modelled")


def test_the_users_number_goes_first_and_has_a_narrow_band() -> None:
    watts = best_watts(7.5, EPYC)
    assert watts == stated_watts(7.5)
    assert watts.low_watts == pytest.approx(6.75)
    assert watts.high_watts == pytest.approx(8.25)
    assert "user" in watts.origin


@pytest.mark.parametrize("watts", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_number_is_refused(watts: float) -> None:
    with pytest.raises(UsageError, match=r"watts_per_thread: .* above 0, got"):
        best_watts(watts)


def test_a_listed_processor_shares_its_tdp_among_its_threads() -> None:
    watts = best_watts(cpu=EPYC)
    assert watts.watts == pytest.approx(280 / 128)
    assert watts.low_watts == pytest.approx(0.5 * 280 / 128)
    assert watts.high_watts == pytest.approx(1.3 * 280 / 64)
    assert "TDP 280 W of AMD EPYC 7763" in watts.origin


@pytest.mark.parametrize(
    "cpu",
    [
        CpuDescription(EPYC.name, threads=128, cores=64, virtual=True),
        CpuDescription(EPYC.name, threads=2, cores=1, virtual=False),
        CpuDescription(EPYC.name, threads=0, cores=0, virtual=False),
        CpuDescription("AMD EPYC", threads=128, cores=64, virtual=False),
        CpuDescription("", threads=4, cores=4, virtual=False),
    ],
    ids=["virtual", "implausible", "uncounted", "unlisted", "unnamed"],
)
def test_an_unknown_processor_gets_the_generic_number(cpu: CpuDescription) -> None:
    assert tdp_watts(cpu) is None
    assert best_watts(cpu=cpu) == generic_watts()


@pytest.mark.parametrize(
    ("name", "tdp"),
    [
        ("Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz", 270),
        ("11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", 28),
        ("Intel(R) Xeon(R) CPU E5-2630 v3 @ 2.40GHz", 85),
        ("AMD Ryzen 7 5800X 8-Core Processor", 105),
        ("AMD EPYC", None),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", None),
        ("Some Processor 9000", None),
    ],
)
def test_names_are_matched_by_their_words(name: str, tdp: float | None) -> None:
    assert listed_tdp_watts(name) == tdp


def test_the_processor_is_described_by_its_first_entry(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    entry = "model name\t: {}\nsiblings\t: 8\ncpu cores\t: 4\nflags\t\t: fpu {}\n"
    cpuinfo.write_text(entry.format("A: 1", "avx2") + "\n" + entry.format("B", "hypervisor"))
    assert describe_cpu(cpuinfo) == CpuDescription("A: 1", threads=8, cores=4, virtual=False)
    cpuinfo.write_text(entry.format("B", "hypervisor"))
    assert describe_cpu(cpuinfo).virtual


def test_without_a_table_nothing_is_known_of_the_processor(tmp_path: Path) -> None:
    assert describe_cpu(tmp_path / "none") == CpuDescription("", 0, 0, virtual=False)

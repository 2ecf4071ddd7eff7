from __future__ import annotations

import gc
import os
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from contracts.hardware import RANGE_UJ, RESOLUTION_SECONDS, Machine
from contracts.meters import MeterContract, joules
from contracts.waiting import PATIENCE_SECONDS
from greenfront.errors import MeterError
from greenfront.objectives.metering import rapl
from greenfront.objectives.metering.meter import IdlePower, Snapshot
from greenfront.objectives.metering.polling import poll, watch_resolution
from greenfront.objectives.metering.rapl import Clocks, RaplMeter
from greenfront.objectives.metering.throttle import CpuThrottle
from greenfront.objectives.metering.windows import RESTARTED


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "powercap")
    machine.add("intel-rapl:0", "package-0")
    return machine


class TestRaplMeter(MeterContract):
    @pytest.fixture(autouse=True)
    def on_a_machine(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine = machine
        real = RaplMeter.snapshot

        def own_time(meter: RaplMeter, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
            if cpu_seconds is None and pid == os.getpid():
                cpu_seconds = machine.cpu_seconds
            return real(meter, pid, cpu_seconds=cpu_seconds)

        monkeypatch.setattr(RaplMeter, "snapshot", own_time)

    @pytest.fixture
    def meter(self, machine: Machine) -> RaplMeter:
        return machine.meter()

    def work(self, joules_wanted: float) -> None:
        # A quarter of a machine that draws 40 W: a steady share.
        uj = round(joules_wanted * 4e6)
        self.machine.run(uj, busy=uj / 1e7, own=uj / 4e7, wall=uj / 4e7)


class TestRaplMeterAboveIdle(TestRaplMeter):
    @pytest.fixture
    def meter(self, machine: Machine) -> RaplMeter:
        return machine.meter(idle=8)


class TestRaplMemoryMeter(TestRaplMeter):
    @pytest.fixture
    def meter(self, machine: Machine) -> RaplMeter:
        machine.add("intel-rapl:0:1", "dram")
        return machine.meter(component="dram")


def test_joules_are_the_share_of_what_is_above_idle(machine: Machine) -> None:
    meter = machine.meter(idle=10)
    before = machine.snapshot(meter)
    machine.run(100_000_000, busy=8.0, own=2.0, wall=4.0)
    reading = meter.reading(before, machine.snapshot(meter))
    assert joules(reading) == (100 - 10 * 4) * 2 / 8
    assert (reading.cpu_seconds, reading.wall_seconds) == (2, 4)
    assert reading.kind == "measured"
    assert "minus those of the idle machine" in reading.source
    assert reading.flags == ()
    assert reading.reserved_joules == 10 * 4 * 2 / 8


def test_a_lone_process_is_charged_all_within_the_counters_accuracy(machine: Machine) -> None:
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.run(50_000_000, busy=1000.0, own=1000.0, wall=200.0)
    reading = meter.reading(before, machine.snapshot(meter))
    assert joules(reading) == pytest.approx(50)
    assert reading.low_joules == pytest.approx(47.5, rel=1e-3)
    assert reading.high_joules == pytest.approx(52.5, rel=1e-3)


def test_the_share_is_at_most_one(machine: Machine) -> None:
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.run(5_000_000, busy=0.01, own=0.015, wall=0.02)
    assert joules(meter.reading(before, machine.snapshot(meter))) == 5


def test_packages_add_up_and_nothing_else_counts(machine: Machine) -> None:
    machine.add("intel-rapl:1", "package-1")
    machine.add("intel-rapl:2", "psys")
    machine.add("intel-rapl:0:0", "core")
    machine.add("intel-rapl:0:1", "dram")
    machine.add("intel-rapl-mmio:0", "package-0")
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.run(3_000_000, busy=1.0, own=1.0, wall=1.0)
    assert joules(meter.reading(before, machine.snapshot(meter))) == 6
    assert "2 CPU package(s)" in meter.source


def test_wraps_are_undone_however_many_there_are(machine: Machine) -> None:
    meter = machine.meter()
    first = machine.snapshot(meter)
    step_uj = RANGE_UJ - 123_456_789
    for _ in range(7):
        machine.run(step_uj, busy=100.0, own=100.0, wall=262.0)
        last = machine.snapshot(meter)
    assert joules(meter.reading(first, last)) == pytest.approx(7 * step_uj / 1e6, rel=1e-12)


def test_a_wrap_cannot_hide_within_the_longest_silence(machine: Machine) -> None:
    assert machine.meter().max_silence_seconds == pytest.approx(RANGE_UJ / 1e6 / 1000)


def test_a_counter_that_stands_still_under_work_is_unavailable(machine: Machine) -> None:
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.run(0, busy=0.0005, own=0.0005, wall=0.0005)
    reading = meter.reading(before, machine.snapshot(meter))
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert reading.flags == ("counter did not move",)


def test_a_process_that_did_nothing_is_charged_nothing(machine: Machine) -> None:
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.run(9_000_000, busy=3.0, own=0.0, wall=1.0)
    assert joules(meter.reading(before, machine.snapshot(meter))) == 0


def test_less_than_idle_is_clamped_and_flagged(machine: Machine) -> None:
    meter = machine.meter(idle=100)
    before = machine.snapshot(meter)
    machine.run(50_000_000, busy=1.0, own=1.0, wall=1.0)
    reading = meter.reading(before, machine.snapshot(meter))
    assert (joules(reading), reading.flags) == (0, ("less than idle energy, clamped to 0",))
    assert reading.reserved_joules == 50  # and no more than was counted


def test_a_denied_counter_names_the_file_and_the_remedy(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.read_text

    def denied(path: Path, encoding: str | None = None) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, encoding)

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(MeterError, match=r"intel-rapl:0/energy_uj: .*denied; run 'sudo chmod"):
        machine.meter()


def test_a_counter_that_disappears_gives_no_number_and_says_why(machine: Machine) -> None:
    meter = machine.meter()
    before = machine.snapshot(meter)
    counter = machine.root / "intel-rapl:0" / "energy_uj"
    counter.unlink()
    reading = meter.reading(before, machine.snapshot(meter))
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert "energy_uj: must hold a number" in reading.flags[0]
    machine.run(5_000_000, busy=1.0, own=1.0, wall=1.0)  # it is back
    assert joules(meter.reading(before, machine.snapshot(meter))) == 5


def test_a_silence_in_which_a_wrap_may_hide_gives_no_number(machine: Machine) -> None:
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.run(1_000_000, busy=1.0, own=1.0, wall=meter.max_silence_seconds + 1)
    after = machine.snapshot(meter)
    reading = meter.reading(before, after)
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert "a wrap may be lost" in reading.flags[0]
    machine.run(1_000_000, busy=1.0, own=1.0, wall=1)
    assert joules(meter.reading(after, machine.snapshot(meter))) == 1


def test_a_look_now_and_then_keeps_long_windows_whole(machine: Machine) -> None:
    meter = machine.meter()
    before = machine.snapshot(meter)
    for _ in range(3):
        machine.run(RANGE_UJ - 1, busy=100.0, own=100.0, wall=meter.max_silence_seconds - 1)
        meter._look()
    reading = meter.reading(before, machine.snapshot(meter))
    assert joules(reading) == pytest.approx(3 * (RANGE_UJ - 1) / 1e6, rel=1e-12)


def restart(machine: Machine, uj: int) -> None:
    """The counter begins again, as after hibernation, and has reached ``uj``."""
    machine.spent_uj["intel-rapl:0"] = uj
    machine.run(0)


def test_a_counter_that_begins_again_gives_no_number(machine: Machine) -> None:
    machine.run(150_000_000_000)
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.run(5_000_000, busy=1.0, own=1.0, wall=5.0)
    restart(machine, 1_000_000)
    after = machine.snapshot(meter)
    reading = meter.reading(before, after)
    assert (reading.joules, reading.low_joules, reading.high_joules) == (None, None, None)
    assert (reading.kind, reading.flags) == ("unavailable", (RESTARTED,))
    assert after.counter_joules is not None
    assert before.counter_joules is not None
    assert after.counter_joules >= before.counter_joules
    machine.run(2_000_000, busy=1.0, own=1.0, wall=1)
    assert joules(meter.reading(after, machine.snapshot(meter))) == 2


def test_one_of_two_counters_that_begins_again_is_noticed(machine: Machine) -> None:
    machine.add("intel-rapl:1", "package-1", start_uj=150_000_000_000)
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.spent_uj["intel-rapl:1"] = 0
    machine.run(5_000_000, busy=1.0, own=1.0, wall=5.0)
    assert meter.reading(before, machine.snapshot(meter)).flags == (RESTARTED,)


def test_a_wrap_between_two_looks_is_no_restart(machine: Machine) -> None:
    machine.run(RANGE_UJ - 2_000_000 - machine.spent_uj["intel-rapl:0"])
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.run(5_000_000, busy=1.0, own=1.0, wall=0.01)
    reading = meter.reading(before, machine.snapshot(meter))
    assert (joules(reading), reading.flags) == (pytest.approx(5), ())


@pytest.mark.parametrize(
    ("asleep_seconds", "left_uj", "flag"),
    [
        (100.0, 1_000_000, RESTARTED),  # 112 kJ within 101 s would pass for a wrap
        (8 * 3600.0, 150_006_000_000, "a wrap may be lost"),
    ],
)
def test_sleep_is_told_from_work(
    machine: Machine, asleep_seconds: float, left_uj: int, flag: str
) -> None:
    machine.run(150_000_000_000)
    suspended = [30.0]
    meter = RaplMeter(
        machine.root,
        resolution_seconds=RESOLUTION_SECONDS,
        clocks=replace(machine.clocks(), suspended_seconds=lambda: suspended[0]),
    )
    before = machine.snapshot(meter)
    suspended[0] += asleep_seconds
    machine.run(0, busy=1.0, own=1.0, wall=1.0)
    restart(machine, left_uj)
    after = machine.snapshot(meter)
    (told,) = meter.reading(before, after).flags
    assert flag in told
    machine.run(3_000_000, busy=1.0, own=1.0, wall=1)
    assert joules(meter.reading(after, machine.snapshot(meter))) == 3


def test_the_thread_that_looks_ends_with_its_meter() -> None:
    looked = threading.Event()

    class Looker:
        def look(self) -> None:
            looked.set()

    looker, before = Looker(), set(threading.enumerate())
    poll(looker.look, 0.001)
    assert looked.wait(PATIENCE_SECONDS)
    looking = set(threading.enumerate()) - before
    assert looking
    del looker
    gc.collect()
    for thread in looking:
        thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in looking)


def test_memory_is_counted_by_its_own_zones(machine: Machine) -> None:
    machine.add("intel-rapl:0:0", "core")
    machine.add("intel-rapl:0:1", "dram")
    machine.add("intel-rapl:1", "dram")
    meter = machine.meter(component="dram")
    before = machine.snapshot(meter)
    machine.run(2_000_000, busy=4.0, own=1.0, wall=1.0)
    reading = meter.reading(before, machine.snapshot(meter))
    assert joules(reading) == 2 * 2 / 4
    # Memory traffic follows CPU time less closely than the processor's own work does.
    assert reading.high_joules is not None
    cpu = machine.meter()
    assert cpu.component == "cpu"
    assert reading.high_joules > 4 * (4 / 4) / (4 / 4 + 3 / 4) * 0.5
    assert meter.source == "RAPL counters of memory on 2 package(s) × share of busy CPU time"


def test_no_memory_counter_is_told_with_the_way_out(machine: Machine) -> None:
    with pytest.raises(MeterError, match=r'dram counter .* found none; .*dram = "model"'):
        machine.meter(component="dram")


def test_the_band_holds_the_age_of_the_counter_and_the_spread_of_idle(machine: Machine) -> None:
    meter = RaplMeter(
        machine.root,
        idle=IdlePower(10, 8, 13),
        resolution_seconds=0.5,
        clocks=machine.clocks(),
    )
    before = machine.snapshot(meter)
    machine.run(1_000_000_000, busy=1e6, own=1e6, wall=10.0)
    reading = meter.reading(before, machine.snapshot(meter))
    assert joules(reading) == 1000 - 100
    # 5 % of the counter, half a second of 100 W at the edges, 3 W more or 2 W less of idle.
    assert reading.low_joules == pytest.approx(1000 - 50 - 50 - 130, rel=1e-6)
    assert reading.high_joules == pytest.approx(1000 + 50 + 50 - 80, rel=1e-6)


def test_the_resolution_is_watched(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    real, now = rapl._read, [0.0]

    def moving(path: Path) -> int:
        return real(path) + int(now[0] / 0.05)

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clocks = {"clock_seconds": lambda: now[0], "sleep": sleep}
    monkeypatch.setattr(rapl, "_read", moving)
    monkeypatch.setattr(rapl, "watch_resolution", partial(watch_resolution, **clocks))
    assert RaplMeter(machine.root).resolution_seconds == pytest.approx(0.05, abs=0.001)


def test_a_counter_that_stands_still_from_the_start_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rapl, "_WATCHED_SECONDS", 0.02)
    with pytest.raises(MeterError, match=r"stood still for 0\.02 s.*; run on the machine itself"):
        RaplMeter(machine.root)


def test_heat_is_flagged_and_timed(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "devices/system/cpu/cpu0/thermal_throttle"
    folder.mkdir(parents=True)
    hot = folder / "package_throttle_total_time_ms"
    hot.write_text("100\n")
    meter = machine.meter(throttle=CpuThrottle(tmp_path))
    before = machine.snapshot(meter)
    hot.write_text("350\n")
    machine.run(5_000_000, busy=1.0, own=1.0, wall=1.0)
    reading = meter.reading(before, machine.snapshot(meter))
    assert reading.flags == ("slowed down by heat",)
    assert reading.throttled_seconds == pytest.approx(0.25)


def test_no_counter_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"found none; .*modelled"):
        RaplMeter(tmp_path)


def test_without_busy_time_there_is_no_share(machine: Machine) -> None:
    with pytest.raises(MeterError, match=r"busy CPU time .* no /proc/stat"):
        RaplMeter(machine.root, clocks=Clocks(busy_seconds=lambda: None))

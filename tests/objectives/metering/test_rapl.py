from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contracts.meters import MeterContract, joules
from greenfront.errors import MeterError
from greenfront.objectives.metering.meter import Snapshot
from greenfront.objectives.metering.rapl import RaplMeter

RANGE_UJ = 262_143_328_850


@dataclass
class Machine:
    """A powercap folder and the clocks that go with it.

    Attributes:
        root: The folder.
        spent_uj: What each package has used since it was made.
        busy_seconds: Busy CPU time of the machine.
        wall_seconds: The clock.
        cpu_seconds: CPU time of this process.
    """

    root: Path
    spent_uj: dict[str, int] = field(default_factory=dict)
    busy_seconds: float = 1000.0
    wall_seconds: float = 50.0
    cpu_seconds: float = 10.0

    def add(self, zone: str, name: str, start_uj: int = 1_000_000) -> None:
        folder = self.root / zone
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        self.spent_uj[zone] = start_uj
        self.run(0)

    def run(self, uj: int, *, busy: float = 0.0, own: float = 0.0, wall: float = 0.0) -> None:
        """Every zone spends ``uj``; the clocks go on."""
        for zone in self.spent_uj:
            self.spent_uj[zone] += uj
            (self.root / zone / "energy_uj").write_text(f"{self.spent_uj[zone] % RANGE_UJ}\n")
        self.busy_seconds += busy
        self.wall_seconds += wall
        self.cpu_seconds += own

    def meter(self, idle_watts: float = 0.0) -> RaplMeter:
        return RaplMeter(
            self.root,
            idle_watts,
            machine_seconds=lambda: self.busy_seconds,
            clock_seconds=lambda: self.wall_seconds,
        )

    def snapshot(self, meter: RaplMeter) -> Snapshot:
        return meter.snapshot(os.getpid(), cpu_seconds=self.cpu_seconds)


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


def test_joules_are_the_share_of_what_is_above_idle(machine: Machine) -> None:
    meter = machine.meter(idle_watts=10)
    before = machine.snapshot(meter)
    machine.run(100_000_000, busy=8.0, own=2.0, wall=4.0)
    reading = meter.reading(before, machine.snapshot(meter))
    assert joules(reading) == (100 - 10 * 4) * 2 / 8
    assert (reading.cpu_seconds, reading.wall_seconds) == (2, 4)
    assert reading.kind == "measured"
    assert "minus 10 W idle" in reading.source
    assert reading.flags == ()


def test_a_lone_process_is_charged_all_within_the_counters_accuracy(machine: Machine) -> None:
    meter = machine.meter()
    before = machine.snapshot(meter)
    machine.run(50_000_000, busy=1000.0, own=1000.0, wall=500.0)
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
        machine.run(step_uj, busy=100.0, own=100.0, wall=100.0)
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
    meter = machine.meter(idle_watts=100)
    before = machine.snapshot(meter)
    machine.run(50_000_000, busy=1.0, own=1.0, wall=1.0)
    reading = meter.reading(before, machine.snapshot(meter))
    assert (joules(reading), reading.flags) == (0, ("less than idle energy, clamped to 0",))


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


def test_a_counter_that_disappears_is_told(machine: Machine) -> None:
    meter = machine.meter()
    (machine.root / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(MeterError, match="energy_uj: must hold a number"):
        machine.snapshot(meter)


def test_no_counter_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"found none; .*modelled"):
        RaplMeter(tmp_path)


def test_without_busy_time_there_is_no_share(machine: Machine) -> None:
    with pytest.raises(MeterError, match=r"busy CPU time .* no /proc/stat"):
        RaplMeter(machine.root, machine_seconds=lambda: None)


@pytest.mark.parametrize("idle_watts", [-1.0, float("nan"), float("inf")])
def test_impossible_idle_watts_are_refused(machine: Machine, idle_watts: float) -> None:
    with pytest.raises(MeterError, match=r"idle_watts: .* 0 or more, got"):
        machine.meter(idle_watts)

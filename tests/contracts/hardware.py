"""Hardware with counters, for machines that have none: files and clocks that a test moves on."""

# ruff: noqa: N802, N815 - the names are those of NVML

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from unittest.mock import patch

from greenfront.objectives.metering.cpu_model import CpuModelMeter, generic_watts
from greenfront.objectives.metering.meter import IdlePower, Meter, Snapshot
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.objectives.metering.rapl import Clocks, RaplMeter
from greenfront.objectives.metering.throttle import CpuThrottle

RANGE_UJ = 262_143_328_850
RESOLUTION_SECONDS = 0.02


@dataclass
class Machine:
    """A powercap folder and the clocks that go with it.

    Attributes:
        root: The folder.
        spent_uj: What each zone has used since it was made.
        busy_seconds: Busy CPU time of the machine.
        wall_seconds: The clock.
        cpu_seconds: CPU time of the process that is metered.
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
            # As one step, so that who reads beside it never finds half of it.
            new = self.root / zone / "energy_uj.new"
            new.write_text(f"{self.spent_uj[zone] % RANGE_UJ}\n")
            new.replace(self.root / zone / "energy_uj")
        self.busy_seconds += busy
        self.wall_seconds += wall
        self.cpu_seconds += own

    def clocks(self) -> Clocks:
        return Clocks(
            wall_seconds=lambda: self.wall_seconds, busy_seconds=lambda: self.busy_seconds
        )

    def meter(
        self,
        idle: float | None = None,
        component: Literal["cpu", "dram"] = "cpu",
        throttle: CpuThrottle | None = None,
    ) -> RaplMeter:
        return RaplMeter(
            self.root,
            component,
            None if idle is None else IdlePower(idle, idle, idle),
            resolution_seconds=RESOLUTION_SECONDS,
            throttle=throttle,
            clocks=self.clocks(),
        )

    def snapshot(self, meter: Meter, cpu_seconds: float | None = None) -> Snapshot:
        own = self.cpu_seconds if cpu_seconds is None else cpu_seconds
        return meter.snapshot(os.getpid(), cpu_seconds=own)


@dataclass
class HotCpu:
    """The kernel's folder of devices: a processor counts how long heat has slowed it down.

    Attributes:
        root: The folder.
        slowed_ms: What it has counted.
    """

    root: Path
    slowed_ms: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._counter = (
            self.root / "devices/system/cpu/cpu0/thermal_throttle/package_throttle_total_time_ms"
        )
        self._counter.parent.mkdir(parents=True)
        self.heat(0.0)

    def heat(self, seconds: float) -> None:
        """Slows it down for so long."""
        with self._lock:
            self.slowed_ms += round(1e3 * seconds)
            # As one step, so that who reads beside it never finds half of it.
            new = self._counter.with_suffix(".new")
            new.write_text(f"{self.slowed_ms}\n")
            new.replace(self._counter)

    def meter(self) -> CpuModelMeter:
        return CpuModelMeter(generic_watts(), CpuThrottle(self.root))


class FakeNvmlError(Exception):
    pass


@dataclass
class FakeCard:
    """A GPU; what is ``None`` it does not support.

    Attributes:
        mj: Its energy counter.
        mw: Its average power.
        instant_mw: Its power right now.
        mig: Whether it is split.
        heat_ns: How long heat has slowed it down.
        cap_ns: How long its power limit has.
        reasons: Why it is slow right now, as bits.
        percent: How busy it is.
        lost: It has fallen off the bus.
    """

    uuid: str
    name: str = "NVIDIA A100"
    mj: int | None = 1_000_000
    mw: int | None = 50_000
    instant_mw: int | None = 50_000
    mig: int | None = 0
    heat_ns: int | None = 0
    cap_ns: int | None = 0
    reasons: int | None = 0
    percent: int | None = 0
    lost: bool = False


@dataclass
class _Value:
    uiVal: int


@dataclass
class _Field:
    nvmlReturn: int
    value: _Value


@dataclass
class _Violation:
    violationTime: int


@dataclass
class _Utilization:
    gpu: int


@dataclass
class FakeNvml:
    """Behaves like the module ``pynvml`` on a machine with the given cards."""

    cards: list[FakeCard] = field(default_factory=list)
    driver: bool = True
    wall_seconds: float = 0.0
    NVMLError: type[Exception] = FakeNvmlError

    def nvmlInit(self) -> None:
        if not self.driver:
            raise FakeNvmlError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeCard:
        return self.cards[index]

    def nvmlDeviceGetUUID(self, handle: FakeCard) -> str:
        return handle.uuid

    def nvmlDeviceGetName(self, handle: FakeCard) -> str:
        return handle.name

    def nvmlDeviceGetMigMode(self, handle: FakeCard) -> list[int]:
        mode = _told(handle, handle.mig)
        return [mode, mode]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: FakeCard) -> int:
        return _told(handle, handle.mj)

    def nvmlDeviceGetPowerUsage(self, handle: FakeCard) -> int:
        return _told(handle, handle.mw)

    def nvmlDeviceGetFieldValues(self, handle: FakeCard, fields: Sequence[int]) -> list[_Field]:
        assert list(fields) == [186]
        if handle.instant_mw is None:
            return [_Field(3, _Value(0))]
        return [_Field(0, _Value(_told(handle, handle.instant_mw)))]

    def nvmlDeviceGetViolationStatus(self, handle: FakeCard, policy: int) -> _Violation:
        return _Violation(_told(handle, {0: handle.cap_ns, 1: handle.heat_ns}[policy]))

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: FakeCard) -> int:
        return _told(handle, handle.reasons)

    def nvmlDeviceGetUtilizationRates(self, handle: FakeCard) -> _Utilization:
        return _Utilization(_told(handle, handle.percent))

    def run(self, mj: int, wall_seconds: float) -> None:
        """Every card spends ``mj``; the clock goes on."""
        for card in self.cards:
            if card.mj is not None:
                card.mj += mj
        self.wall_seconds += wall_seconds

    def meter(self, idle: float | None = None, resolution_seconds: float = 0.1) -> NvmlMeter:
        return NvmlMeter(
            self,
            None if idle is None else IdlePower(idle, idle, idle),
            resolution_seconds=resolution_seconds,
            clock_seconds=lambda: self.wall_seconds,
        )


def _told(card: FakeCard, value: int | None) -> int:
    if card.lost:
        raise FakeNvmlError("GPU is lost")
    if value is None:
        raise FakeNvmlError("Not Supported")
    return value


class LiveNvml(FakeNvml):
    """Cards whose counters follow the clock of the wall: so many watts each, whoever uses them."""

    def __init__(self, watts: float, *uuids: str) -> None:
        super().__init__([FakeCard(uuid) for uuid in uuids])
        self._watts = watts

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: FakeCard) -> int:
        return round(self._watts * time.monotonic() * 1e3)


class LiveMachine:
    """A package counter that is up to date whenever a meter looks, however busy the machine is.

    Args:
        machine: The files.
        machine_seconds: Busy CPU time of the real machine.
        joules_a_second: Energy of a busy CPU-second.
    """

    def __init__(
        self, machine: Machine, machine_seconds: Callable[[], float | None], joules_a_second: float
    ) -> None:
        self._machine = machine
        self._busy_seconds = machine_seconds
        self._joules_a_second = joules_a_second
        self._lock = threading.Lock()
        self._since = machine_seconds() or 0.0
        self._snapshot = RaplMeter.snapshot

    def _follow(self) -> None:
        with self._lock:
            now = self._busy_seconds() or 0.0
            self._machine.run(round((now - self._since) * self._joules_a_second * 1e6))
            self._since = now

    def __enter__(self) -> LiveMachine:
        def snapshot(meter: RaplMeter, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
            self._follow()
            return self._snapshot(meter, pid, cpu_seconds=cpu_seconds)

        self._patch = patch.object(RaplMeter, "snapshot", snapshot)
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

from __future__ import annotations

from pathlib import Path

import pytest

from greenfront.objectives.metering.cpu_model import CpuModelMeter, generic_watts
from greenfront.objectives.metering.meter import Slowdown
from greenfront.objectives.metering.throttle import (
    COOL_DOWNS_SECONDS,
    CpuThrottle,
    cooldown_seconds,
)
from greenfront.objectives.metering.windows import HEAT, POWER_LIMIT
from greenfront.objectives.readings import Reading


def cpu(root: Path, number: int, package: int, **files: int) -> Path:
    folder = root / f"devices/system/cpu/cpu{number}"
    (folder / "topology").mkdir(parents=True)
    (folder / "topology/physical_package_id").write_text(f"{package}\n")
    for name, value in files.items():
        place = folder / ("cpufreq" if name == "scaling_max_freq" else "thermal_throttle")
        place.mkdir(exist_ok=True)
        (place / name).write_text(f"{value}\n")
    return folder


def test_times_of_each_package_count_once(tmp_path: Path) -> None:
    for number, package in enumerate([0, 0, 1, 1]):
        cpu(tmp_path, number, package, package_throttle_total_time_ms=250 * (package + 1))
    throttle = CpuThrottle(tmp_path)
    assert throttle.read() == Slowdown(heat_seconds=0.75)
    assert throttle.source == "throttling times"


def test_older_kernels_count_events(tmp_path: Path) -> None:
    folder = cpu(tmp_path, 0, 0, package_throttle_count=3)
    throttle = CpuThrottle(tmp_path)
    assert throttle.read() == Slowdown(events=3)
    (folder / "thermal_throttle/package_throttle_count").write_text("5\n")
    assert throttle.read() == Slowdown(events=5)


def cooling(root: Path, number: int, kind: str) -> Path:
    folder = root / f"class/thermal/cooling_device{number}"
    folder.mkdir(parents=True)
    (folder / "type").write_text(f"{kind}\n")
    (folder / "cur_state").write_text("0\n")
    return folder / "cur_state"


@pytest.mark.parametrize("kind", ["Processor", "cpufreq-cpu0", "thermal-cpufreq-0"])
def test_elsewhere_a_processor_that_is_slowed_down_to_cool_is_hot(
    tmp_path: Path, kind: str
) -> None:
    limit = cpu(tmp_path, 0, 0, scaling_max_freq=3_000_000) / "cpufreq/scaling_max_freq"
    fan, state = cooling(tmp_path, 0, "Fan"), cooling(tmp_path, 1, kind)
    meter = CpuModelMeter(generic_watts(), CpuThrottle(tmp_path))
    before = meter.snapshot(1, cpu_seconds=1.0)
    fan.write_text("1\n")
    after = meter.snapshot(1, cpu_seconds=2.0)
    assert meter.reading(before, after).flags == ()
    state.write_text("2\n")
    limit.write_text("2000000\n")  # by which it cools
    assert meter.reading(after, meter.snapshot(1, cpu_seconds=3.0)).flags == (HEAT,)


def test_a_clock_limit_that_sinks_is_a_power_limit_and_no_heat(tmp_path: Path) -> None:
    limit = cpu(tmp_path, 0, 0, scaling_max_freq=3_000_000) / "cpufreq/scaling_max_freq"
    throttle = CpuThrottle(tmp_path)
    assert (throttle.read(), throttle.source) == (Slowdown(), "clock limits")
    meter = CpuModelMeter(generic_watts(), throttle)
    before = meter.snapshot(1, cpu_seconds=1.0)
    limit.write_text("2000000\n")
    after = meter.snapshot(1, cpu_seconds=2.0)
    slowed = meter.reading(before, after)
    assert slowed.flags == (POWER_LIMIT,)
    assert cooldown_seconds([slowed], 0) is None
    limit.write_text("3000000\n")
    assert meter.reading(after, meter.snapshot(1, cpu_seconds=3.0)).flags == ()


def test_where_nobody_tells_nothing_is_known(tmp_path: Path) -> None:
    cpu(tmp_path, 0, 0)
    throttle = CpuThrottle(tmp_path)
    assert (throttle.read(), throttle.source) == (None, "")


def test_heat_is_a_flag_of_modelled_readings_too(tmp_path: Path) -> None:
    folder = cpu(tmp_path, 0, 0, package_throttle_count=3)
    meter = CpuModelMeter(generic_watts(), CpuThrottle(tmp_path))
    before = meter.snapshot(1, cpu_seconds=1.0)
    (folder / "thermal_throttle/package_throttle_count").write_text("4\n")
    assert meter.reading(before, meter.snapshot(1, cpu_seconds=2.0)).flags == (HEAT,)


def reading(*flags: str, throttled_seconds: float = 0.0) -> Reading:
    return Reading(
        1, 1, 1, "measured", "s", 1.0, 10.0, flags=flags, throttled_seconds=throttled_seconds
    )


@pytest.mark.parametrize(
    ("readings", "repeats", "seconds"),
    [
        ([reading()], 0, None),
        ([reading(POWER_LIMIT)], 0, None),
        ([reading(HEAT, throttled_seconds=0.4)], 0, None),
        ([reading(HEAT, throttled_seconds=0.6)], 0, COOL_DOWNS_SECONDS[0]),
        ([reading(), reading(HEAT, throttled_seconds=9)], 1, COOL_DOWNS_SECONDS[1]),
        ([reading(HEAT)], 2, COOL_DOWNS_SECONDS[2]),
        ([reading(HEAT)], 3, None),
        ([], 0, None),
    ],
)
def test_hot_windows_are_repeated_after_a_pause_until_patience_ends(
    readings: list[Reading], repeats: int, seconds: float | None
) -> None:
    assert cooldown_seconds(readings, repeats) == seconds

"""All meters, and whether each works here."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from greenfront.objectives.metering.codecarbon import CodeCarbonMeter, codecarbon_source
from greenfront.objectives.metering.cpu_model import CpuModelMeter, WattsPerThread
from greenfront.objectives.metering.dram_model import DramModelMeter
from greenfront.objectives.metering.idle import measure_idle
from greenfront.objectives.metering.instruments import nvml, rapl
from greenfront.objectives.metering.meter import IdlePower, Meter
from greenfront.objectives.metering.settings import IDLE_KEYS
from greenfront.objectives.readings import Component, ReadingKind

__all__ = ["ComponentStatus", "survey"]

AMD_GPU = Path("/sys/module/amdgpu")

_IDLE_UNKNOWN = (
    "idle power: measured for 10 s before a study; 'greenfront doctor --idle' measures it now, and "
    "[metering] {key} states it"
)


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One line of ``greenfront doctor``.

    Attributes:
        component: What is metered.
        name: The meter, for people.
        kind: Of its readings; ``"unavailable"`` where the meter is missing.
        source: Method and constants; ``None`` where the meter is missing.
        resolution_seconds: Windows much shorter carry no information, as measured just now; 0 for
            models; ``None`` where missing.
        chosen: Whether a new study would use it.
        missing: What is missing; ``None`` where nothing is.
        remedy: What to do about it; ``None`` where nothing is missing.
        idle_watts: Idle power of the component; ``None`` where it was not measured.
        remark: Further advice; may be empty.
    """

    component: Component
    name: str
    kind: ReadingKind
    source: str | None
    resolution_seconds: float | None
    chosen: bool
    missing: str | None
    remedy: str | None
    idle_watts: float | None = None
    remark: str = ""


def survey(*, idle: bool = False) -> list[ComponentStatus]:
    """Tries every meter.

    Args:
        idle: Measure idle power as well, which takes ten seconds.

    Returns:
        CPU counter, CPU model, CodeCarbon, GPU, memory counter and memory model, in this order.

    Raises:
        MeterError: ``idle`` is asked for on a machine that is busy.
    """
    cpu, no_cpu = rapl("cpu")
    memory, no_memory = rapl("dram")
    gpu, no_gpu = nvml()
    counters = [meter for meter in (cpu, memory, gpu) if meter is not None]
    powers = measure_idle(counters) if idle and counters else {}
    model = CpuModelMeter()
    if _foreign_hardware():
        no_gpu = f"{no_gpu.rpartition('; ')[0]}; {_foreign_hardware()}"
    return [
        _status("CPU counter (RAPL)", "cpu", cpu, True, no_cpu, powers),
        _status("CPU model", "cpu", model, cpu is None, "", {}, _origin(model.watts)),
        _codecarbon(),
        _status("GPU (NVML)", "gpu", gpu, True, no_gpu, powers),
        _status("DRAM counter (RAPL)", "dram", memory, cpu is not None, no_memory, powers),
        _status(
            "DRAM model",
            "dram",
            DramModelMeter(),
            False,
            "",
            {},
            'off unless asked for: [metering] dram = "model"; without it totals hold no memory',
        ),
    ]


def _origin(watts: WattsPerThread) -> str:
    lists = {
        "generic": "a value for any processor, because this one is not in CodeCarbon's list",
        "stated by the user": "your own calibration",
    }
    where = lists.get(watts.origin, "from CodeCarbon's list of design powers")
    return (
        f"watts: {where}, between {watts.low_watts:.3g} and {watts.high_watts:.3g}; [metering] "
        "watts_per_thread states what a plug meter tells"
    )


def _foreign_hardware() -> str:
    """What to do about hardware that has counters which greenfront does not read."""
    if AMD_GPU.exists():
        return 'AMD\'s GPU counters are not supported: set [training] device = "cpu"'
    if platform.system() == "Darwin":
        return (
            "Apple's counters are not supported: train on the CPU, whose time × watts is modelled"
        )
    return ""


def _codecarbon() -> ComponentStatus:
    return ComponentStatus(
        component="cpu",
        name="CodeCarbon",
        kind="modelled",
        source=codecarbon_source(),
        resolution_seconds=CodeCarbonMeter.resolution_seconds,
        chosen=False,
        missing=None,
        remedy=None,
        remark=(
            'off unless asked for: [metering] cpu = "codecarbon"; \'greenfront doctor '
            "--cross-check' compares it with the instrument in use"
        ),
    )


def _status(
    name: str,
    component: Component,
    meter: Meter | None,
    preferred: bool,
    why: str,
    idle: dict[Component, IdlePower],
    remark: str = "",
) -> ComponentStatus:
    # Messages of this project end in "…; the way out".
    missing, _, remedy = why.rpartition("; ")
    power = idle.get(component)
    if meter is not None and meter.counts_idle and power is None:
        remark = _IDLE_UNKNOWN.format(key=IDLE_KEYS[component])
    return ComponentStatus(
        component=component,
        name=name,
        kind="unavailable" if meter is None else meter.kind,
        source=None if meter is None else meter.source,
        resolution_seconds=None if meter is None else meter.resolution_seconds,
        chosen=meter is not None and preferred,
        missing=missing or None,
        remedy=remedy or None,
        idle_watts=None if meter is None or power is None else power.watts,
        remark=remark,
    )

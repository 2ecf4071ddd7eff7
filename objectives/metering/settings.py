"""The user's settings of metering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from greenfront.objectives.readings import Component

__all__ = ["IDLE_KEYS", "CpuSource", "DramSource", "GpuSource", "MeteringSettings"]

CpuSource = Literal["auto", "rapl", "model", "codecarbon"]
DramSource = Literal["auto", "rapl", "model", "off"]
GpuSource = Literal["auto", "nvml", "off"]

IDLE_KEYS: dict[Component, str] = {
    "cpu": "idle_watts",
    "dram": "dram_idle_watts",
    "gpu": "gpu_idle_watts",
}
"""The setting that states the idle power of a component."""


@dataclass(frozen=True, slots=True)
class MeteringSettings:
    """The ``[metering]`` table of a study file.

    Attributes:
        cpu: ``"auto"`` takes the counter where it works, else the model; any other source is taken
            or the study does not start.
        dram: ``"auto"`` takes the counter where the CPU's counter is taken and memory has one too,
            else nothing: memory is modelled only on request.
        gpu: ``"auto"`` takes NVML, if it works.
        watts_per_thread: Watts of a busy thread; selects the model.
        watts_per_gb: Watts of a gigabyte of memory, for the model.
        idle_watts: Of all CPU packages together while the machine idles; ``None`` measures.
        dram_idle_watts: The same of memory.
        gpu_idle_watts: The same of the GPUs.
    """

    cpu: CpuSource = "auto"
    dram: DramSource = "auto"
    gpu: GpuSource = "auto"
    watts_per_thread: float | None = None
    watts_per_gb: float | None = None
    idle_watts: float | None = None
    dram_idle_watts: float | None = None
    gpu_idle_watts: float | None = None

"""The user's settings of metering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from greenfront.objectives.readings import Component
from greenfront.spaces.table import CHECKED

__all__ = [
    "BLOCK_SECONDS",
    "IDLE_KEYS",
    "CpuSource",
    "DramSource",
    "GpuSource",
    "Machines",
    "MeteringSettings",
]

CpuSource = Literal["auto", "rapl", "model", "codecarbon"]
DramSource = Literal["auto", "rapl", "model", "off"]
GpuSource = Literal["auto", "nvml", "off"]
Machines = Literal["alike", "any"]

BLOCK_SECONDS = 0.01
"""Length of a metered block of predictions, where nobody says otherwise."""

IDLE_KEYS: dict[Component, str] = {
    "cpu": "idle_watts",
    "dram": "dram_idle_watts",
    "gpu": "gpu_idle_watts",
}
"""The setting that states the idle power of a component."""


IdleWatts = Annotated[float, Field(ge=0, le=10_000, strict=True)]


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
        gpu_idle_watts: The same of one GPU.
        machines: ``"alike"``: trials run on processors of one model, or not at all. ``"any"``: on
            any, and whoever shows their energy says that it cannot be compared.
        block_seconds: Length of the blocks in which predictions are measured, at least.

    Raises:
        ValueError: Watts are stated for a model that is not taken.
    """

    __pydantic_config__ = CHECKED

    cpu: CpuSource = "auto"
    dram: DramSource = "auto"
    gpu: GpuSource = "auto"
    watts_per_thread: Annotated[float, Field(gt=0, le=1000, strict=True)] | None = None
    watts_per_gb: Annotated[float, Field(gt=0, le=100, strict=True)] | None = None
    idle_watts: IdleWatts | None = None
    dram_idle_watts: IdleWatts | None = None
    gpu_idle_watts: IdleWatts | None = None
    machines: Machines = "alike"
    block_seconds: Annotated[float, Field(gt=0, le=60, strict=True)] = BLOCK_SECONDS

    def __post_init__(self) -> None:
        for key, source, component in (
            ("watts_per_thread", self.cpu, "cpu"),
            ("watts_per_gb", self.dram, "dram"),
        ):
            if getattr(self, key) is not None and source not in {"auto", "model"}:
                raise ValueError(f'{key} is for the model: leave it out, or {component} = "model"')

"""GPU energy from the card's own counter, by way of NVIDIA's management library."""

# ruff: noqa: N802, D102 - the names are those of NVML

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, Protocol, cast

from greenfront.errors import MeterError
from greenfront.objectives.metering.meter import Meter, Snapshot
from greenfront.objectives.metering.process_tree import tree_cpu_seconds
from greenfront.objectives.metering.windows import grown
from greenfront.objectives.readings import Reading

__all__ = ["Nvml", "NvmlMeter"]

_WHOLE_CARD = "whole card: whatever else ran on it is in here"


class Nvml(Protocol):
    """The part of the module ``pynvml`` that is used; handles are opaque."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int: ...

    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Any: ...

    def nvmlDeviceGetUUID(self, handle: Any, /) -> str: ...

    def nvmlDeviceGetName(self, handle: Any, /) -> str: ...

    def nvmlDeviceGetMigMode(self, handle: Any, /) -> Sequence[int]: ...

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, /) -> int: ...


def _visible(uuids: list[str], names: list[str], environ: Mapping[str, str]) -> list[int]:
    """Positions of the GPUs that a CUDA program started now would see.

    CUDA takes numbers or (beginnings of) UUIDs, and ignores what stands behind a ``-1``.
    """
    stated = environ.get("CUDA_VISIBLE_DEVICES")
    if stated is None:
        return list(range(len(uuids)))
    entries = [entry.strip() for entry in stated.split(",") if entry.strip()]
    return [
        _position(entry, uuids, names, environ)
        for entry in takewhile(lambda entry: entry != "-1", entries)
    ]


def _position(entry: str, uuids: list[str], names: list[str], environ: Mapping[str, str]) -> int:
    if entry.startswith("MIG-"):
        raise MeterError(
            f"CUDA_VISIBLE_DEVICES: must name whole GPUs, got the MIG instance {entry!r}, and the "
            "energy counter is that of the whole card; choose a GPU without MIG"
        )
    if entry.isdecimal():
        by_bus = environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
        if len(set(names)) > 1 and not by_bus:
            raise MeterError(
                f"CUDA_VISIBLE_DEVICES: must name GPUs by UUID where they differ, got {entry!r}, "
                "and CUDA counts them by speed while the counters are counted by bus; set "
                "CUDA_DEVICE_ORDER=PCI_BUS_ID or use the UUIDs that 'nvidia-smi -L' lists"
            )
        matches = [int(entry)] if int(entry) < len(uuids) else []
    else:
        matches = [index for index, uuid in enumerate(uuids) if uuid.startswith(entry)]
    if len(matches) != 1:
        raise MeterError(
            f"CUDA_VISIBLE_DEVICES: each entry must name one GPU, got {entry!r}, which names "
            f"{len(matches)} of {len(uuids)}; 'nvidia-smi -L' lists the numbers and UUIDs"
        )
    return matches[0]


def _load() -> Nvml:
    try:
        import pynvml
    except ImportError:
        raise MeterError(
            "NVML: needs the module pynvml, which is not installed; pip install nvidia-ml-py"
        ) from None
    return cast(Nvml, pynvml)


class NvmlMeter(Meter):
    """The total-energy counters of the visible GPUs, added up.

    The counter is that of the whole card: a lone process on it is assumed and every reading says
    so. The card refreshes it every 20 to 100 ms, so that each edge of a window may be that much
    old: the band is ± 0.1 s of the window's mean power. A window in which no card refreshed its
    counter is unavailable (``None``, never 0). Whoever measures GPU work must synchronise with
    the device before each snapshot.

    Which GPUs are visible is read from ``CUDA_VISIBLE_DEVICES`` once, at construction.

    Args:
        pynvml_module: The module ``pynvml`` or one that behaves like it.
        clock_seconds: Monotonic clock.

    Attributes:
        uuids: The UUIDs of the metered GPUs.

    Raises:
        MeterError: No driver, no visible GPU, one without the counter (older than Volta), or one
            that is split by MIG.
    """

    component = "gpu"
    kind = "measured"
    resolution_seconds = 0.1

    def __init__(
        self,
        pynvml_module: Nvml | None = None,
        *,
        clock_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nvml = pynvml_module or _load()
        self._clock_seconds = clock_seconds
        try:
            self._nvml.nvmlInit()
            handles = [
                self._nvml.nvmlDeviceGetHandleByIndex(index)
                for index in range(self._nvml.nvmlDeviceGetCount())
            ]
            uuids = [self._nvml.nvmlDeviceGetUUID(handle) for handle in handles]
            names = [self._nvml.nvmlDeviceGetName(handle) for handle in handles]
        except self._nvml.NVMLError as error:
            raise MeterError(
                f"NVML: needs an NVIDIA driver that answers, got '{error}'; check it with "
                "'nvidia-smi', or go without, and no GPU energy is metered"
            ) from None
        visible = _visible(uuids, names, os.environ)
        if not visible:
            raise MeterError(
                f"NVML: needs a visible GPU, found {len(uuids)} of which CUDA_VISIBLE_DEVICES="
                f"{os.environ.get('CUDA_VISIBLE_DEVICES', '')!r} shows none; set it to one of "
                "those that 'nvidia-smi -L' lists"
            )
        self.uuids = tuple(uuids[index] for index in visible)
        self._handles = [handles[index] for index in visible]
        for handle, uuid in zip(self._handles, self.uuids, strict=True):
            self._refuse_mig(handle, uuid)
        self._total_mj()
        models = sorted(names[index] for index in visible)
        self.source = "NVML total energy counter (whole card) of " + ", ".join(
            f"{models.count(model)} × {model}" for model in dict.fromkeys(models)
        )

    def _refuse_mig(self, handle: Any, uuid: str) -> None:
        try:
            current, *_ = self._nvml.nvmlDeviceGetMigMode(handle)
        except self._nvml.NVMLError:
            return  # a GPU that knows no MIG
        if current:
            raise MeterError(
                f"GPU {uuid}: must not be split by MIG, because its energy counter is that of the "
                "whole card, but MIG is on; choose another GPU by CUDA_VISIBLE_DEVICES, or have "
                "MIG switched off"
            )

    def _total_mj(self) -> int:
        total_mj = 0
        for handle, uuid in zip(self._handles, self.uuids, strict=True):
            try:
                total_mj += self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            except self._nvml.NVMLError as error:
                raise MeterError(
                    f"GPU {uuid}: needs a total energy counter (Volta or newer), got '{error}'; "
                    "choose another GPU by CUDA_VISIBLE_DEVICES, or go without GPU energy"
                ) from None
        return total_mj

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> Snapshot:
        """See :meth:`Meter.snapshot`."""
        if cpu_seconds is None:
            cpu_seconds = tree_cpu_seconds(pid)
        return Snapshot(
            wall_seconds=self._clock_seconds(),
            cpu_seconds=cpu_seconds,
            counter_joules=self._total_mj() / 1e3,
        )

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        """See :meth:`Meter.reading`."""
        wall_seconds = after.wall_seconds - before.wall_seconds
        cpu_seconds, cpu_flags = grown(before.cpu_seconds, after.cpu_seconds, "cpu time")
        joules, flags = grown(
            before.counter_joules or 0.0, after.counter_joules or 0.0, "energy counter"
        )
        moved = after.counter_joules != before.counter_joules and wall_seconds > 0
        why = () if moved else ("counter did not move",)
        edge_joules = joules * self.resolution_seconds / wall_seconds if moved else 0.0
        return Reading(
            joules=joules if moved else None,
            low_joules=max(0.0, joules - edge_joules) if moved else None,
            high_joules=joules + edge_joules if moved else None,
            kind=self.kind if moved else "unavailable",
            source=self.source,
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            flags=tuple(sorted({*cpu_flags, *flags, *why, _WHOLE_CARD})),
        )

"""The best source for each component, chosen once and then pinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from greenfront.errors import MeterError
from greenfront.objectives.metering.cpu_model import CpuModelMeter, best_watts, describe_cpu
from greenfront.objectives.metering.meter import Component, Meter, Snapshot
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.objectives.metering.process_tree import tree_cpu_seconds
from greenfront.objectives.metering.rapl import RaplMeter
from greenfront.objectives.readings import Kind, Reading

__all__ = ["ComponentStatus", "Instruments", "detect", "require_pinned", "survey"]


@dataclass(frozen=True, slots=True)
class Instruments:
    """One meter for each metered component.

    Attributes:
        meters: The meters, no two for the same component.

    Raises:
        MeterError: Two meters claim the same component.
    """

    meters: tuple[Meter, ...]

    def __post_init__(self) -> None:
        components = [meter.component for meter in self.meters]
        if len(set(components)) != len(components):
            raise MeterError(
                f"meters: must be one for each component, got {', '.join(components)}; "
                "leave out the second of each"
            )

    @property
    def max_silence_seconds(self) -> float:
        """Longest time between two snapshots that loses no energy; infinite for models."""
        return min((meter.max_silence_seconds for meter in self.meters), default=float("inf"))

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> tuple[Snapshot, ...]:
        """Reads all counters now; the process tree is walked once.

        Args:
            pid: The root of the process tree.
            cpu_seconds: CPU time of the tree where the caller knows it already.

        Returns:
            One snapshot for each meter, in their order.

        Raises:
            MeterError: See :meth:`Meter.snapshot`.
        """
        if cpu_seconds is None:
            cpu_seconds = tree_cpu_seconds(pid)
        return tuple(meter.snapshot(pid, cpu_seconds=cpu_seconds) for meter in self.meters)

    def readings(
        self, before: Sequence[Snapshot], after: Sequence[Snapshot]
    ) -> dict[Component, Reading]:
        """The energy of each component between two results of :meth:`snapshot`; pure."""
        return {
            meter.component: meter.reading(earlier, later)
            for meter, earlier, later in zip(self.meters, before, after, strict=True)
        }

    def pin(self) -> list[dict[str, str]]:
        """What a study writes down of its instruments; plain values that ``json.dumps`` takes."""
        return [
            {"component": meter.component, "kind": meter.kind, "source": meter.source}
            for meter in self.meters
        ]


def detect(watts_per_thread: float | None = None, *, idle_watts: float = 0.0) -> Instruments:
    """The best source that works here, for each component.

    CPU: the RAPL counter, unless this is a virtual machine (a counter shown there is emulated, or
    the whole host's), else CPU time × watts. GPU: the NVML counter, else not metered. DRAM is not
    metered.

    Args:
        watts_per_thread: The user's watts per busy thread. Who states it wants the model, so it
            goes before RAPL.
        idle_watts: What the CPU packages draw while the machine idles, for RAPL; not charged.

    Raises:
        UsageError: ``watts_per_thread`` is not a finite number above 0.
    """
    if watts_per_thread is not None:
        cpu: Meter | None = CpuModelMeter(best_watts(watts_per_thread))
    else:
        cpu = _rapl(idle_watts)[0] or CpuModelMeter()
    gpu = _nvml()[0]
    return Instruments(tuple(meter for meter in (cpu, gpu) if meter is not None))


def _rapl(idle_watts: float = 0.0) -> tuple[RaplMeter | None, str]:
    """The meter, or why there is none."""
    if describe_cpu().virtual:
        return None, (
            "RAPL: needs the real processor, and this is a virtual machine; CPU energy is "
            "modelled, run on the host itself to have it measured"
        )
    try:
        return RaplMeter(idle_watts=idle_watts), ""
    except MeterError as error:
        return None, str(error)


def _nvml() -> tuple[NvmlMeter | None, str]:
    try:
        return NvmlMeter(), ""
    except MeterError as error:
        return None, str(error)


def require_pinned(pinned: Sequence[Mapping[str, str]], here: Sequence[Mapping[str, str]]) -> None:
    """Refuses to go on with other instruments than the study began with.

    Numbers of different sources cannot stand in one front.

    Args:
        pinned: What :meth:`Instruments.pin` said when the study began.
        here: What it says now.

    Raises:
        MeterError: A component has another kind or source, appeared, or is gone; the message
            names both and the way out.
    """
    then = {entry["component"]: f"{entry['kind']}: {entry['source']}" for entry in pinned}
    now = {entry["component"]: f"{entry['kind']}: {entry['source']}" for entry in here}
    differences = [
        f"{component} energy was '{then.get(component, 'not metered')}' when the study began and "
        f"is '{now.get(component, 'not metered')}' here"
        for component in dict.fromkeys((*then, *now))
        if then.get(component) != now.get(component)
    ]
    if differences:
        raise MeterError(
            f"instruments: must be those that the study is pinned to, but "
            f"{' and '.join(differences)}; resume on a machine like the first, make the first "
            "instruments readable here ('greenfront doctor' says how), or start a new study"
        )


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One line of ``greenfront doctor``.

    Attributes:
        component: What is metered.
        name: The instrument, for people.
        kind: How the joules would be come by; ``"unavailable"`` where the instrument is missing.
        source: Method and constants; ``None`` where the instrument is missing.
        resolution_seconds: Windows much shorter carry no information; ``None`` where missing.
        chosen: Whether a new study would use it.
        missing: What is missing and what to do about it; ``None`` where nothing is.
    """

    component: Component
    name: str
    kind: Kind
    source: str | None
    resolution_seconds: float | None
    chosen: bool
    missing: str | None
    remedy: str | None


def survey() -> list[ComponentStatus]:
    """Every instrument that greenfront knows, and whether it works here.

    Returns:
        CPU counter, CPU model, GPU counter and DRAM, in this order.
    """
    rapl, no_rapl = _rapl()
    nvml, no_nvml = _nvml()
    return [
        _status("CPU counter (RAPL)", "cpu", rapl, True, no_rapl),
        _status("CPU model", "cpu", CpuModelMeter(), rapl is None, ""),
        _status("GPU counter (NVML)", "gpu", nvml, True, no_nvml),
        _status(
            "DRAM",
            "dram",
            None,
            False,
            "memory energy is not metered yet; totals are without it; nothing to be done here",
        ),
    ]


def _status(
    name: str, component: Component, meter: Meter | None, preferred: bool, why: str
) -> ComponentStatus:
    # Messages of this project end in "…; the way out".
    missing, _, remedy = why.rpartition("; ")
    return ComponentStatus(
        component=component,
        name=name,
        kind="unavailable" if meter is None else meter.kind,
        source=None if meter is None else meter.source,
        resolution_seconds=None if meter is None else meter.resolution_seconds,
        chosen=meter is not None and preferred,
        missing=missing or None,
        remedy=remedy or None,
    )

"""The meters of a study: the best available for each component, then pinned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from greenfront.errors import MeterError
from greenfront.objectives.metering.codecarbon import CodeCarbonMeter
from greenfront.objectives.metering.cpu_model import CpuModelMeter, best_watts, describe_cpu
from greenfront.objectives.metering.dram_model import DramModelMeter
from greenfront.objectives.metering.idle import IDLE_SECONDS, measure_idle, stated_idle
from greenfront.objectives.metering.meter import IdlePower, Meter, Snapshot
from greenfront.objectives.metering.nvml import CardMeter, NvmlMeter, NvmlPowerMeter
from greenfront.objectives.metering.pinned import MACHINE
from greenfront.objectives.metering.process_tree import tree_cpu_seconds
from greenfront.objectives.metering.rapl import RaplComponent, RaplMeter
from greenfront.objectives.metering.settings import IDLE_KEYS, MeteringSettings
from greenfront.objectives.readings import Component, Reading

__all__ = [
    "Instruments",
    "choose",
    "detect",
    "open_instruments",
    "require_device",
]

_IDLE = "idle_watts"
IdlePowers = Mapping[Component, IdlePower]


@dataclass(frozen=True, slots=True)
class Instruments:
    """One meter for each metered component.

    Attributes:
        meters: The meters, no two for the same component.
        missing: Why a component has none, in words.

    Raises:
        MeterError: Two meters claim the same component.
    """

    meters: tuple[Meter, ...]
    missing: Mapping[Component, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        components = [meter.component for meter in self.meters]
        if len(set(components)) != len(components):
            raise MeterError(
                f"meters: must be one for each component, got {', '.join(components)}; "
                "leave out the second of each"
            )

    @property
    def max_silence_seconds(self) -> float:
        """Longest time between two reads that loses no energy; infinite for models."""
        return min((meter.max_silence_seconds for meter in self.meters), default=float("inf"))

    @property
    def gpu_uuids(self) -> tuple[str, ...]:
        """The metered GPUs."""
        return next((m.uuids for m in self.meters if isinstance(m, CardMeter)), ())

    def of_card(self, uuid: str) -> Instruments:
        """The same with one of the metered GPUs alone."""
        return Instruments(
            tuple(m.of_card(uuid) if isinstance(m, CardMeter) else m for m in self.meters),
            self.missing,
        )

    def without(self, component: Component) -> Instruments:
        """The same without one component."""
        return Instruments(
            tuple(meter for meter in self.meters if meter.component != component), self.missing
        )

    def of_a_supervisor(self) -> Instruments:
        """The same for a process that meters its children separately."""
        return Instruments(
            tuple(
                meter.of_the_process_alone() if isinstance(meter, DramModelMeter) else meter
                for meter in self.meters
                if meter.component != "gpu"
            ),
            self.missing,
        )

    def snapshot(self, pid: int, *, cpu_seconds: float | None = None) -> tuple[Snapshot, ...]:
        """One :meth:`Meter.snapshot` of each meter, in their order; the tree is walked once."""
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
        """What a study stores of its instruments; plain values that ``json.dumps`` takes.

        A GPU's model stands in its source; ``machine`` is the processor's, where it is known.
        """
        processor = describe_cpu().name
        return [
            {"component": meter.component, "kind": meter.kind, "source": meter.source}
            | ({} if meter.idle is None else {_IDLE: f"{meter.idle.watts:.6g}"})
            | ({MACHINE: processor} if processor and meter.component == "cpu" else {})
            for meter in self.meters
        ]


def detect(watts_per_thread: float | None = None) -> Instruments:
    """The best source that works here, for each component; no idle baseline is taken off.

    Args:
        watts_per_thread: The user's watts per busy thread; selects the model, even where RAPL
            works.

    Raises:
        UsageError: ``watts_per_thread`` is not a finite number above 0.
    """
    return choose(MeteringSettings(watts_per_thread=watts_per_thread))


def choose(settings: MeteringSettings, idle: IdlePowers | None = None) -> Instruments:
    """The best source for each component, as far as the user leaves the choice.

    CPU: the RAPL counter, unless this is a virtual machine (a counter shown there is emulated, or
    the whole host's), else CPU time × watts. Memory: its RAPL counter where the CPU has one, else
    nothing. GPU: the NVML counter, else NVML's power, integrated, else nothing.

    Raises:
        MeterError: A source that the user names does not work here.
        UsageError: A number of the user's is impossible.
    """
    powers = {} if idle is None else idle
    cpu = _cpu(settings, powers)
    dram, no_dram = _dram(settings, powers, cpu.kind == "measured")
    gpu, no_gpu = _gpu(settings, powers)
    missing: dict[Component, str] = {}
    if dram is None:
        missing["dram"] = no_dram
    if gpu is None:
        missing["gpu"] = no_gpu
    return Instruments(tuple(meter for meter in (cpu, dram, gpu) if meter is not None), missing)


def open_instruments(
    settings: MeteringSettings,
    pinned: Sequence[Mapping[str, str]] | None = None,
    say: Callable[[str], None] = lambda _message: None,
    *,
    gpu: bool = True,
) -> Instruments:
    """The instruments of a study, with an idle baseline for every counter.

    The baseline is the one that the study began with, else the user's, else it is measured now.

    Args:
        settings: The user's.
        pinned: What :meth:`Instruments.pin` gave when the study began.
        say: Takes messages on what is being waited for.
        gpu: Whether a GPU may be used: one that is not is neither metered nor has to idle.

    Raises:
        MeterError: A named source does not work here, or the machine is too busy for an idle
            baseline.
        UsageError: A number of the user's is impossible.
    """
    idle = {**_stated(settings), **_pinned(pinned or [])}
    found = _used(choose(settings, idle), gpu=gpu)
    bare = [meter for meter in found.meters if meter.counts_idle and meter.idle is None]
    if not bare:
        return found
    say(f"measures what the idle machine draws, for {IDLE_SECONDS:g} s")
    return _used(choose(settings, {**idle, **measure_idle(bare)}), gpu=gpu)


def _used(found: Instruments, *, gpu: bool) -> Instruments:
    return found if gpu else found.without("gpu")


def _stated(settings: MeteringSettings) -> dict[Component, IdlePower]:
    stated = {component: getattr(settings, key) for component, key in IDLE_KEYS.items()}
    return {c: stated_idle(watts) for c, watts in stated.items() if watts is not None}


def _pinned(pinned: Sequence[Mapping[str, str]]) -> dict[Component, IdlePower]:
    watts = {entry["component"]: entry[_IDLE] for entry in pinned if _IDLE in entry}
    return {c: stated_idle(float(watts[c])) for c in IDLE_KEYS if c in watts}


def _cpu(settings: MeteringSettings, idle: IdlePowers) -> Meter:
    if settings.cpu == "codecarbon":
        return CodeCarbonMeter()
    if settings.cpu == "model" or settings.watts_per_thread is not None:
        return CpuModelMeter(best_watts(settings.watts_per_thread))
    counter, why = rapl("cpu", idle.get("cpu"))
    if counter is None and settings.cpu == "rapl":
        raise MeterError(f'[metering] cpu = "rapl": {why}')
    return counter or CpuModelMeter()


def _dram(
    settings: MeteringSettings, idle: IdlePowers, counted_cpu: bool
) -> tuple[Meter | None, str]:
    if settings.dram == "model" or (settings.dram == "auto" and settings.watts_per_gb is not None):
        return DramModelMeter(settings.watts_per_gb), ""
    if settings.dram == "off" or not (counted_cpu or settings.dram == "rapl"):
        return None, 'not asked for; state [metering] dram = "model" to have memory modelled'
    counter, why = rapl("dram", idle.get("dram"))
    if counter is None and settings.dram == "rapl":
        raise MeterError(f'[metering] dram = "rapl": {why}')
    return counter, why


def _gpu(settings: MeteringSettings, idle: IdlePowers) -> tuple[Meter | None, str]:
    if settings.gpu == "off":
        return None, 'switched off by [metering] gpu = "off"; leave it out'
    meter, why = nvml(idle.get("gpu"))
    if meter is None and settings.gpu == "nvml":
        raise MeterError(f'[metering] gpu = "nvml": {why}')
    return meter, why


def rapl(component: RaplComponent, idle: IdlePower | None = None) -> tuple[RaplMeter | None, str]:
    """The counter of the CPU or of memory, or why there is none."""
    if describe_cpu().virtual:
        way_out = (
            'state [metering] dram = "model", or run on the host itself to have it measured'
            if component == "dram"
            else "CPU energy is modelled, run on the host itself to have it measured"
        )
        return None, f"RAPL: needs the real processor, and this is a virtual machine; {way_out}"
    try:
        return RaplMeter(component=component, idle=idle), ""
    except MeterError as error:
        return None, str(error)


def nvml(idle: IdlePower | None = None) -> tuple[CardMeter | None, str]:
    """The GPUs' energy counter, else their power, or why there is neither."""
    try:
        return NvmlMeter(idle=idle), ""
    except MeterError as error:
        why = str(error)
    try:
        return NvmlPowerMeter(idle=idle), ""
    except MeterError:
        return None, why


def require_device(instruments: Instruments, device: str) -> None:
    """Refuses work on a device, ``"cpu"`` or ``"cuda"``, without a meter.

    Raises:
        MeterError: The device has no meter.
    """
    component: Component = "cpu" if device == "cpu" else "gpu"
    if any(meter.component == component for meter in instruments.meters):
        return
    why = instruments.missing.get(component, "no meter was asked for")
    raise MeterError(
        f"device {device!r}: its energy must be metered, but it cannot be ({why}); make the meter "
        "work ('greenfront doctor' says how), or set device of [training] and [objectives] to "
        "another one"
    )

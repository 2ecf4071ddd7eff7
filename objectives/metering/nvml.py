"""GPU energy from NVIDIA's management library, NVML."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable
from dataclasses import replace

from greenfront.errors import MeterError
from greenfront.objectives.metering.counter import CounterMeter
from greenfront.objectives.metering.meter import IdlePower, Integral, Snapshot
from greenfront.objectives.metering.nvml_cards import (
    Card,
    CardThrottle,
    Nvml,
    load_nvml,
    visible_cards,
)
from greenfront.objectives.metering.nvml_power import (
    DISAGREES,
    INSTANT_SECONDS,
    Compared,
    InstantPower,
    compared,
    instant_mw,
)
from greenfront.objectives.metering.polling import poll, watch_resolution
from greenfront.objectives.metering.windows import Span, active_joules
from greenfront.objectives.readings import Reading

__all__ = ["CardMeter", "NvmlMeter", "NvmlPowerMeter"]

WHOLE_CARD = "whole card: whatever else ran on it is in here"

_WATCHED_SECONDS = 2.0
_SAMPLED_SECONDS = 0.05
_AVERAGED_SECONDS = 1.0
_BUSY_PERCENT = 10


class CardMeter(CounterMeter):
    """Base of both meters of GPUs.

    The energy is that of whole cards, which every reading says: trials that run side by side lease
    a card one at a time. Callers must synchronise with the device before each snapshot.

    Which GPUs are visible is read from ``CUDA_VISIBLE_DEVICES`` once, at construction.

    Args:
        nvml: The module ``pynvml`` or one that behaves like it; ``None`` imports it.
        idle: Of each card; it is not charged.
        uuid: Of the one card to meter; ``None`` meters all that are visible.
        clock_seconds: Monotonic clock.

    Attributes:
        uuids: The UUIDs of the metered GPUs.

    Raises:
        MeterError: See :func:`~greenfront.objectives.metering.nvml_cards.visible_cards`.
    """

    component = "gpu"
    kind = "measured"
    counts_idle = True

    def __init__(
        self,
        nvml: Nvml | None = None,
        idle: IdlePower | None = None,
        *,
        uuid: str | None = None,
        clock_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nvml = nvml or load_nvml()
        self._cards = [c for c in visible_cards(self._nvml) if uuid in {None, c.uuid}]
        super().__init__(CardThrottle(self._nvml, self._cards), clock_seconds)
        self.idle = idle
        self.uuids = tuple(card.uuid for card in self._cards)
        self.devices = len(self._cards)

    @abc.abstractmethod
    def of_card(self, uuid: str) -> CardMeter:
        """The same of one of its cards alone."""

    @property
    def _model(self) -> str:
        return self._cards[0].model + ("" if self.idle is None else ", minus its idle power")

    @property
    def busy(self) -> bool:
        """Whether something runs on one of the cards right now."""
        try:
            return any(
                self._nvml.nvmlDeviceGetUtilizationRates(card.handle).gpu > _BUSY_PERCENT
                for card in self._cards
            )
        except self._nvml.NVMLError:
            return False

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        """See :meth:`Meter.reading`."""
        found = super().reading(before, after)
        return replace(found, flags=tuple(sorted({*found.flags, WHOLE_CARD})))

    def _difference(
        self, span: Span, before: Snapshot, after: Snapshot, counted_joules: float
    ) -> Reading:
        if after.gaps > before.gaps:
            return span.unavailable(self, "power was not sampled for a while")
        if counted_joules < 0:
            return span.unavailable(self, "counter fell: its driver was loaded again")
        if counted_joules == 0 or span.wall_seconds <= 0:
            return span.unavailable(self, "counter did not move")
        active = active_joules(self, span, counted_joules)
        return span.reading(
            self,
            active.joules,
            active.low_joules,
            active.high_joules,
            *active.flags,
            reserved_joules=active.idle_joules,
        )


class NvmlMeter(CardMeter):
    """The total-energy counters of the visible GPUs, added up (Volta and newer).

    A card refreshes its counter every 20 to 100 ms, as measured at construction. The band holds
    that age at each edge of a window, at the window's mean power, and ±5 % for the sensor. A window
    in which no card refreshed its counter is unavailable (``None``, never 0).

    Args:
        uuid: See :class:`CardMeter`.
        resolution_seconds: How often the counters are refreshed; ``None`` measures it.
        compare: Sample instant power, too, and flag readings with which it disagrees.

    Raises:
        MeterError: No driver, no visible GPU, one without the counter (older than Volta), one whose
            counter stands still, or one that is split by MIG.
    """

    def __init__(
        self,
        nvml: Nvml | None = None,
        idle: IdlePower | None = None,
        *,
        uuid: str | None = None,
        resolution_seconds: float | None = None,
        clock_seconds: Callable[[], float] = time.monotonic,
        compare: bool = False,
    ) -> None:
        super().__init__(nvml, idle, uuid=uuid, clock_seconds=clock_seconds)
        self._total_joules()
        self.resolution_seconds = resolution_seconds or self._watch()
        self.source = f"NVML total energy counter (whole card) of {self._model}"
        power = InstantPower(self._nvml, self._cards, clock_seconds) if compare else None
        self._instant = power if power is not None and power.told else None
        if self._instant is not None:
            poll(self._instant.so_far, _SAMPLED_SECONDS)

    def of_card(self, uuid: str) -> NvmlMeter:
        """See :meth:`CardMeter.of_card`; its counter is compared with the card's instant power."""
        return NvmlMeter(
            self._nvml,
            self.idle,
            uuid=uuid,
            resolution_seconds=self.resolution_seconds,
            clock_seconds=self._clock_seconds,
            compare=True,
        )

    def reading(self, before: Snapshot, after: Snapshot) -> Reading:
        """See :meth:`Meter.reading`."""
        found, beside = super().reading(before, after), self.compared(before, after)
        if beside is None or beside.agree:
            return found
        return replace(found, flags=tuple(sorted({*found.flags, DISAGREES})))

    def compared(self, before: Snapshot, after: Snapshot) -> Compared | None:
        """The counter beside the instant power; see :func:`~.nvml_power.compared`; pure."""
        return compared(before, after, self.resolution_seconds)

    def _power(self) -> Integral | None:
        return None if self._instant is None else self._instant.so_far()

    def _watch(self) -> float:
        # Together the cards move more often than each of them: the slowest one decides.
        found = [
            watch_resolution(lambda card=card: self._card_mj(card), _WATCHED_SECONDS)  # type: ignore[misc]
            for card in self._cards
        ]
        still = [card.uuid for card, seconds in zip(self._cards, found, strict=True) if not seconds]
        if still:
            raise MeterError(
                f"GPU {still[0]}: needs an energy counter that moves, but it stood still for "
                f"{_WATCHED_SECONDS:g} s; choose another GPU by CUDA_VISIBLE_DEVICES, or go "
                "without GPU energy"
            )
        return max(seconds for seconds in found if seconds)

    def _card_mj(self, card: Card) -> int:
        try:
            return self._nvml.nvmlDeviceGetTotalEnergyConsumption(card.handle)
        except self._nvml.NVMLError as error:
            raise MeterError(
                f"GPU {card.uuid}: needs a total energy counter (Volta or newer), got '{error}'; "
                "choose another GPU by CUDA_VISIBLE_DEVICES, or go without GPU energy"
            ) from None

    def _total_joules(self) -> float:
        return sum(map(self._card_mj, self._cards)) / 1e3


class NvmlPowerMeter(CardMeter):
    """The power of the visible GPUs, sampled by a thread and integrated: for cards without counter.

    Power is instantaneous where the driver reports it, else averaged over up to a second; the
    source says which. A window in which sampling paused for more than a second is unavailable.

    Args:
        uuid: See :class:`CardMeter`.
        every_seconds: Pause between two samples; ``None`` samples at snapshots only.

    Raises:
        MeterError: No driver, no visible GPU, one that reports no power, or one split by MIG.
    """

    max_silence_seconds = 1.0

    def __init__(
        self,
        nvml: Nvml | None = None,
        idle: IdlePower | None = None,
        *,
        uuid: str | None = None,
        every_seconds: float | None = 0.05,
        clock_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(nvml, idle, uuid=uuid, clock_seconds=clock_seconds)
        self._every_seconds = every_seconds
        self._instant = all(instant_mw(self._nvml, card) is not None for card in self._cards)
        self._sampled_at = clock_seconds()
        self._watts = self._power_watts()
        self._joules = 0.0
        self.resolution_seconds = INSTANT_SECONDS if self._instant else _AVERAGED_SECONDS
        power = "instant power" if self._instant else "power averaged over up to 1 s"
        self.source = f"NVML {power}, integrated (whole card), of {self._model}"
        if every_seconds is not None:
            poll(self._look, every_seconds)

    def of_card(self, uuid: str) -> NvmlPowerMeter:
        """See :meth:`CardMeter.of_card`."""
        return NvmlPowerMeter(
            self._nvml,
            self.idle,
            uuid=uuid,
            every_seconds=self._every_seconds,
            clock_seconds=self._clock_seconds,
        )

    def _power_watts(self) -> float:
        mw = 0
        for card in self._cards:
            try:
                instant = instant_mw(self._nvml, card) if self._instant else None
                mw += instant or self._nvml.nvmlDeviceGetPowerUsage(card.handle)
            except self._nvml.NVMLError as error:
                raise MeterError(
                    f"GPU {card.uuid}: needs a sensor of its power, got '{error}'; choose another "
                    "GPU by CUDA_VISIBLE_DEVICES, or go without GPU energy"
                ) from None
        return mw / 1e3

    def _total_joules(self) -> float:
        watts, now = self._power_watts(), self._clock_seconds()
        seconds = now - self._sampled_at
        self._gaps += seconds > self.max_silence_seconds
        self._joules += (self._watts + watts) / 2 * seconds
        self._watts, self._sampled_at = watts, now
        return self._joules

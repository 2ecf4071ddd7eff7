"""Instant power of GPUs, and a counter of energy compared with its integral."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from greenfront.objectives.metering.meter import Integral, Snapshot
from greenfront.objectives.metering.nvml_cards import Card, Nvml

__all__ = [
    "COMPARED_SHARE",
    "DISAGREES",
    "INSTANT_SECONDS",
    "Compared",
    "InstantPower",
    "compared",
    "instant_mw",
]

INSTANT_SECONDS = 0.1
"""How old an instant power may be."""

COMPARED_SHARE = 0.1
"""A counter and the integral of power may differ by so much of the counter: 5 % of each sensor."""

COMPARED_SECONDS = 1.0
"""Shorter windows are not compared: the edges would decide."""

DISAGREES = f"NVML's instant power, integrated, is off its energy counter by > {COMPARED_SHARE:.0%}"
"""Flag of a reading."""

MAX_SILENCE_SECONDS = 1.0

_INSTANT_POWER = 186  # NVML_FI_DEV_POWER_INSTANT


def instant_mw(nvml: Nvml, card: Card) -> int | None:
    """Power of a card right now; ``None`` where its driver does not tell.

    By the field of that name: what ``nvmlDeviceGetPowerUsage`` tells is averaged over a second on
    cards since Ampere (NVML API reference).
    """
    try:
        field: Any = nvml.nvmlDeviceGetFieldValues(card.handle, [_INSTANT_POWER])[0]
    except nvml.NVMLError:
        return None
    return int(field.value.uiVal) if field.nvmlReturn == 0 and field.value.uiVal else None


class InstantPower:
    """The instant power of cards, integrated by the trapezoidal rule between looks.

    Args:
        nvml: The module.
        cards: Whose powers are added up.
        clock_seconds: Monotonic clock.
    """

    def __init__(
        self, nvml: Nvml, cards: Sequence[Card], clock_seconds: Callable[[], float]
    ) -> None:
        self._nvml = nvml
        self._cards = cards
        self._clock_seconds = clock_seconds
        self._lock = threading.Lock()
        self._watts, self._looked_at = self._read(), clock_seconds()
        self._found = Integral(0.0, 0)

    @property
    def told(self) -> bool:
        """Whether all cards tell it."""
        return self._watts is not None

    def so_far(self) -> Integral:
        """Takes a sample; the integral up to it."""
        with self._lock:
            watts, now = self._read(), self._clock_seconds()
            seconds = now - self._looked_at
            found = self._found
            if self._watts is None or watts is None or seconds > MAX_SILENCE_SECONDS:
                self._found = Integral(found.joules, found.gaps + 1)
            else:
                joules = (self._watts + watts) / 2 * seconds
                self._found = Integral(found.joules + joules, found.gaps)
            self._watts, self._looked_at = watts, now
            return self._found

    def _read(self) -> float | None:
        told = [instant_mw(self._nvml, card) for card in self._cards]
        powers_mw = [mw for mw in told if mw is not None]
        return sum(powers_mw) / 1e3 if len(powers_mw) == len(told) else None


@dataclass(frozen=True, slots=True)
class Compared:
    """One window by a card's energy counter, and by its instant power.

    Attributes:
        wall_seconds: Its length.
        counter_joules: What the counter has grown by, idle power included.
        power_joules: Integral of the instant power.
        allowed_share: By which they may differ, of the counter: :data:`COMPARED_SHARE`, and the
            age of both at the edges.
    """

    wall_seconds: float
    counter_joules: float
    power_joules: float
    allowed_share: float

    @property
    def share(self) -> float:
        """Difference of the integral from the counter, as a share of the counter; signed."""
        return self.power_joules / self.counter_joules - 1

    @property
    def agree(self) -> bool:
        """Whether they differ by no more than they may."""
        return abs(self.share) <= self.allowed_share


def compared(before: Snapshot, after: Snapshot, resolution_seconds: float) -> Compared | None:
    """Compares a counter with the integral of power between two snapshots; pure.

    Returns:
        ``None`` where the window is short, the counter tells nothing, or the power was not sampled
        all the time.
    """
    if before.counter_joules is None or after.counter_joules is None:
        return None
    if before.power is None or after.power is None or after.power.gaps > before.power.gaps:
        return None
    seconds = after.wall_seconds - before.wall_seconds
    joules = after.counter_joules - before.counter_joules
    if seconds < COMPARED_SECONDS or joules <= 0:
        return None
    edges = (resolution_seconds + INSTANT_SECONDS) / seconds
    power_joules = after.power.joules - before.power.joules
    return Compared(seconds, joules, power_joules, COMPARED_SHARE + edges)

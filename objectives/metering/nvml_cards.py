"""The NVIDIA GPUs that are visible to CUDA."""

# ruff: noqa: N802, D102 - the names are those of NVML

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Protocol, cast

from greenfront.errors import MeterError
from greenfront.objectives.metering.meter import Slowdown

__all__ = ["Card", "CardThrottle", "Nvml", "load_nvml", "visible_cards"]

_POLICY_POWER, _POLICY_HEAT = 0, 1
_REASON_HEAT = 0x8 | 0x20 | 0x40 | 0x80  # slowdowns by hardware, by software, and the power brake


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

    def nvmlDeviceGetPowerUsage(self, handle: Any, /) -> int: ...

    def nvmlDeviceGetFieldValues(self, handle: Any, fields: Sequence[int], /) -> Sequence[Any]: ...

    def nvmlDeviceGetViolationStatus(self, handle: Any, policy: int, /) -> Any: ...

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any, /) -> int: ...

    def nvmlDeviceGetUtilizationRates(self, handle: Any, /) -> Any: ...

    def nvmlDeviceGetHandleByUUID(self, uuid: str, /) -> Any: ...

    def nvmlDeviceGetPowerManagementLimit(self, handle: Any, /) -> int: ...

    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: Any, /) -> int: ...

    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle: Any, /) -> Sequence[int]: ...

    def nvmlDeviceSetPowerManagementLimit(self, handle: Any, limit_mw: int, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU.

    Attributes:
        handle: NVML's.
        uuid: Permanent, whatever the order of the cards.
        model: Its product name.
    """

    handle: Any
    uuid: str
    model: str


def load_nvml() -> Nvml:
    """The module ``pynvml``.

    Raises:
        MeterError: It is not installed.
    """
    try:
        import pynvml
    except ImportError:
        raise MeterError(
            "NVML: needs the module pynvml, which is not installed; pip install nvidia-ml-py"
        ) from None
    return cast(Nvml, pynvml)


def visible_cards(nvml: Nvml, environ: Mapping[str, str] | None = None) -> list[Card]:
    """The GPUs that CUDA would see by ``CUDA_VISIBLE_DEVICES``, in its order.

    Raises:
        MeterError: No driver, no visible GPU, one named in a way that leaves doubt, GPUs of several
            models, or one that is split by MIG.
    """
    environ = os.environ if environ is None else environ
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        cards = [Card(h, nvml.nvmlDeviceGetUUID(h), nvml.nvmlDeviceGetName(h)) for h in handles]
    except nvml.NVMLError as error:
        raise MeterError(
            f"NVML: needs an NVIDIA driver that answers, got '{error}'; check it with "
            "'nvidia-smi', or go without, and no GPU energy is metered"
        ) from None
    visible = _visible(cards, environ)
    if not visible:
        raise MeterError(
            f"NVML: needs a visible GPU, found {len(cards)} of which CUDA_VISIBLE_DEVICES="
            f"{environ.get('CUDA_VISIBLE_DEVICES', '')!r} shows none; set it to one of "
            "those that 'nvidia-smi -L' lists"
        )
    models = sorted({card.model for card in visible})
    if len(models) > 1:
        raise MeterError(
            "CUDA_VISIBLE_DEVICES: must show GPUs of one model, because joules of unlike ones do "
            f"not compare, got {', '.join(models)}; name those of one model by the UUIDs that "
            "'nvidia-smi -L' lists"
        )
    for card in visible:
        _refuse_mig(nvml, card)
    return visible


def _visible(cards: list[Card], environ: Mapping[str, str]) -> list[Card]:
    # CUDA takes numbers or (beginnings of) UUIDs, and ignores what stands behind a -1.
    stated = environ.get("CUDA_VISIBLE_DEVICES")
    if stated is None:
        return cards
    entries = [entry.strip() for entry in stated.split(",") if entry.strip()]
    entries = list(takewhile(lambda entry: entry != "-1", entries))
    chosen = [cards[_position(entry, cards, environ)] for entry in entries]
    if len({card.uuid for card in chosen}) != len(chosen):
        raise MeterError(
            f"CUDA_VISIBLE_DEVICES: must name each GPU once, got {stated!r}, with which CUDA shows "
            "none at all; leave out the repeated entry"
        )
    return chosen


def _position(entry: str, cards: list[Card], environ: Mapping[str, str]) -> int:
    if entry.startswith("MIG-"):
        raise MeterError(
            f"CUDA_VISIBLE_DEVICES: must name whole GPUs, got the MIG instance {entry!r}, and the "
            "energy counter is that of the whole card; choose a GPU without MIG"
        )
    if entry.isdecimal():
        by_bus = environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
        if len({card.model for card in cards}) > 1 and not by_bus:
            raise MeterError(
                f"CUDA_VISIBLE_DEVICES: must name GPUs by UUID where they differ, got {entry!r}, "
                "and CUDA counts them by speed while the counters are counted by bus; set "
                "CUDA_DEVICE_ORDER=PCI_BUS_ID or use the UUIDs that 'nvidia-smi -L' lists"
            )
        matches = [int(entry)] if int(entry) < len(cards) else []
    else:
        matches = [index for index, card in enumerate(cards) if card.uuid.startswith(entry)]
    if len(matches) != 1:
        raise MeterError(
            f"CUDA_VISIBLE_DEVICES: each entry must name one GPU, got {entry!r}, which names "
            f"{len(matches)} of {len(cards)}; 'nvidia-smi -L' lists the numbers and UUIDs"
        )
    return matches[0]


def _refuse_mig(nvml: Nvml, card: Card) -> None:
    try:
        current, *_ = nvml.nvmlDeviceGetMigMode(card.handle)
    except nvml.NVMLError:
        return  # a GPU that knows no MIG
    if current:
        raise MeterError(
            f"GPU {card.uuid}: must not be split by MIG, because its energy counter is that of the "
            "whole card, but MIG is on; choose another GPU by CUDA_VISIBLE_DEVICES, or have "
            "MIG switched off"
        )


class CardThrottle:
    """Throttling of cards.

    Counted times where the driver has them; else events: whether heat throttles a card at a
    snapshot, which misses what happens in between.
    """

    def __init__(self, nvml: Nvml, cards: Sequence[Card]) -> None:
        self._nvml = nvml
        self._cards = cards
        self._events = 0

    def read(self) -> Slowdown | None:
        """The sum so far; ``None`` where the driver reports nothing."""
        with suppress(self._nvml.NVMLError):
            return Slowdown(
                heat_seconds=self._counted_seconds(_POLICY_HEAT),
                cap_seconds=self._counted_seconds(_POLICY_POWER),
            )
        with suppress(self._nvml.NVMLError):
            self._events += any(
                self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(card.handle) & _REASON_HEAT
                for card in self._cards
            )
            return Slowdown(events=self._events)
        return None

    def _counted_seconds(self, policy: int) -> float:
        status = self._nvml.nvmlDeviceGetViolationStatus
        times_ns = [int(status(card.handle, policy).violationTime) for card in self._cards]
        return sum(times_ns) / 1e9

"""What an instrument says about one window of work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["JOULES_PER_KWH", "Component", "Reading", "ReadingKind", "total"]

JOULES_PER_KWH = 3.6e6

Component = Literal["cpu", "gpu", "dram"]
"""What draws energy and is metered by itself."""

ReadingKind = Literal["measured", "modelled", "unavailable"]
"""How a number of joules was come by: a counter, a model, or not at all."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Energy of one component over one window.

    Example:
        >>> Reading(7.2e6, 3.6e6, 14.4e6, "modelled", "4 W a thread", 1.8e6, 1.8e6).kwh
        2.0

    Attributes:
        joules: Best estimate in joules; ``None`` where no instrument could tell, never 0.
        low_joules: Lower end of the plausible range; ``None`` with ``joules``.
        high_joules: Upper end of the plausible range; ``None`` with ``joules``.
        kind: ``"measured"``, ``"modelled"`` or ``"unavailable"``.
        source: Method and constants in words; equal sources give comparable numbers.
        cpu_seconds: CPU time of the process tree within the window.
        wall_seconds: Length of the window.
        flags: What a reader must know about this one reading (sorted, unique).
        reserved_joules: Beside ``joules`` and not in it: this work's share of what the idle machine
            draws anyway. ``None`` where the source does not keep the two apart.
        throttled_seconds: How long heat slowed the component down within the window.
    """

    joules: float | None
    low_joules: float | None
    high_joules: float | None
    kind: ReadingKind
    source: str
    cpu_seconds: float
    wall_seconds: float
    flags: tuple[str, ...] = ()
    reserved_joules: float | None = None
    throttled_seconds: float = 0.0

    @property
    def kwh(self) -> float | None:
        """The best estimate in kWh; ``None`` where unavailable."""
        return _kwh(self.joules)

    @property
    def low_kwh(self) -> float | None:
        """``low_joules`` in kWh."""
        return _kwh(self.low_joules)

    @property
    def high_kwh(self) -> float | None:
        """``high_joules`` in kWh."""
        return _kwh(self.high_joules)

    def scaled(self, factor: float) -> Reading:
        """The reading of so many times the work; what is ``None`` stays ``None``."""

        def times(joules: float | None) -> float | None:
            return None if joules is None else factor * joules

        return replace(
            self,
            joules=times(self.joules),
            low_joules=times(self.low_joules),
            high_joules=times(self.high_joules),
            cpu_seconds=factor * self.cpu_seconds,
            wall_seconds=factor * self.wall_seconds,
            reserved_joules=times(self.reserved_joules),
            throttled_seconds=factor * self.throttled_seconds,
        )


def _kwh(joules: float | None) -> float | None:
    return None if joules is None else joules / JOULES_PER_KWH


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def total(readings: Iterable[Reading]) -> Reading:
    """Adds readings of one or several components or windows.

    The sum is only as good as its worst part: one unavailable part makes it unavailable
    (``None``), one modelled part makes it modelled. No readings add up to a measured zero.

    Args:
        readings: The parts. CPU and wall seconds add up as well, so parts that cover the same
            span on several components must be added with :func:`dataclasses.replace` in mind.

    Returns:
        The sum; its source joins the distinct sources with ``" + "``.
    """
    parts = list(readings)
    if len(parts) == 1:
        return parts[0]
    kinds = {part.kind for part in parts}
    kind: ReadingKind = (
        "unavailable"
        if "unavailable" in kinds
        else "modelled"
        if "modelled" in kinds
        else "measured"
    )
    return Reading(
        joules=_sum([part.joules for part in parts]),
        low_joules=_sum([part.low_joules for part in parts]),
        high_joules=_sum([part.high_joules for part in parts]),
        kind=kind,
        source=" + ".join(dict.fromkeys(part.source for part in parts)),
        cpu_seconds=sum(part.cpu_seconds for part in parts),
        wall_seconds=sum(part.wall_seconds for part in parts),
        flags=tuple(sorted({flag for part in parts for flag in part.flags})),
        reserved_joules=_sum([part.reserved_joules for part in parts]) if parts else None,
        throttled_seconds=sum(part.throttled_seconds for part in parts),
    )

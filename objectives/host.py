"""What the stages of a trial see of whoever meters them.

In a search the host is the supervisor at the other end of a pipe; in a script or a test it can
be the same process (:class:`LocalHost`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from greenfront.errors import GreenfrontError
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.meter import Component
from greenfront.objectives.metering.stopwatch import CARRIED, Stopwatch
from greenfront.objectives.outcome import Sizing
from greenfront.objectives.readings import Reading, total

__all__ = ["Host", "LocalHost", "Window"]


@dataclass(slots=True)
class Window:
    """A named span of work; its readings are there once the span has ended.

    Attributes:
        phase: Its name.
        readings: By component; a component whose counter could not tell so short a span is absent.
    """

    phase: str
    readings: dict[Component, Reading] = field(default_factory=dict)

    @property
    def total(self) -> Reading:
        """All components together.

        The components run side by side: their joules add up, their seconds do not.

        Raises:
            GreenfrontError: No instrument could tell, or the window is still open.
        """
        if not self.readings:
            raise GreenfrontError(
                f"window {self.phase!r} has no reading: it is still open, or too short for the "
                "instruments"
            )
        spans = [(r.wall_seconds, r.cpu_seconds) for r in self.readings.values()]
        wall_seconds, cpu_seconds = max(spans)
        return replace(
            total(self.readings.values()), cpu_seconds=cpu_seconds, wall_seconds=wall_seconds
        )


class Host(Protocol):
    """Meters phases and hears how a trial goes."""

    def phase(self, name: str) -> AbstractContextManager[Window]:
        """Opens a metered window; windows do not nest."""
        ...

    def progress(self, message: str) -> None:
        """Takes a short line for people, such as ``epoch 3 of 10``."""
        ...

    def sized(self, sizing: Sizing) -> None:
        """Hears what is known before training.

        Raises:
            TrialStopped: No accuracy could make this candidate worth its training.
        """
        ...


class LocalHost:
    """Meters this very process; stops nothing.

    Args:
        instruments: What to meter with.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._stopwatch = Stopwatch(instruments, os.getpid())

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Window]:
        """See :meth:`Host.phase`."""
        self._stopwatch.lap()
        window = Window(name)
        yield window
        window.readings |= {
            c: lap for c, lap in self._stopwatch.lap().items() if CARRIED not in lap.flags
        }

    def progress(self, message: str) -> None:
        """See :meth:`Host.progress`."""

    def sized(self, sizing: Sizing) -> None:
        """See :meth:`Host.sized`."""

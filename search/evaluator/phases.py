"""Divides the energy of an evaluator among the phases of its trials."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field

from greenfront.errors import MeterError
from greenfront.objectives.context import Frames, TrialContext
from greenfront.objectives.metering.stopwatch import Stopwatch
from greenfront.objectives.readings import Component, Reading, total
from greenfront.studies.store.ledger_writer import WAITING

__all__ = ["PhaseMeter"]

BETWEEN = "overhead"
"""Phase of what an evaluator does between windows: imports, messages, loading and saving."""


@dataclass
class PhaseMeter:
    """Divides the life of one evaluator into phases; every moment is charged to one.

    A GPU's counter includes all that runs on it: it counts only while the evaluator has the lease.

    Attributes:
        stopwatch: On the evaluator.
        frames: Open windows.
        since: When the last cut was, in seconds since 1970.
        leased: Whether the evaluator holds its GPU.
    """

    stopwatch: Stopwatch
    frames: Frames = field(default_factory=Frames)
    since: float = field(default_factory=time.time)
    leased: bool = False

    def cut(self, context: TrialContext, *, cpu_seconds: float | None = None) -> None:
        """Charges what has passed since the last cut to the innermost phase."""
        now = time.time()
        unused: tuple[Component, ...] = () if self.leased else ("gpu",)
        laps = self.stopwatch.lap(cpu_seconds=cpu_seconds, drop=unused)
        self.frames.add(laps)
        if laps:
            context.charge(self.frames.innermost(BETWEEN), laps, self.since, now)
        self.since = now

    def flush(self, context: TrialContext) -> None:
        """Cuts; does nothing if the evaluator has just died, which its channel reports."""
        with contextlib.suppress(MeterError):
            self.cut(context)

    def so_far(self, context: TrialContext) -> Reading | None:
        """What the innermost open window has come to; ``None`` where nothing can be told yet."""
        self.flush(context)
        parts = self.frames.readings.values()
        return total(parts) if parts else None

    def set_aside(self, context: TrialContext) -> None:
        """Charges what has passed since the last cut to waiting, and to no open window."""
        frames, self.frames = self.frames, Frames()
        self.frames.begin(WAITING)
        try:
            self.flush(context)
        finally:
            self.frames = frames

    def begin(self, phase: str, context: TrialContext) -> None:
        """Opens a window."""
        self.cut(context)
        self.frames.begin(phase)

    def end(self, context: TrialContext, depth: int | None = None) -> dict[Component, Reading]:
        """Closes the innermost window, or all down to a depth; returns the last one's readings."""
        self.cut(context)
        while pause_seconds := self.stopwatch.pause_seconds:
            time.sleep(pause_seconds)
            self.cut(context)
        return self.frames.end(depth)

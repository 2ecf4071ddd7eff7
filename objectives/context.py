"""What an evaluation may ask of its search, and how its stages are metered.

In a search the context is the supervisor at the other end of a pipe; in a script or a test it can
be the same process (:class:`LocalContext`).
"""

from __future__ import annotations

import abc
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from greenfront.errors import GreenfrontError
from greenfront.objectives.learning_curve import LearningCurve
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.stopwatch import Stopwatch
from greenfront.objectives.outcome import Outcome, Sizing, Standing
from greenfront.objectives.readings import Component, Reading, total

__all__ = ["Frames", "LocalContext", "StageContext", "TrialContext", "Window", "synchronize"]


def synchronize() -> None:
    """Waits until the GPUs have done what this process gave them to do.

    Work on a GPU is queued: without this, a window would end before its work does. Where CUDA was
    never used it does nothing, and it loads nothing.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            torch.cuda.synchronize(device)


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
            GreenfrontError: The window is still open, or too short for the instruments.
        """
        if not self.readings:
            raise GreenfrontError(
                f"window {self.phase!r} has no reading: it is still open, or too short for the "
                "instruments"
            )
        parts = self.readings.values()
        wall_seconds, cpu_seconds = max((part.wall_seconds, part.cpu_seconds) for part in parts)
        return replace(
            total(parts),
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            throttled_seconds=max(part.throttled_seconds for part in parts),
        )


class TrialContext:
    """Callback interface through which an evaluation reports to the search that runs it.

    As it stands it is the null object for scripts and tests: it drops what it is told and never
    stops anything.

    Example:
        >>> context = TrialContext()
        >>> context.progress("epoch 1 of 2")
        >>> context.stopping
        False

    Attributes:
        fidelity: The rung of ``Problem.fidelities`` to evaluate at; ``None``: the whole effort.
        checkpoint: What an evaluation of the same candidate at a lower rung has left, if any.
        charged_kwh: Energy that was charged so far; the null object counts none.
        budgeted: Whether what was spent has to be charged before each call of :meth:`progress`,
            since that may be all that the search has left.
    """

    fidelity: int | None = None
    checkpoint: object | None = None
    charged_kwh: float = 0.0
    budgeted: bool = False

    @property
    def stopping(self) -> bool:
        """Whether the user wants to stop: finish what is cheap, then raise ``Interrupted``."""
        return False

    def charge(
        self, phase: str, readings: Mapping[Component, Reading], started_at: float, ended_at: float
    ) -> None:
        """Writes spent energy into the ledger at once; instants are Unix seconds."""

    def progress(self, message: str) -> None:
        """Shows a short line, such as ``epoch 3 of 10``; may pause the caller.

        Raises:
            Interrupted: A budget of the search is spent.
        """

    def limit_power(self, watts: float) -> None:
        """Sets the power limit of the GPU that does the work, where the user has asked for that.

        Raises:
            MeterError: The driver refuses it.
        """

    def hold(self, rest: Callable[[float], None]) -> None:
        """Call where the evaluation can pause: returns when it is time to work.

        ``rest`` sleeps up to so many seconds; what it raises ends the wait.
        """

    def dominated(self, optimistic: Sequence[float]) -> str | None:
        """Why a finished trial dominates even these best possible values; else ``None``."""

    def size_verdict(self, sizing: Sizing) -> str | None:
        """Why no accuracy could make a candidate of this size worth its training; else ``None``."""

    def training_verdict(self, curve: LearningCurve) -> str | None:
        """Why a training that has come so far cannot pay any more; ``None`` where it may."""

    def paces(self) -> Sequence[float]:
        """Of the study's finished trainings; see :func:`least_error`."""
        return ()

    def standing(self, cheap: Outcome, dear: Outcome) -> Standing | None:
        """Where a model stands against the others, as cheap and as dear as it may be.

        The two differ in the energy of a prediction alone. ``None``: there are no others.
        """


class StageContext(TrialContext, abc.ABC):
    """What the stages of a trial see: the context of the trial, and metered windows."""

    @abc.abstractmethod
    def phase(self, name: str) -> AbstractContextManager[Window]:
        """Opens a metered window.

        Windows may nest: the outer one's readings hold the inner ones', while each moment is
        charged to the innermost. Both ends wait for the GPU.
        """


class Frames:
    """The open windows of one process, the innermost last."""

    def __init__(self) -> None:
        self._open: list[tuple[str, dict[Component, Reading]]] = []

    @property
    def depth(self) -> int:
        """How many are open."""
        return len(self._open)

    def innermost(self, otherwise: str) -> str:
        """The name of the innermost one; ``otherwise`` where none is open."""
        return self._open[-1][0] if self._open else otherwise

    @property
    def readings(self) -> Mapping[Component, Reading]:
        """Of the innermost one so far, by component; empty where none is open."""
        return self._open[-1][1] if self._open else {}

    def begin(self, phase: str) -> None:
        """Opens one."""
        self._open.append((phase, {}))

    def add(self, laps: dict[Component, Reading]) -> None:
        """Adds a lap to every open window."""
        for _, parts in self._open:
            for component, lap in laps.items():
                earlier = [parts[component]] if component in parts else []
                parts[component] = total([*earlier, lap])

    def end(self, depth: int | None = None) -> dict[Component, Reading]:
        """Closes the innermost one, or all down to a depth, and returns the last one's readings."""
        keep = self.depth - 1 if depth is None else depth
        readings: dict[Component, Reading] = {}
        while self.depth > max(keep, 0):
            _, readings = self._open.pop()
        return readings


class LocalContext(StageContext):
    """Meters this very process; stops nothing."""

    def __init__(self, instruments: Instruments) -> None:
        self._stopwatch = Stopwatch(instruments, os.getpid())
        self._frames = Frames()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Window]:
        """See :meth:`StageContext.phase`."""
        window, depth = Window(name), self._frames.depth
        synchronize()
        self._frames.add(self._stopwatch.lap())
        self._frames.begin(name)
        try:
            yield window
            synchronize()
        finally:
            self._frames.add(self._stopwatch.lap())
            while pause_seconds := self._stopwatch.pause_seconds:
                time.sleep(pause_seconds)
                self._frames.add(self._stopwatch.lap())
            readings = self._frames.end(depth)
        window.readings |= readings

"""Gives a machine that heat slows down fewer trials, until it has cooled.

What a hot processor measures does not count, and is measured again; what it trains takes longer. So
of the workers of one machine half begin no further trial, then half of the rest, and one more each
time that it was found to be cool: the way in which senders share a line (Chiu and Jain, "Analysis
of the increase and decrease algorithms for congestion avoidance", 1989).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from greenfront.objectives.metering.meter import Meter, Snapshot
from greenfront.objectives.metering.throttle import COOL_DOWNS_SECONDS, is_hot
from greenfront.objectives.metering.windows import Span
from greenfront.studies.store.pauses import PauseWriter

__all__ = ["HeatWatch"]

LOOK_SECONDS = COOL_DOWNS_SECONDS[0]
"""How often the machine is asked at most."""

REST_SECONDS = 1.0
"""After so long a worker that rests looks whether there is anything left to do."""

LONGEST_SECONDS = 600.0
"""How long heat keeps a worker from its next trial at most."""

LAST_SECONDS = COOL_DOWNS_SECONDS[-1]
"""The same of the last worker of a machine: if that cools nothing, it goes on as it is."""


@dataclass(slots=True)
class _Rest:
    """A worker that has not begun its next trial for heat.

    Attributes:
        number: Of the pause in the study's book.
        began: In Unix seconds.
        since: By the monotonic clock.
    """

    number: int
    began: float
    since: float


class HeatWatch:
    """Keeps workers of one run from new trials while heat slows their machine down; thread-safe.

    Runs beside each other on one machine, such as Ray's workers of a node, each watch it alone:
    the workers of all of them are counted through, so that they agree on who goes on.

    Args:
        meters: Tell how long heat has slowed their components down; without one that does, nobody
            ever waits.
        workers: Of this run.
        beside: How many runs of the study on this machine are older, and how many there are.
        pauses: Stores the rests.
        note: Takes messages for the user.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        workers: int,
        beside: Callable[[], tuple[int, int]],
        pauses: PauseWriter,
        note: Callable[[str], None],
    ) -> None:
        self._meters = [meter for meter in meters if meter.slowdown() is not None]
        self._beside = beside
        self._pauses = pauses
        self._note = note
        self._lock = threading.Lock()
        self._present = list(range(workers))
        self._busy: set[int] = set()
        self._rests: dict[int, _Rest] = {}
        self._room: int | None = None  # of the machine's workers so many go on; None: all
        self._hot = False  # since fewer workers than before go on, or since it was cool
        self._in_vain = False
        self._why = ""
        self._seen = self._snapshots()

    def hold(self, worker: int, rest: Callable[[float], None], say: Callable[[str], None]) -> bool:
        """Call before each trial: waits a little where it is too hot for one more.

        Args:
            worker: Number of the caller.
            rest: Sleeps so many seconds; an exception of it ends the wait.
            say: Shows a line while waiting.

        Returns:
            Whether it waited; then ask again, unless there is nothing left to do.
        """
        if not self._meters:
            return False
        if self._may_begin(worker):
            self._end_rest(worker)
            return False
        if worker not in self._rests:
            began, since = time.time(), time.monotonic()
            number = self._pauses.begin(None, began, self._why)
            self._rests[worker] = _Rest(number, began, since)
        say(f"rests: {self._why}")
        rest(REST_SECONDS)
        return True

    def idle(self, worker: int) -> None:
        """Call where a worker begins no trial for another reason."""
        with self._lock:
            self._busy.discard(worker)
        self._end_rest(worker)

    def leave(self, worker: int) -> None:
        """Call when a worker has ended."""
        with self._lock:
            self._present.remove(worker)
        self.idle(worker)

    def _end_rest(self, worker: int) -> None:
        rest = self._rests.pop(worker, None)
        if rest is not None:
            # The wall clock may have been set.
            self._pauses.end(rest.number, rest.began + time.monotonic() - rest.since)

    def _may_begin(self, worker: int) -> bool:
        rest = self._rests.get(worker)
        with self._lock:
            self._look()
            restricted = self._hot or self._room is not None
            free = not restricted or self._is_admitted(worker, rest)
            (self._busy.add if free else self._busy.discard)(worker)
            return free

    def _look(self) -> None:
        """Asks the machine whether it was hot since the last look, if that is a while ago."""
        if time.monotonic() - self._seen[0].wall_seconds < LOOK_SECONDS:
            return
        now = self._snapshots()
        spans = [Span.between(*edges) for edges in zip(self._seen, now, strict=True)]
        self._seen = now
        hot = [span for span in spans if is_hot(span)]
        self._hot = bool(hot)
        if hot:
            self._why = _reason(max(hot, key=lambda span: span.throttled_seconds))
        else:
            self._in_vain = False
            if self._room is not None:
                self._room += 1

    def _snapshots(self) -> list[Snapshot]:
        now = time.monotonic()
        return [Snapshot(now, 0.0, slowdown=meter.slowdown()) for meter in self._meters]

    def _is_admitted(self, worker: int, rest: _Rest | None) -> bool:
        """Whether a worker is among those that go on."""
        older, runs = self._beside()
        places = {index: rank * runs + older for rank, index in enumerate(self._present)}
        everyone = runs * len(self._present)
        if self._room is not None and self._room >= everyone:
            self._room = None
            self._note("cool again: all workers of this machine go on")
        room = everyone if self._room is None else self._room
        # Fewer still only if it is hot with those that go on alone.
        alone = len(self._busy | {worker}) <= sum(place < room for place in places.values())
        if self._hot and room and rest is None and alone and not self._in_vain:
            self._hot, room = False, room // 2
            self._room = room
            self._tell(room, everyone)
        if places[worker] < (max(room, 1) if self._in_vain else room):
            return True
        if rest is None:
            return False
        rested = time.monotonic() - rest.since
        if places[worker] > 0:
            return rested >= LONGEST_SECONDS
        self._in_vain = rested >= LAST_SECONDS
        if self._in_vain:
            self._note(
                f"{LAST_SECONDS:g} s of rest have not cooled this machine: one worker goes on"
            )
        return self._in_vain

    def _tell(self, room: int, everyone: int) -> None:
        if room:
            who = f"only {room} of its {everyone} workers get new trials until it is cooler"
        else:
            who = f"its last worker rests, for {LAST_SECONDS:g} s at most"
        self._note(f"this machine is {self._why}: {who}")


def _reason(span: Span) -> str:
    if not span.throttled_seconds:
        return f"slowed down by heat in the last {span.wall_seconds:.0f} s"
    share = span.throttled_seconds / span.wall_seconds
    return f"slowed down by heat for {share:.0%} of the last {span.wall_seconds:.0f} s"

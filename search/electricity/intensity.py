"""What is known of the electricity: of a moment that has passed, and of the hours to come."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.forecast import LONGEST_HOURS, forecast
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.carbon.live import (
    ElectricityMaps,
    LiveIntensity,
    LiveUnavailable,
    Service,
    UKCarbonIntensity,
)
from greenfront.objectives.carbon.traces import IntensityStep, Trace, as_instant
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR
from greenfront.studies.config.carbon import CarbonSection
from greenfront.studies.store.ledger import Basis

__all__ = ["LIVE_URL", "IntensityProvider", "LiveProvider", "TraceProvider", "live_source"]

TOKEN = "ELECTRICITYMAPS_TOKEN"
LIVE_URL = "GREENFRONT_LIVE_URL"
"""Environment variable: where a live service is instead, such as a mirror or a server on test."""

REFRESH_SECONDS = 600.0
STALE_SECONDS = 3 * SECONDS_PER_HOUR
"""What a service said is used for so long after it was last heard."""

PAST_DAYS = 28

FORESEEN_SECONDS = 24 * SECONDS_PER_HOUR
"""A service's own forecast of so many hours is taken as it is; a shorter one is continued."""

Note = Callable[[str], None]


class IntensityProvider(Protocol):
    """Tells intensities by the grid's time, in seconds since 1970; for use by several threads."""

    def told(self, first: float, last: float) -> tuple[float, Basis] | None:
        """Mean g/kWh over a stretch and who tells; ``None`` where nobody does."""
        ...

    def ahead(self, now: float, deadline: float) -> Trace:
        """Known or forecast intensity from now on.

        A deadline that has passed is no reason to say nothing.

        Raises:
            DataError: Nothing can be said; the message says why.
        """
        ...

    def known(self, now: float) -> Trace | None:
        """What tells the intensity of this moment, whatever follows; ``None``: nothing does."""
        ...

    def running(self, note: Note) -> AbstractContextManager[None]:
        """Keeps itself up to date meanwhile.

        Args:
            note: Takes what people should know.
        """
        ...


def continued(trace: Trace, now: float, deadline: float) -> Trace:
    """A trace from now on: what it knows, and beyond that a forecast from its past.

    It reaches an hour ahead at least, also where the deadline has passed.

    Raises:
        DataError: Too little is known for a forecast.
    """
    present, deadline = as_instant(now), max(deadline, now + SECONDS_PER_HOUR)
    if trace.start <= present and trace.covers(present, as_instant(deadline)):
        return trace
    origin = max(now, trace.steps[-1].end_seconds)
    known = [step for step in trace.steps if step.end_seconds > now]
    if known and trace.steps[-1].end_seconds > deadline:
        return trace  # a gap within: no schedule offers it
    hours = min(max(math.ceil((deadline - origin) / SECONDS_PER_HOUR), 1), LONGEST_HOURS)
    told = [
        IntensityStep(max(step.start_seconds, origin), step.end_seconds, step.g_per_kwh, True)
        for step in forecast(trace, as_instant(origin), hours).steps
        if step.end_seconds > origin
    ]
    return Trace((*known, *told), trace.region, trace.source, trace.kind, trace.basis)


def _with_present(trace: Trace, now: float) -> Trace | None:
    return trace if trace.covers(as_instant(now), as_instant(now + 1)) else None


class TraceProvider:
    """What a file tells.

    Args:
        trace: Its content.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def told(self, first: float, last: float) -> tuple[float, Basis] | None:
        """See :meth:`IntensityProvider.told`."""
        start, end = as_instant(first), as_instant(last)
        # What lasts less than a microsecond has no instants.
        if not start < end or not self._trace.covers(start, end):
            return None
        return self._trace.mean_between(start, end), "trace"

    def ahead(self, now: float, deadline: float) -> Trace:
        """See :meth:`IntensityProvider.ahead`."""
        return continued(self._trace, now, deadline)

    def known(self, now: float) -> Trace | None:
        """See :meth:`IntensityProvider.known`."""
        return _with_present(self._trace, now)

    @contextlib.contextmanager
    def running(self, note: Note) -> Iterator[None]:
        """See :meth:`IntensityProvider.running`."""
        del note
        yield


class LiveProvider:
    """What a service tells; asked anew every ten minutes by a thread of its own.

    What it said last is used for three hours after it was heard. Then nobody tells any more, and
    whoever asks falls back on the study's average.

    Args:
        live: The service.
        average: What stands in, for messages.
    """

    def __init__(self, live: LiveIntensity, average: Intensity) -> None:
        self._live = live
        self._later = replace(live, past_days=1) if isinstance(live, UKCarbonIntensity) else live
        self._forecasts = True
        self._average = average
        self._lock = threading.Lock()
        self._steps: dict[float, IntensityStep] = {}
        self._trace: Trace | None = None
        self._heard_at = -math.inf
        self._problem: str | None = None

    def refresh(self) -> str | None:
        """Asks the service.

        Returns:
            What people should know: that it has failed, or that it answers again; else ``None``.

        Raises:
            UsageError: The token is refused.
        """
        now = time.time()
        source = self._live if self._trace is None else self._later
        try:
            traces = [source.recent(as_instant(now)), *self._forecast(now)]
        except LiveUnavailable as error:
            fresh, self._problem = self._problem is None, str(error)
            return self._failure() if fresh else None
        with self._lock:
            for trace in traces:
                self._steps.update({step.start_seconds: step for step in trace.steps})
            last = traces[-1]
            self._trace = Trace(
                _without_overlap(self._steps), last.region, last.source, last.kind, last.basis
            )
            self._heard_at = now
        again, self._problem = self._problem is not None, None
        return f"{self._live.name} answers again" if again else None

    def _forecast(self, now: float) -> list[Trace]:
        """The service's own forecast, where it gives one."""
        if not self._forecasts:
            return []
        try:
            return [self._live.ahead(as_instant(now))]
        except LiveUnavailable:
            return []
        except UsageError:
            # The token is good for the past: its plan has no forecasts, now or later.
            self._forecasts = False
            return []

    def _failure(self) -> str:
        average = f"the average of {self._average.region}, {self._average.g_per_kwh:.4g} g/kWh"
        if self._trace is None:
            return f"{self._live.name} tells nothing, {average}, stands in: {self._problem}"
        hours = STALE_SECONDS / SECONDS_PER_HOUR
        return (
            f"{self._live.name} tells nothing new; what it said last counts for {hours:g} h, then "
            f"{average}, stands in: {self._problem}"
        )

    def _present(self) -> Trace | None:
        with self._lock:
            return self._trace if time.time() - self._heard_at <= STALE_SECONDS else None

    def told(self, first: float, last: float) -> tuple[float, Basis] | None:
        """See :meth:`IntensityProvider.told`."""
        trace = self._present()
        start, end = as_instant(first), as_instant(last)
        if trace is None or not start < end or not trace.covers(start, end):
            return None
        guessed = any(
            step.estimated and step.start_seconds < last and step.end_seconds > first
            for step in trace.steps[-200:]
        )
        return trace.mean_between(start, end), "estimated" if guessed else "live"

    def ahead(self, now: float, deadline: float) -> Trace:
        """See :meth:`IntensityProvider.ahead`."""
        trace = self._present()
        if trace is None:
            raise DataError(f"{self._live.name}: {self._problem or 'has said nothing lately'}")
        enough = min(max(deadline, now + SECONDS_PER_HOUR), now + FORESEEN_SECONDS)
        if trace.end >= as_instant(enough):
            return trace
        try:
            return continued(trace, now, deadline)
        except DataError:
            # Values of the present end within the hour: what reaches farther is a forecast.
            if trace.end > as_instant(now + SECONDS_PER_HOUR):
                return trace
            raise

    def known(self, now: float) -> Trace | None:
        """See :meth:`IntensityProvider.known`."""
        trace = self._present()
        return None if trace is None else _with_present(trace, now)

    @contextlib.contextmanager
    def running(self, note: Note) -> Iterator[None]:
        """See :meth:`IntensityProvider.running`."""
        over = threading.Event()
        if self._problem is not None:
            note(self._failure())

        def keep_asking() -> None:
            while not over.wait(REFRESH_SECONDS):
                try:
                    said = self.refresh()
                except UsageError as error:
                    # It was accepted when the run began: the run goes on with the average.
                    said = f"{self._live.name} tells nothing more: {error}"
                    over.set()
                if said is not None:
                    note(said)

        # A daemon: it may be waiting for an answer when the run ends.
        thread = threading.Thread(target=keep_asking, name="live-intensity", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()


def _without_overlap(steps: dict[float, IntensityStep]) -> tuple[IntensityStep, ...]:
    ordered = [steps[start] for start in sorted(steps)]
    return tuple(
        step
        for step, after in zip(ordered, [*ordered[1:], None], strict=True)
        if after is None or step.end_seconds <= after.start_seconds
    )


def live_source(section: CarbonSection) -> LiveIntensity | None:
    """The live service of a study; asks it nothing yet.

    Raises:
        UsageError: It needs a token and the environment holds none.
    """
    if section.live is None:
        return None
    url = os.environ.get(LIVE_URL)
    if section.live == "uk":
        uk = UKCarbonIntensity(past_days=PAST_DAYS)
        return UKCarbonIntensity(_service(url), PAST_DAYS) if url else uk
    token = os.environ.get(TOKEN)
    if not token or section.zone is None:
        raise UsageError(
            f'[carbon] live = "electricitymaps" needs a token: put it into the environment '
            f"variable {TOKEN}, or take another source"
        )
    if url:
        return ElectricityMaps(section.zone, token, _service(url))
    return ElectricityMaps(section.zone, token)


def _service(url: str) -> Service:
    return Service(url, backoff_seconds=0.1)

"""Carbon intensity over time, from a file or a live service: known in the past, forecast ahead."""

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
from greenfront.studies.config.facts import TraceFacts
from greenfront.studies.store.ledger_writer import Basis

__all__ = [
    "LIVE_URL",
    "IntensityProvider",
    "LiveProvider",
    "TraceProvider",
    "intensity_provider",
    "live_source",
]

TOKEN = "ELECTRICITYMAPS_TOKEN"
LIVE_URL = "GREENFRONT_LIVE_URL"
"""Environment variable: address that replaces a live service's, such as that of a mirror."""

REFRESH_SECONDS = 600.0
STALE_SECONDS = 3 * SECONDS_PER_HOUR
"""Age from which an answer of a live service is no longer used."""

FORESEEN_SECONDS = 24 * SECONDS_PER_HOUR
"""A service's own forecast is used as it is if it reaches this far; a shorter one is continued."""

Note = Callable[[str], None]


class IntensityProvider(Protocol):
    """Carbon intensity over time; thread-safe.

    All times are seconds since 1970 by the grid's clock.
    """

    def mean_between(self, first: float, last: float) -> tuple[float, Basis] | None:
        """Mean g/kWh of an interval and its source; ``None`` where it is not known."""
        ...

    def ahead(self, now: float, deadline: float) -> Trace:
        """Known or forecast intensity from now on, for an hour at least.

        Raises:
            DataError: Too little is known; the message says why.
        """
        ...

    def known(self, now: float) -> Trace | None:
        """A trace that covers this moment, however far it reaches; ``None`` if there is none."""
        ...

    def running(self, note: Note) -> AbstractContextManager[None]:
        """Keeps the values up to date while the context is open; ``note`` takes messages."""
        ...


def continued(trace: Trace, now: float, deadline: float) -> Trace:
    """A trace from now on, continued by a forecast from its past until the deadline.

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
    estimated = [
        IntensityStep(max(step.start_seconds, origin), step.end_seconds, step.g_per_kwh, True)
        for step in forecast(trace, as_instant(origin), hours).steps
        if step.end_seconds > origin
    ]
    return Trace((*known, *estimated), trace.region, trace.source, trace.kind, trace.basis)


def _mean(trace: Trace, first: float, last: float) -> float | None:
    start, end = as_instant(first), as_instant(last)
    # Less than a microsecond rounds to an empty interval.
    return trace.mean_between(start, end) if start < end and trace.covers(start, end) else None


def _covering(trace: Trace | None, now: float) -> Trace | None:
    covers = trace is not None and trace.covers(as_instant(now), as_instant(now + 1))
    return trace if covers else None


class TraceProvider:
    """Intensities of a trace file.

    Args:
        trace: Its content.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def mean_between(self, first: float, last: float) -> tuple[float, Basis] | None:
        """See :class:`IntensityProvider`."""
        mean = _mean(self._trace, first, last)
        return None if mean is None else (mean, "trace")

    def ahead(self, now: float, deadline: float) -> Trace:
        """See :class:`IntensityProvider`."""
        return continued(self._trace, now, deadline)

    def known(self, now: float) -> Trace | None:
        """See :class:`IntensityProvider`."""
        return _covering(self._trace, now)

    def running(self, note: Note) -> AbstractContextManager[None]:
        """See :class:`IntensityProvider`."""
        del note
        return contextlib.nullcontext()


class LiveProvider:
    """Intensities of a live service, requested every ten minutes by a background thread.

    The last answer is used for three hours. After that nothing is known, and callers fall back on
    the study's average.

    Args:
        live: The service.
        average: The fallback, named in messages.
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
        """Requests new values.

        Returns:
            A message if the service has begun to fail, or answers again; else ``None``.

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
            self._trace = replace(last, steps=_without_overlap(self._steps))
            self._heard_at = now
        again, self._problem = self._problem is not None, None
        return f"{self._live.name} answers again" if again else None

    def _forecast(self, now: float) -> list[Trace]:
        """The service's own forecast, where it gives one."""
        try:
            return [self._live.ahead(as_instant(now))] if self._forecasts else []
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

    def mean_between(self, first: float, last: float) -> tuple[float, Basis] | None:
        """See :class:`IntensityProvider`."""
        trace = self._present()
        mean = None if trace is None else _mean(trace, first, last)
        if trace is None or mean is None:
            return None
        estimated = any(
            step.estimated and step.start_seconds < last and step.end_seconds > first
            for step in trace.steps[-200:]
        )
        return mean, "estimated" if estimated else "live"

    def ahead(self, now: float, deadline: float) -> Trace:
        """See :class:`IntensityProvider`."""
        trace = self._present()
        if trace is None:
            raise DataError(f"{self._live.name}: {self._problem or 'has said nothing lately'}")
        enough = min(max(deadline, now + SECONDS_PER_HOUR), now + FORESEEN_SECONDS)
        if trace.end >= as_instant(enough):
            return trace
        try:
            return continued(trace, now, deadline)
        except DataError:
            # Present values end within the hour: a trace that reaches farther holds a forecast.
            if trace.end > as_instant(now + SECONDS_PER_HOUR):
                return trace
            raise

    def known(self, now: float) -> Trace | None:
        """See :class:`IntensityProvider`."""
        return _covering(self._present(), now)

    @contextlib.contextmanager
    def running(self, note: Note) -> Iterator[None]:
        """See :class:`IntensityProvider`."""
        over = threading.Event()
        if self._problem is not None:
            note(self._failure())

        def keep_asking() -> None:
            while not over.wait(REFRESH_SECONDS):
                try:
                    message = self.refresh()
                except UsageError as error:
                    # It was accepted when the run began: the run goes on with the average.
                    message = f"{self._live.name} tells nothing more: {error}"
                    over.set()
                if message is not None:
                    note(message)

        # A daemon: it may be waiting for an answer when the run ends.
        threading.Thread(target=keep_asking, name="live-intensity", daemon=True).start()
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


def intensity_provider(
    section: CarbonSection,
) -> tuple[TraceFacts | None, IntensityProvider | None]:
    """The facts that a study keeps of its trace, and its intensities over time, if there are any.

    Raises:
        UsageError: A trace cannot be used, or a live service refuses its token.
    """
    found = section.read()
    if found is not None:
        trace, facts = found
        return facts, TraceProvider(trace)
    live = live_source(section)
    if live is None:
        return None, None
    provider = LiveProvider(live, section.model().intensity)
    provider.refresh()
    return None, provider


def live_source(section: CarbonSection) -> LiveIntensity | None:
    """The live service of a study; sends no request yet.

    Raises:
        UsageError: It needs a token and the environment holds none.
    """
    if section.live is None:
        return None
    url = os.environ.get(LIVE_URL)
    source: UKCarbonIntensity | ElectricityMaps
    if section.live == "uk":
        source = UKCarbonIntensity()
    else:
        token = os.environ.get(TOKEN)
        if not token or section.zone is None:
            raise UsageError(
                f'[carbon] live = "electricitymaps" needs a token: put it into the environment '
                f"variable {TOKEN}, or take another source"
            )
        source = ElectricityMaps(section.zone, token)
    return replace(source, service=Service(url, backoff_seconds=0.1)) if url else source

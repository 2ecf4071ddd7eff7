"""When to run: the best window and the best hours within a deadline, and what to do right now.

A job takes ``seconds`` of work between ``earliest`` and ``deadline``. Works on any ``Trace``: a
known one, the forecast of a service, or of ``forecast.forecast``. A study calls :func:`decide`
before it starts, between epochs and between trials, each time with a new forecast. (Waiting,
suspending and resuming: Wiesner et al., *Let's Wait Awhile*, Middleware 2021, arXiv 2110.13234.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.traces import Trace, as_instant, instant_seconds
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR

__all__ = ["Decision", "Plan", "best_hours", "best_window", "decide", "usual_best"]

_SLACK_SECONDS = 1e-3
"""Tolerance for the rounding of instants."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When a job runs.

    Attributes:
        stretches: Start and end of each stretch of work, in order of time.
        g_per_kwh: Mean carbon intensity over the work.
        filled_share: Share of the work that lies in short gaps of the trace.
    """

    stretches: tuple[tuple[datetime, datetime], ...]
    g_per_kwh: float
    filled_share: float

    @property
    def start(self) -> datetime:
        """When work begins."""
        return self.stretches[0][0]

    @property
    def end(self) -> datetime:
        """When work is done."""
        return self.stretches[-1][1]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a running study does now.

    Attributes:
        run: Whether to work now; otherwise wait.
        until: When to decide again: at the planned start or pause, but no later than the next full
            hour, when there is a new forecast. The end of the work where it cannot pause.
        planned_start: When work is planned to begin; ``now`` where ``run`` is true.
        g_per_kwh: Mean intensity of the planned work; ``None`` where the trace does not cover it.
        why: For people, in one sentence.
    """

    run: bool
    until: datetime
    planned_start: datetime
    g_per_kwh: float | None
    why: str


def _bounds(earliest: datetime, deadline: datetime, seconds: float) -> tuple[float, float]:
    first, last = instant_seconds("earliest", earliest), instant_seconds("deadline", deadline)
    if not (math.isfinite(seconds) and seconds > 0):
        raise UsageError(f"seconds: must be a finite number over 0, got {seconds}")
    if last - first < seconds - _SLACK_SECONDS:
        raise UsageError(
            f"deadline: must leave {seconds:g} s for the work, got {last - first:g} s from "
            f"{earliest.isoformat()} to {deadline.isoformat()}; set a later one, or start at once"
        )
    return first, max(last, first + seconds)


def _plan(trace: Trace, stretches: list[tuple[float, float]], g_per_kwh: float) -> Plan:
    instants = tuple((as_instant(start), as_instant(end)) for start, end in stretches)
    whole = sum(end - start for start, end in stretches)
    filled = sum(
        trace.filled_share(start, end) * (end - start).total_seconds() for start, end in instants
    )
    return Plan(instants, g_per_kwh, filled / whole)


def best_window(trace: Trace, earliest: datetime, deadline: datetime, seconds: float) -> Plan:
    """The stretch of least mean intensity for a job that cannot be interrupted.

    The mean is piecewise linear in the start, so a minimum lies where the window begins or ends at
    an edge of the trace's steps, or at a bound.

    Returns:
        One stretch, the earliest of equally good ones. Windows that reach beyond the trace or touch
        a long gap are not offered.

    Raises:
        UsageError: The deadline leaves too little time, or an instant has no time zone.
        DataError: The trace covers no window.
    """
    first, last = _bounds(earliest, deadline, seconds)
    starts, ends, _ = trace.pieces(first, last)
    edges = np.concatenate([starts, ends])
    candidates = np.concatenate([edges, edges - seconds, [first, last - seconds]])
    candidates = np.unique(candidates[(candidates >= first) & (candidates <= last - seconds)])
    means = trace.means(candidates, seconds)
    if np.all(np.isnan(means)):
        raise DataError(
            f"{trace.source}: must cover {seconds:g} s without a long gap between "
            f"{earliest.isoformat()} and {deadline.isoformat()}, but reaches from "
            f"{trace.start.isoformat()} to {trace.end.isoformat()}; give a trace or forecast of "
            "that time"
        )
    # Equal means differ in their last digits: the earliest of them is meant.
    best = np.nanmin(means)
    at = int(np.argmax(means <= best + 1e-9 * max(float(best), 1.0)))
    start = float(candidates[at])
    return _plan(trace, [(start, start + seconds)], float(means[at]))


def best_hours(trace: Trace, earliest: datetime, deadline: datetime, seconds: float) -> Plan:
    """The greenest moments for a job that may pause at any time.

    Steps of the trace are taken from the least intensity up until the work is done; of the last one
    only a part. That is optimal: moving work into any step that is left out cannot lower the mean.

    Returns:
        The stretches of work, neighbours joined. Long gaps of the trace are not offered.

    Raises:
        UsageError: The deadline leaves too little time, or an instant has no time zone.
        DataError: The trace covers less time than the work takes.
    """
    first, last = _bounds(earliest, deadline, seconds)
    starts, ends, values = trace.pieces(first, last)
    lengths = ends - starts
    if lengths.sum() < seconds - _SLACK_SECONDS:
        raise DataError(
            f"{trace.source}: must cover {seconds:g} s between {earliest.isoformat()} and "
            f"{deadline.isoformat()}, but covers {lengths.sum():g} s; give a trace or forecast of "
            "that time"
        )
    order = np.argsort(values, kind="stable")
    taken = np.zeros(len(values))
    before = np.concatenate([[0.0], np.cumsum(lengths[order])[:-1]])
    taken[order] = np.clip(seconds - before, 0.0, lengths[order])
    stretches: list[tuple[float, float]] = []
    for index in np.flatnonzero(taken > 0):
        start, end = float(starts[index]), float(ends[index])
        if taken[index] < lengths[index]:
            joined = bool(stretches) and stretches[-1][1] >= start
            follows = index + 1 < len(taken) and taken[index + 1] > 0
            # A part lies next to a neighbour that runs, so that it costs no further pause.
            if follows and not joined and ends[index] >= starts[index + 1]:
                start = end - float(taken[index])
            else:
                end = start + float(taken[index])
        if stretches and stretches[-1][1] >= start:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    return _plan(trace, stretches, float((taken * values).sum() / taken.sum()))


def decide(
    now: datetime,
    remaining_seconds: float,
    deadline: datetime,
    trace: Trace,
    *,
    may_pause: bool = True,
    pause_above: float | None = None,
) -> Decision:
    """Whether to run now or wait.

    Args:
        now: The present.
        remaining_seconds: Work that is left.
        deadline: When it must be done; never missed for the sake of carbon.
        trace: Known or forecast intensity from now on.
        may_pause: Whether the job can stop between epochs and trials and go on later. Otherwise it
            runs through once begun: decide only before its start.
        pause_above: Run while the intensity is at most this many g/kWh and wait while it is higher,
            instead of looking for the greenest moments.

    Returns:
        What to do until when, and why.

    Raises:
        UsageError: A number is out of range, or an instant has no time zone.
    """
    if pause_above is not None and not (math.isfinite(pause_above) and pause_above >= 0):
        raise UsageError(
            f"pause_above: must be a finite number of g/kWh of 0 or more, got {pause_above}; leave "
            "it out to look for the greenest moments"
        )
    if not (math.isfinite(remaining_seconds) and remaining_seconds >= 0):
        raise UsageError(
            f"remaining_seconds: must be a finite number of 0 or more, got {remaining_seconds}"
        )
    present, last = instant_seconds("now", now), instant_seconds("deadline", deadline)
    if remaining_seconds == 0:
        return Decision(True, now, now, None, "no work is left")
    latest = last - remaining_seconds
    if latest <= present + _SLACK_SECONDS:
        late = present - latest
        short = f" and will be missed by {late / 60:.0f} min" if late >= 60 else ""
        why = f"run now: the deadline {_clock(last)} leaves no time to wait{short}"
        return Decision(True, as_instant(present + remaining_seconds), now, None, why)
    if pause_above is not None:
        return _by_threshold(present, latest, trace, pause_above)
    try:
        plan = (best_hours if may_pause else best_window)(trace, now, deadline, remaining_seconds)
    except DataError as error:
        why = f"run now: no forecast to wait for ({error})"
        return Decision(True, as_instant(_next_hour(present)), now, None, why)
    start = instant_seconds("start", plan.start)
    at_once = float(trace.means(np.array([present]), remaining_seconds)[0])
    gain = "" if math.isnan(at_once) else f" instead of {at_once:.0f} when run through from now"
    if start <= present + _SLACK_SECONDS:
        until = instant_seconds("end", plan.stretches[0][1])
        until = min(until, _next_hour(present)) if may_pause else until
        why = f"run now: no better time until {_clock(last)} ({plan.g_per_kwh:.0f} g/kWh)"
        return Decision(True, as_instant(until), now, plan.g_per_kwh, why)
    why = f"wait until {_clock(start)}: {plan.g_per_kwh:.0f} g/kWh{gain}, done by {_clock(last)}"
    until = min(start, _next_hour(present))
    return Decision(False, as_instant(until), plan.start, plan.g_per_kwh, why)


def _by_threshold(present: float, latest: float, trace: Trace, pause_above: float) -> Decision:
    starts, ends, values = trace.pieces(present, latest)
    here = np.flatnonzero((starts <= present) & (present < ends))
    now = as_instant(present)
    if not here.size:
        why = "run now: the trace says nothing of this moment"
        return Decision(True, as_instant(_next_hour(present)), now, None, why)
    value = float(values[here[0]])
    if value <= pause_above:
        why = f"run now: {value:.0f} g/kWh is at most {pause_above:g}"
        return Decision(True, as_instant(float(ends[here[0]])), now, value, why)
    green = np.flatnonzero(values <= pause_above)
    start = float(starts[green[0]]) if green.size else latest
    until = as_instant(min(start, _next_hour(present)))
    reason = "" if green.size else ", the last moment for the deadline"
    why = f"wait until {_clock(start)}{reason}: {value:.0f} g/kWh now is over {pause_above:g}"
    planned = float(values[green[0]]) if green.size else None
    return Decision(False, until, as_instant(start), planned, why)


def _next_hour(present: float) -> float:
    return ((present + _SLACK_SECONDS) // SECONDS_PER_HOUR + 1) * SECONDS_PER_HOUR


def _clock(seconds: float) -> str:
    return f"{as_instant(seconds):%Y-%m-%d %H:%M} UTC"


def usual_best(trace: Trace, seconds: float, within_seconds: float) -> float:
    """Intensity that a job gets on average when it waits for its best window.

    The mean, over all hours of the trace at which the job could be submitted, of the best window
    within the deadline; windows start on the hour.

    Args:
        trace: Known intensity.
        seconds: How long the job takes.
        within_seconds: From submission to the deadline; at least ``seconds``.

    Returns:
        g/kWh.

    Raises:
        UsageError: A number is out of range.
        DataError: The trace is shorter than the deadline, or has too many long gaps.
    """
    if not (0 < seconds <= within_seconds and math.isfinite(within_seconds)):
        raise UsageError(
            f"within_seconds: must be a finite number of at least the job's {seconds:g} s (over "
            f"0), got {within_seconds}"
        )
    hours = within_seconds / SECONDS_PER_HOUR
    first, last = trace.start.timestamp(), trace.end.timestamp()
    starts = np.arange(first, last - seconds + _SLACK_SECONDS, SECONDS_PER_HOUR)
    choices = int((within_seconds - seconds) // SECONDS_PER_HOUR) + 1
    means = trace.means(starts, seconds)
    if len(means) < choices:
        raise DataError(
            f"{trace.source}: must be at least as long as the deadline of "
            f"{hours:g} h, got {(last - first) / SECONDS_PER_HOUR:g} h; give a longer trace"
        )
    windows = np.lib.stride_tricks.sliding_window_view(means, choices)
    whole = windows[~np.isnan(windows).any(axis=1)]
    if not len(whole):
        raise DataError(
            f"{trace.source}: must have a stretch of {hours:g} h without a long gap, got none; "
            "give a more complete trace"
        )
    return float(whole.min(axis=1).mean())

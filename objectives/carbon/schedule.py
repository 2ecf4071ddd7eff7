"""When to run: the best window and the best hours within a deadline, and what to do right now.

A job takes ``seconds`` of work between ``earliest`` and ``deadline``. Works on any ``Trace``: a
known one, the forecast of a service, or of ``forecast.forecast``. A study calls :func:`decide`
before it starts, between epochs and between trials, each time with a new forecast. (Waiting,
suspending and resuming: Wiesner et al., *Let's Wait Awhile*, Middleware 2021, arXiv 2110.13234.)

Work that several workers share can be elastic: more of them in green hours, none in dirty ones
(``throughput``; Hanafy et al., *CarbonScaler*, POMACS 7, 2023, arXiv 2302.08681).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.scaling import ONE_WORKER, Floats, allocation, gains
from greenfront.objectives.carbon.traces import Trace, as_instant, instant_seconds
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR

__all__ = ["Decision", "Plan", "best_hours", "best_window", "decide", "usual_best"]

_SLACK_SECONDS = 1e-3
"""Tolerance for the rounding of instants."""

_IN_HOURS = 6
"""From so many on a delay is told in hours, not in minutes."""

_SHORTEST_SECONDS = 1e-5
"""Of a stretch: instants count whole microseconds."""

_Stretch = tuple[float, float, int]
"""Start, end, and how many workers run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When a job runs.

    Attributes:
        stretches: Start and end of each stretch of work, in order of time.
        workers: How many workers run in each stretch.
        g_per_kwh: Mean carbon intensity over the seconds of all workers.
        filled_share: Share of these seconds that lies in short gaps of the trace.
    """

    stretches: tuple[tuple[datetime, datetime], ...]
    workers: tuple[int, ...]
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

    @property
    def worker_seconds(self) -> float:
        """Seconds of all workers together; what they draw is proportional to it."""
        return sum(
            count * (end - start).total_seconds()
            for count, (start, end) in zip(self.workers, self.stretches, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What a running study does now.

    Attributes:
        workers: How many workers run now; 0: wait.
        until: When to decide again: at the planned start or pause, but no later than the next full
            hour, when there is a new forecast. The end of the work where it cannot pause.
        planned_start: When work is planned to begin; ``now`` where ``run`` is true.
        g_per_kwh: Mean intensity of the planned work; ``None`` where the trace does not cover it.
        why: For people, in one sentence.
    """

    workers: int
    until: datetime
    planned_start: datetime
    g_per_kwh: float | None
    why: str

    @property
    def run(self) -> bool:
        """Whether to work now; otherwise wait."""
        return self.workers > 0


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


def _plan(trace: Trace, stretches: list[_Stretch], g_per_kwh: float) -> Plan:
    instants = tuple((as_instant(start), as_instant(end)) for start, end, _ in stretches)
    workers = tuple(count for _, _, count in stretches)
    whole = sum(count * (end - start) for start, end, count in stretches)
    filled = sum(
        count * trace.filled_share(*bounds) * (bounds[1] - bounds[0]).total_seconds()
        for bounds, count in zip(instants, workers, strict=True)
    )
    return Plan(instants, workers, g_per_kwh, filled / whole)


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
    return _plan(trace, [(start, start + seconds, 1)], float(means[at]))


def best_hours(
    trace: Trace,
    earliest: datetime,
    deadline: datetime,
    seconds: float,
    throughput: Sequence[float] = ONE_WORKER,
) -> Plan:
    """The greenest moments for a job that may pause at any time.

    Steps of the trace are taken from the least carbon for a second of work up until the work is
    done; of the last one only a part. That is optimal: moving work into any step that is left out
    cannot lower the sum.

    Args:
        trace: Known or forecast intensity.
        earliest: When work may begin.
        deadline: When it must be done.
        seconds: The work, in seconds of one worker.
        throughput: What 1, 2, … workers do together, in units of one worker; each of them draws
            the same. One worker by default.

    Returns:
        The stretches of work, neighbours with as many workers joined. Long gaps of the trace are
        not offered.

    Raises:
        UsageError: The deadline leaves too little time, an instant has no time zone, or more
            workers gain more than fewer did.
        DataError: The trace covers less time than the work takes.
    """
    gained = gains(throughput)
    least = seconds / throughput[-1]
    first, last = _bounds(earliest, deadline, least)
    starts, ends, values = trace.pieces(first, last)
    lengths = ends - starts
    if lengths.sum() < least - _SLACK_SECONDS:
        raise DataError(
            f"{trace.source}: must cover {least:g} s between {earliest.isoformat()} and "
            f"{deadline.isoformat()}, but covers {lengths.sum():g} s; give a trace or forecast of "
            "that time"
        )
    levels = allocation(lengths, values, seconds, gained)
    stretches: list[_Stretch] = []
    for index in np.flatnonzero(levels > 0).tolist():
        for stretch in _pieces(starts, ends, levels, index):
            if stretches and stretches[-1][1:] == (stretch[0], stretch[2]):
                stretches[-1] = (stretches[-1][0], *stretch[1:])
            else:
                stretches.append(stretch)
    drawn = levels * lengths
    return _plan(trace, stretches, float((drawn * values).sum() / drawn.sum()))


def _pieces(starts: Floats, ends: Floats, levels: Floats, index: int) -> list[_Stretch]:
    """The stretches of one step, of which a part may have one worker more than the rest."""
    start, end = float(starts[index]), float(ends[index])
    whole = math.floor(levels[index])
    part = float(levels[index] - whole) * (end - start)
    if end - start - part < _SHORTEST_SECONDS:
        return [(start, end, whole + 1)]
    if part < _SHORTEST_SECONDS and whole:
        return [(start, end, whole)]
    part = max(part, _SHORTEST_SECONDS)
    last = len(levels) - 1
    before = levels[index - 1] if index and ends[index - 1] >= start else 0.0
    after = levels[index + 1] if index < last and end >= starts[index + 1] else 0.0
    # The part lies next to a neighbour that runs, so that it costs no further pause.
    if after > 0 and before == 0:
        found = [(start, end - part, whole), (end - part, end, whole + 1)]
    else:
        found = [(start, start + part, whole + 1), (start + part, end, whole)]
    return [stretch for stretch in found if stretch[2]]


def decide(
    now: datetime,
    remaining_seconds: float,
    deadline: datetime,
    trace: Trace,
    *,
    may_pause: bool = True,
    pause_above: float | None = None,
    throughput: Sequence[float] = ONE_WORKER,
) -> Decision:
    """Whether to run now or wait.

    Args:
        now: The present.
        remaining_seconds: Work that is left, in seconds of one worker.
        deadline: When it must be done; never missed for the sake of carbon.
        trace: Known or forecast intensity from now on.
        may_pause: Whether the job can stop between epochs and trials and go on later. Otherwise it
            runs through once begun: decide only before its start.
        pause_above: Run while the intensity is at most this many g/kWh and wait while it is higher,
            instead of looking for the greenest moments.
        throughput: What 1, 2, … workers do together, for work that may pause; see
            :func:`best_hours`.

    Returns:
        What to do until when, and why. Where it does not look for the greenest moments, all
        workers run or none.

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
    most = len(throughput)
    if remaining_seconds == 0:
        return Decision(most, now, now, None, "no work is left")
    least = remaining_seconds / throughput[-1]
    latest = last - least
    if latest <= present + _SLACK_SECONDS:
        late = present - latest
        hours = late / SECONDS_PER_HOUR
        span = f"{late / 60:.0f} min" if hours < _IN_HOURS else f"{hours:.0f} h"
        short = f" and will be missed by {span}" if late >= 60 else ""
        why = f"run now: the deadline {_clock(last)} leaves no time to wait{short}"
        return Decision(most, as_instant(present + least), now, None, why)
    if pause_above is not None:
        return _by_threshold(present, latest, trace, pause_above, most)
    try:
        if may_pause:
            plan = best_hours(trace, now, deadline, remaining_seconds, throughput)
        else:
            plan = best_window(trace, now, deadline, remaining_seconds)
    except DataError as error:
        why = f"run now: no forecast to wait for ({error})"
        return Decision(most, as_instant(_next_hour(present)), now, None, why)
    start = instant_seconds("start", plan.start)
    at_once = float(trace.means(np.array([present]), least)[0])
    gain = "" if math.isnan(at_once) else f" instead of {at_once:.0f} when run through from now"
    if start <= present + _SLACK_SECONDS:
        until = instant_seconds("end", plan.stretches[0][1])
        until = min(until, _next_hour(present)) if may_pause else until
        running = plan.workers[0]
        which = "" if running == most else f" with {running} of {most} workers"
        why = f"run now{which}: no better time until {_clock(last)} ({plan.g_per_kwh:.0f} g/kWh)"
        return Decision(running, as_instant(until), now, plan.g_per_kwh, why)
    why = f"wait until {_clock(start)}: {plan.g_per_kwh:.0f} g/kWh{gain}, done by {_clock(last)}"
    until = min(start, _next_hour(present))
    return Decision(0, as_instant(until), plan.start, plan.g_per_kwh, why)


def _by_threshold(
    present: float, latest: float, trace: Trace, pause_above: float, most: int
) -> Decision:
    starts, ends, values = trace.pieces(present, latest)
    here = np.flatnonzero((starts <= present) & (present < ends))
    now = as_instant(present)
    if not here.size:
        why = "run now: the trace says nothing of this moment"
        return Decision(most, as_instant(_next_hour(present)), now, None, why)
    value = float(values[here[0]])
    if value <= pause_above:
        why = f"run now: {value:.0f} g/kWh is at most {pause_above:g}"
        return Decision(most, as_instant(float(ends[here[0]])), now, value, why)
    green = np.flatnonzero(values <= pause_above)
    start = float(starts[green[0]]) if green.size else latest
    until = as_instant(min(start, _next_hour(present)))
    reason = "" if green.size else ", the last moment for the deadline"
    why = f"wait until {_clock(start)}{reason}: {value:.0f} g/kWh now is over {pause_above:g}"
    planned = float(values[green[0]]) if green.size else None
    return Decision(0, until, as_instant(start), planned, why)


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

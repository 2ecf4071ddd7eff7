"""How much carbon do elastic workers save? The second half of ``carbon_schedule.py``.

Work that takes one worker 6 to 24 hours is handed in at random hours and must be done within 6 to
48; up to 8 workers share it, each draws the same. Compared with one worker that starts at once and
runs through, mean over the jobs:

- waiting: one worker in the greenest hours, the future known: what elasticity is compared with;
- oracle: the least carbon of any allocation, a linear programme solved by HiGHS;
- known: ``schedule.best_hours`` on the trace itself;
- forecast: ``schedule.decide`` each full hour, with a forecast from the hours that are over. Its
  rule is replayed on the hours; `--check N` replays N jobs a cell through ``decide`` itself.

With diminishing throughput (k workers do k^0.9) the last worker costs more than the first.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from greenfront.objectives.carbon.forecast import LONGEST_HOURS, forecast
from greenfront.objectives.carbon.scaling import allocation, gains
from greenfront.objectives.carbon.schedule import best_hours, decide
from greenfront.objectives.carbon.traces import Trace

WORK_AND_DEADLINE_HOURS = ((6, 6), (6, 24), (12, 24), (24, 24), (24, 48))
MOST_WORKERS = 8
EXPONENTS = (1.0, 0.9)
HOUR = 3600.0

Cell = tuple[int, int, float]
"""Hours of work, hours to the deadline, exponent of the throughput."""

Floats = NDArray[np.float64]


def throughput(exponent: float) -> tuple[float, ...]:
    return tuple(float(count**exponent) for count in range(1, MOST_WORKERS + 1))


def oracle(values: Floats, work: int, gained: Floats) -> float:
    """Least g/kWh times hours of all workers."""
    costs = np.repeat(values, len(gained))
    done = np.tile(gained, len(values))
    found = linprog(costs, A_ub=-done[None, :], b_ub=[-float(work)], bounds=(0, 1))
    return float(found.fun)


def replay(values: Floats, ahead: Floats, start: int, cell: Cell, gained: Floats) -> float:
    """What a job emits that plans anew each hour; `ahead[t, h]` is the forecast at t."""
    work, deadline, _ = cell
    left, grams = float(work), 0.0
    for passed in range(deadline):
        if left <= 1e-9:
            break
        now = start + passed
        hours = np.ones(deadline - passed)
        level = allocation(hours, ahead[now, : len(hours)], left, gained)[0]
        whole = int(level)
        grams += level * values[now]
        left -= gained[:whole].sum() + (level - whole) * (gained[whole] if whole < level else 0.0)
    assert left <= 1e-6, "the deadline was missed"
    return grams


def replay_by_decide(trace: Trace, start: int, cell: Cell) -> float:
    """The same through `decide` itself."""
    work, deadline, exponent = cell
    together = (0.0, *throughput(exponent))
    now = trace.start + timedelta(hours=start)
    end = now + timedelta(hours=deadline)
    left, grams = work * HOUR, 0.0
    while left > 1e-3:
        ahead = forecast(trace, now, min(deadline, LONGEST_HOURS - 1))
        step = decide(now, left, end, ahead, throughput=together[1:])
        if not step.run:
            now = step.until
            continue
        stop = min(step.until, now + timedelta(seconds=left / together[step.workers]))
        seconds = (stop - now).total_seconds()
        grams += step.workers * trace.mean_between(now, stop) * seconds / HOUR
        left -= together[step.workers] * seconds
        now = stop
    return grams


def measure(
    trace: Trace, values: Floats, ahead: Floats, starts: NDArray[np.int64], check: int
) -> dict[Cell, dict[str, float]]:
    """Mean savings on one grid, 0 to 1, for each cell."""
    found: dict[Cell, dict[str, float]] = {}
    for exponent in EXPONENTS:
        gained = gains(throughput(exponent))
        for work, deadline in WORK_AND_DEADLINE_HOURS:
            cell = (work, deadline, exponent)
            saved = []
            for number, start in enumerate(starts.tolist()):
                window = values[start : start + deadline]
                at_once = window[:work].sum()
                now = trace.start + timedelta(hours=start)
                plan = best_hours(
                    trace, now, now + timedelta(hours=deadline), work * HOUR, throughput(exponent)
                )
                replayed = replay(values, ahead, start, cell, gained)
                if number < check:
                    told = replay_by_decide(trace, start, cell)
                    if abs(told / replayed - 1) > 1e-4:
                        raise SystemExit(f"{now}: decide differs, {told} instead of {replayed}")
                grams = {
                    "waiting": np.sort(window)[:work].sum(),
                    "oracle": oracle(window, work, gained),
                    "known": plan.g_per_kwh * plan.worker_seconds / HOUR,
                    "forecast": replayed,
                }
                saved.append([1 - value / at_once for value in grams.values()])
            found[cell] = dict(zip(grams, np.mean(saved, axis=0).tolist(), strict=True))
    return found


def share(grids: dict[str, dict[Cell, dict[str, float]]], name: str, exponent: float) -> float:
    """What a way of planning saves over what the oracle does, summed over grids and cells."""
    cells = [
        cell for grid in grids.values() for (_, _, power), cell in grid.items() if power == exponent
    ]
    return sum(cell[name] for cell in cells) / sum(cell["oracle"] for cell in cells)

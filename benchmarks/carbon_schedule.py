"""How much carbon does waiting save? Jobs on a simulated clock, over a year of real grids.

Jobs of 1 and 4 hours are handed in at random hours, with deadlines of 6 to 72 hours, and either run
through once begun or pause whenever they like. Compared with starting at once, mean over the jobs:

- oracle: the best choice by brute force over the hours, knowing the future;
- known: `schedule.best_window` and `best_hours` on the trace itself;
- plain: the hour of the day's mean of the last week, plus the last deviation fading by 5 % an hour,
  planned once at the start: what a better forecast is measured against;
- forecast: what a study does that knows the past alone. At each full hour it forecasts anew from
  the hours that are over, and runs now where `schedule.decide` says so. Its rule is replayed for
  all jobs at once; `--check N` replays N jobs a cell through `decide` itself and compares.

`--data` is a folder of `ZONE_YEAR.csv` with the columns `timestamp_utc,g_per_kwh`. The forecast's
constants were tuned on the first half year of Germany and Great Britain alone. Its form was chosen
among a few that had been compared on all five grids as well, where they differed by up to 3 points
of the oracle's share: the average over all grids is that much less than an untouched test.

What literature promises is not this. 51 % (CarbonScaler, arXiv 2302.08681) and 57 % (CarbonFlex,
arXiv 2505.18357) come from running on more machines while power is green, not from waiting alone:
that is `carbon_elastic.py`, whose table is printed after the first.
Over 123 regions, shifting in time and place "yields limited benefits for many workloads and cloud
regions" (Sukprasert et al., arXiv 2306.06502v1). The oracle's column is the most that any scheduler
could save by waiting on these grids.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import timedelta
from pathlib import Path

import carbon_elastic
import numpy as np
from carbon_elastic import Cell
from numpy.typing import NDArray

from greenfront.objectives.carbon.forecast import LONGEST_HOURS, Forecaster, forecast
from greenfront.objectives.carbon.schedule import best_hours, best_window, decide
from greenfront.objectives.carbon.trace_files import read_trace
from greenfront.objectives.carbon.traces import Trace, as_instant

JOB_HOURS = (1, 4)
DEADLINE_HOURS = (6, 12, 24, 72)
HOUR = 3600.0
WARM_UP_HOURS = 28 * 24
PROMISES = (
    "promised: 51 % CarbonScaler (arXiv 2302.08681), 57 % CarbonFlex (arXiv 2505.18357), both by "
    "running on more machines in green hours; against it 'limited benefits' (arXiv 2306.06502v1)"
)

Floats = NDArray[np.float64]
Hours = NDArray[np.int64]


def sliding(values: Floats, width: int) -> Floats:
    return np.lib.stride_tricks.sliding_window_view(values, width)


def window_means(values: Floats, job: int) -> Floats:
    return sliding(values, job).mean(axis=1)


def oracle(values: Floats, starts: Hours, job: int, deadline: int, pauses: bool) -> Floats:
    """Least mean intensity of each job, by looking at all hours."""
    if pauses:
        return np.sort(sliding(values, deadline)[starts], axis=1)[:, :job].mean(axis=1)
    return sliding(window_means(values, job), deadline - job + 1)[starts].min(axis=1)


def known(trace: Trace, starts: Hours, job: int, deadline: int, pauses: bool) -> Floats:
    """The same by the product's own functions, handed the trace itself."""
    first = trace.start
    plan = best_hours if pauses else best_window
    found = []
    for start in starts.tolist():
        now = first + timedelta(hours=start)
        found.append(plan(trace, now, now + timedelta(hours=deadline), job * HOUR).g_per_kwh)
    return np.array(found)


def replay(
    values: Floats, ahead: Floats, starts: Hours, job: int, deadline: int, pauses: bool
) -> Floats:
    """What jobs get that plan anew each hour; `ahead[t, h]` is the forecast at t of hour t + h."""
    if pauses:
        return replay_pauses(values, ahead, starts, job, deadline)
    slack = deadline - job
    windows = np.mean([ahead[:, hour : hour + slack + 1] for hour in range(job)], axis=0)
    best = np.minimum.accumulate(windows, axis=1)
    begun = np.full(len(starts), -1)
    for waited in range(slack + 1):
        at = starts + waited
        now_is_best = windows[at, 0] <= best[at, slack - waited]
        begun = np.where((begun < 0) & now_is_best, at, begun)
    return window_means(values, job)[begun]


def replay_pauses(values: Floats, ahead: Floats, starts: Hours, job: int, deadline: int) -> Floats:
    better = np.cumsum(ahead[:, :deadline] < ahead[:, :1], axis=1)
    left = np.full(len(starts), job)
    grams = np.zeros(len(starts))
    for passed in range(deadline):
        at = starts + passed
        # Now is among the best hours that are left for the work that is left.
        runs = (left > 0) & (better[at, deadline - passed - 1] < left)
        grams += np.where(runs, values[at], 0.0)
        left = left - runs
    return grams / job


def plain_forecast(values: Floats) -> Floats:
    """`[t, h]`: last week's mean of the hour of the day, and the last deviation fading."""
    ahead = np.full((len(values), LONGEST_HOURS), np.nan)
    hours = np.arange(LONGEST_HOURS)
    fading = 0.95 ** (hours + 1)
    for hour in range(WARM_UP_HOURS, len(values)):
        profile = values[hour - 168 : hour].reshape(7, 24).mean(axis=0)
        ahead[hour] = profile[hours % 24] + (values[hour - 1] - profile[-1]) * fading
    return ahead


def once(
    values: Floats, ahead: Floats, starts: Hours, job: int, deadline: int, pauses: bool
) -> Floats:
    """What jobs get that plan at their start and keep to it."""
    if pauses:
        best = np.argsort(ahead[starts, :deadline], axis=1)[:, :job]
        return values[starts[:, None] + best].mean(axis=1)
    slack = deadline - job
    windows = np.mean([ahead[starts, hour : hour + slack + 1] for hour in range(job)], axis=0)
    return window_means(values, job)[starts + windows.argmin(axis=1)]


def replay_by_decide(trace: Trace, start: int, job: int, deadline: int, pauses: bool) -> float:
    """One job through `decide` itself."""
    now = trace.start + timedelta(hours=start)
    end = now + timedelta(hours=deadline)
    left, grams = job, 0.0
    while left:
        ahead = forecast(trace, now, min(deadline, LONGEST_HOURS - 1))
        step = decide(now, left * HOUR, end, ahead, may_pause=pauses)
        if not step.run:
            now = step.until
            continue
        hours = 1 if pauses else job
        stop = now + timedelta(hours=hours)
        grams += trace.mean_between(now, stop) * hours
        left, now = left - hours, stop
    return grams / job


def oracle_of_all_hours(path: Path) -> float:
    """The oracle's mean saving for 1 hour within 24, over all hours of the year."""
    trace = read_trace(path)
    first, last = trace.start.timestamp(), trace.end.timestamp()
    values = trace.means(np.arange(first, last, HOUR), HOUR)
    saved = 1 - sliding(values, 24).min(axis=1) / values[: len(values) - 23]
    return float(np.nanmean(saved))


def measure(
    path: Path, jobs: int, check: int, seed: int
) -> tuple[dict[tuple[int, int, bool], dict[str, float]], dict[Cell, dict[str, float]]]:
    """Mean savings on one grid, 0 to 1, for each job length, deadline and way of running.

    And the same of elastic workers, on a fifth of the starts.
    """
    trace = read_trace(path)
    first = trace.start.timestamp()
    count = int((trace.end.timestamp() - first) // HOUR)
    values = trace.means(first + HOUR * np.arange(count), HOUR)
    forecaster = Forecaster(trace)
    ahead = np.full((count, LONGEST_HOURS), np.nan)
    for hour in range(WARM_UP_HOURS, count):
        ahead[hour] = forecaster.hours(int(first // HOUR) + hour)
    plain = plain_forecast(values)
    whole = ~np.isnan(sliding(values, max(DEADLINE_HOURS))).any(axis=1)
    possible = np.flatnonzero(whole)
    random = np.random.default_rng(seed)
    starts = random.choice(possible[possible >= WARM_UP_HOURS], size=jobs, replace=True)
    found = {}
    for job in JOB_HOURS:
        at_once = window_means(values, job)[starts]
        for deadline in DEADLINE_HOURS:
            for pauses in (False, True):
                replayed = replay(values, ahead, starts, job, deadline, pauses)
                for index in range(check):
                    told = replay_by_decide(trace, int(starts[index]), job, deadline, pauses)
                    if abs(told - replayed[index]) > 1e-6:
                        when = as_instant(first + HOUR * int(starts[index]))
                        raise SystemExit(f"{path.stem} {when}: decide differs, {told}")
                reached = {
                    "oracle": oracle(values, starts, job, deadline, pauses),
                    "known": known(trace, starts, job, deadline, pauses),
                    "plain": once(values, plain, starts, job, deadline, pauses),
                    "forecast": replayed,
                }
                found[job, deadline, pauses] = {
                    name: float(np.mean(1 - grams / at_once)) for name, grams in reached.items()
                }
    return found, carbon_elastic.measure(trace, values, ahead, starts[: jobs // 5], check)


def share(
    grids: dict[str, dict[tuple[int, int, bool], dict[str, float]]], name: str, longest: int
) -> float:
    """Mean over grids and cells of the share of the oracle's saving, for deadlines up to `longest`.

    A job of one hour on an hourly trace gains nothing from pauses: these cells count once.
    """
    return float(
        np.mean(
            [
                cell[name] / cell["oracle"]
                for cells in grids.values()
                for (job, deadline, pauses), cell in cells.items()
                if deadline <= longest and not (job == 1 and pauses)
            ]
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of ZONE_YEAR.csv")
    parser.add_argument("--quick", action="store_true", help="50 jobs a cell instead of 500")
    parser.add_argument("--seed", type=int, default=0, help="of the random starts")
    parser.add_argument("--check", type=int, default=0, help="jobs to replay through decide")
    parser.add_argument("--json", action="store_true", help="only the last line")
    arguments = parser.parse_args()
    paths = sorted(arguments.data.glob("*_*.csv"))
    if not paths:
        raise SystemExit(f"{arguments.data}: has no ZONE_YEAR.csv")
    began = time.perf_counter()
    grids, elastic = {}, {}
    for path in paths:
        jobs = 50 if arguments.quick else 500
        grids[path.stem], elastic[path.stem] = measure(path, jobs, arguments.check, arguments.seed)
        if arguments.json:
            continue
        for (job, deadline, pauses), cell in grids[path.stem].items():
            how = "pauses" if pauses else "start-only"
            numbers = "  ".join(f"{name} {100 * value:5.1f} %" for name, value in cell.items())
            print(
                f"{path.stem}  {job} h within {deadline:2} h  {how:10}  {numbers}  "
                f"share {100 * cell['forecast'] / cell['oracle']:3.0f} %"
            )
        for (job, deadline, exponent), cell in elastic[path.stem].items():
            numbers = "  ".join(f"{name} {100 * value:5.1f} %" for name, value in cell.items())
            print(
                f"{path.stem}  {job:2} h of one worker within {deadline:2} h, up to "
                f"{carbon_elastic.MOST_WORKERS} that do k^{exponent:g}  {numbers}"
            )
    result = {
        "forecast_share_24h": share(grids, "forecast", 24),
        "forecast_share_72h": share(grids, "forecast", 72),
        "plain_share_24h": share(grids, "plain", 24),
        "known_share_72h": share(grids, "known", 72),
        "elastic": {
            f"k^{exponent:g}": {
                name: carbon_elastic.share(elastic, name, exponent)
                for name in ("waiting", "known", "forecast")
            }
            for exponent in carbon_elastic.EXPONENTS
        },
        "elastic_forecast_share_by_grid": {
            name: carbon_elastic.share({name: cells}, "forecast", 1.0)
            for name, cells in elastic.items()
        },
        "largest_elastic_oracle_saving": max(
            cell["oracle"] for cells in elastic.values() for cell in cells.values()
        ),
        "largest_oracle_saving": max(
            cell["oracle"] for cells in grids.values() for cell in cells.values()
        ),
        "share_24h_by_grid": {
            name: share({name: cells}, "forecast", 24) for name, cells in grids.items()
        },
        "oracle_1h_24h_all_hours": {path.stem: oracle_of_all_hours(path) for path in paths},
        "seconds": time.perf_counter() - began,
    }
    if not arguments.json:
        print(PROMISES)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

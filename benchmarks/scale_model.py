"""Beyond one machine: what one database bears of many workers, as a model, not as a measurement.

A closed network of N workers and one database. A worker evaluates a trial for T seconds on average
(exponentially distributed: some trials are stopped early, some are long), then asks the database R
times in a row; each statement takes L seconds on the network and S seconds (exponentially
distributed) of the database, which serves C of them at a time. Besides, the run of each worker
beats every H seconds, with B statements at once. Nobody else uses the database.

R was counted: a trivial evaluation takes 50 to 70 statements in all (controller and Optuna's
storage together), a real one adds four for each of about 20 metered windows. All other inputs are
assumptions, printed with the result. What the model leaves out: limits on connections, samplers
that take longer the more trials there are, reconnects after outages, locks on one row.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from dataclasses import asdict, dataclass

WORKERS = (1, 10, 100, 1000, 10_000)
LEAST_TRIALS, LEAST_CYCLES = 1000, 3
"""Trials in all and a worker that are simulated at least."""


@dataclass(frozen=True)
class Assumptions:
    trial_seconds: float = 60.0
    statements: int = 150
    network_seconds: float = 0.001
    service_seconds: float = 0.0005
    servers: int = 8
    heartbeat_seconds: float = 5.0
    heartbeat_statements: int = 4


@dataclass(frozen=True)
class Result:
    workers: int
    trials_a_second: float
    efficiency: float
    database_busy: float
    statement_seconds: float


class Database:
    """Several servers with one queue; work is served in the order in which it comes."""

    def __init__(self, servers: int) -> None:
        self.free = [0.0] * servers
        self.busy = 0.0

    def serve(self, at: float, seconds: float) -> float:
        """Takes work at a time; returns when it is done. Calls must come in the order of time."""
        begin = max(at, heapq.heappop(self.free))
        heapq.heappush(self.free, begin + seconds)
        self.busy += seconds
        return begin + seconds


def simulate(workers: int, given: Assumptions, seed: int = 0) -> Result:
    """Discrete events: each worker is at its next statement, or at the end of its trial."""
    draw, base = random.Random(seed), Database(given.servers)
    served = workers * given.statements * given.service_seconds / given.servers
    horizon = max(
        given.trial_seconds * max(LEAST_TRIALS / workers, LEAST_CYCLES), LEAST_CYCLES * served
    )
    warm = horizon / 3  # all begin at once; what is counted comes after that
    # When, whether it is a heartbeat, and whose.
    events: list[tuple[float, int, int]] = []
    left = [0] * workers
    for worker in range(workers):
        heapq.heappush(events, (draw.expovariate(1 / given.trial_seconds), 0, worker))
        heapq.heappush(events, (draw.uniform(0, given.heartbeat_seconds), 1, worker))
    trials, asked, waited = 0, 0, 0.0
    while events and events[0][0] < horizon:
        now, kind, worker = heapq.heappop(events)
        arrived = now + given.network_seconds / 2
        asked_for = given.heartbeat_statements if kind else 1
        done = base.serve(arrived, asked_for * draw.expovariate(1 / given.service_seconds))
        done += given.network_seconds / 2
        if kind == 1:
            # The heartbeat waits for its own statements before it counts on.
            heapq.heappush(events, (done + given.heartbeat_seconds, 1, worker))
            continue
        asked, waited = asked + (now > warm), waited + (now > warm) * (done - now)
        left[worker] += 1
        if left[worker] == given.statements:
            left[worker], trials = 0, trials + (now > warm)
            done += draw.expovariate(1 / given.trial_seconds)
        heapq.heappush(events, (done, 0, worker))
    ideal = workers / given.trial_seconds
    rate = trials / (horizon - warm)
    return Result(
        workers=workers,
        trials_a_second=rate,
        efficiency=rate / ideal,
        database_busy=min(base.busy / (horizon * given.servers), 1.0),
        statement_seconds=waited / asked if asked else 0.0,
    )


def bound(given: Assumptions) -> float:
    """Workers that the database bears at most: each makes so many statements a second."""
    beats = given.heartbeat_statements / given.heartbeat_seconds
    cycle = given.trial_seconds + given.statements * (given.network_seconds + given.service_seconds)
    return given.servers / given.service_seconds / (given.statements / cycle + beats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="up to 100 workers")
    parser.add_argument("--json", action="store_true", help="only the last line")
    for name, value in asdict(Assumptions()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    asked = vars(parser.parse_args())
    quick, as_json = asked.pop("quick"), asked.pop("json")
    given = Assumptions(**asked)
    found = [simulate(workers, given) for workers in WORKERS[: 3 if quick else None]]
    result = {
        "assumptions": asdict(given),
        "bound_workers": bound(given),
        "modelled": [asdict(row) for row in found],
    }
    if not as_json:
        print(json.dumps(asdict(given)))
        for row in found:
            print(
                f"{row.workers:>6} workers: {row.trials_a_second:9.3f} trials/s, efficiency "
                f"{row.efficiency:.2f}, database {100 * row.database_busy:3.0f}% busy, a "
                f"statement takes {1000 * row.statement_seconds:.1f} ms"
            )
        print(f"full at about {bound(given):,.0f} workers")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

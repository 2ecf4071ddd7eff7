"""Are children that live shortly counted? Twenty of them, one after the other, 0.4 s each.

The truth is what the kernel tells of each child when it is waited for. Beside it stand our count of
CPU time, which joules of the CPU model follow, and CodeCarbon's process mode on the same run: its
share is its CPU energy of the children over its CPU energy of the same work without children.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from greenfront.objectives.metering.codecarbon import offline_tracker
from greenfront.objectives.metering.cpu_model import CpuModelMeter

CHILDREN = 20
CHILD_SECONDS = 0.4
BURN = "import sys, time\nwhile time.process_time() < float(sys.argv[1]): pass"


def run_children(count: int) -> float:
    """Runs them one by one; returns the CPU seconds that the kernel accounts for."""
    spent = 0.0
    for _ in range(count):
        child = subprocess.Popen([sys.executable, "-c", BURN, str(CHILD_SECONDS)])
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        spent += usage.ru_utime + usage.ru_stime
    return spent


def burn(cpu_seconds: float) -> None:
    """The same work in this process."""
    until = time.process_time() + cpu_seconds
    while time.process_time() < until:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer children")
    parser.add_argument("--json", action="store_true", help="only the last line")
    arguments = parser.parse_args()
    count = 6 if arguments.quick else CHILDREN
    meter, tracker = CpuModelMeter(), offline_tracker("process")
    tracker.start_task("warm up")  # its first task takes seconds
    tracker.stop_task()

    own, before = time.process_time(), meter.snapshot(os.getpid())
    tracker.start_task("children")
    truth = run_children(count)
    told = tracker.stop_task()
    after, mine = meter.snapshot(os.getpid()), time.process_time() - own
    reading = meter.reading(before, after)

    own = time.process_time()
    tracker.start_task("alone")
    burn(truth)
    alone = tracker.stop_task()
    alone_seconds = time.process_time() - own

    ours = reading.cpu_seconds - mine
    watts = (reading.joules or 0.0) / reading.cpu_seconds
    # What CodeCarbon's own process used while it waited stands in its number, so it goes off.
    theirs_a_second = alone.cpu_energy / alone_seconds
    theirs = max(0.0, told.cpu_energy / theirs_a_second - mine) if theirs_a_second else 0.0
    result = {
        "children": count,
        "kernel_cpu_seconds": truth,
        "our_cpu_seconds": ours,
        "our_joules": ours * watts,
        "our_share": ours / truth,
        "codecarbon_children_joules": told.cpu_energy * 3.6e6,
        "codecarbon_same_work_alone_joules": alone.cpu_energy * 3.6e6,
        "codecarbon_share": theirs / truth,
    }
    if not arguments.json:
        for name, value in result.items():
            print(f"{name:36} {value:.6g}")
        print(f"target: our_share >= 0.99: {'met' if result['our_share'] >= 0.99 else 'MISSED'}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

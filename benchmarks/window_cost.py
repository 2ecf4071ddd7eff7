"""What one metered window costs: ours, Zeus', CodeCarbon's, in turns in one run; medians.

A window is opened and closed around 3 ms of work, which are taken off. Ours and Zeus' read RAPL
counters of packages and memory in a powercap folder that this script makes and moves on every
millisecond, because real ones are rarely readable; each also has the window that it would open on
this machine. Zeus lives in an environment of its own: the one
given, or one that is made for the run and thrown away. Its window walks no process tree: it counts
whatever runs on the machine. Each contender is a process of its own without children.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.codecarbon import offline_tracker
from greenfront.objectives.metering.instruments import Instruments, detect
from greenfront.objectives.metering.rapl import RaplMeter

WORK_SECONDS = 0.003

MOVER = """
import os, sys, time
files = [os.open(path, os.O_WRONLY) for path in sys.argv[1:]]
energy_uj = 10**11
while True:
    energy_uj += 50_000
    for file in files:
        os.pwrite(file, b"%d" % energy_uj, 0)
    time.sleep(0.001)
"""

ZEUS = f"""
import sys, time
WORK_SECONDS = {WORK_SECONDS}
import zeus.device.cpu.rapl as rapl
from zeus.monitor import ZeusMonitor

def main():
    native = ZeusMonitor()
    counted = native
    if len(sys.argv) > 1:
        import zeus.device.cpu as cpus
        rapl.RAPL_DIR = sys.argv[1]
        rapl.rapl_is_available.cache_clear()
        cpus._cpus = None
        counted = ZeusMonitor(gpu_indices=[])
        counted.begin_window("w")
        counted.end_window("w")
        time.sleep(10)  # its helper processes have just started
    print(len(native.gpu_indices), len(native.cpu_indices), len(counted.cpu_indices), flush=True)
    for line in sys.stdin:
        monitor = counted if line.strip() == "counted" else native
        began = time.perf_counter()
        monitor.begin_window("w")
        inside = time.perf_counter()
        while time.perf_counter() - inside < WORK_SECONDS:
            pass
        inside = time.perf_counter() - inside
        monitor.end_window("w")
        print(time.perf_counter() - began - inside, flush=True)

if __name__ == "__main__":
    main()
"""


def powercap(folder: Path) -> tuple[Path, Path]:
    """Two packages with memory, as a server shows them.

    Returns:
        The devices, one within the other, and the folder that links to all of them.
    """
    devices, links = folder / "intel-rapl", folder / "powercap"
    links.mkdir()
    for package in ("intel-rapl:0", "intel-rapl:1"):
        for zone, name in ((package, f"package-{package[-1]}"), (f"{package}:0", "dram")):
            place = devices / package if zone == package else devices / package / zone
            place.mkdir(parents=True)
            (place / "name").write_text(name + "\n")
            (place / "max_energy_range_uj").write_text("262143328850\n")
            (place / "energy_uj").write_text("100000000000\n")
            (links / zone).symlink_to(place)
    return devices, links


class Server:
    """A process of its own that opens one window of a kind when it is told to, and times it.

    Its own, because what a window costs depends on how many children there are to be walked.
    """

    def __init__(self, *command: str | Path) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.about = self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with code {self._process.wait()}")
        return line

    def window(self, kind: str) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(kind + "\n")
        self._process.stdin.flush()
        return float(self._read())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def zeus(python: Path | None, folder: Path, counters: Path) -> tuple[Server | None, str]:
    """Zeus, or why it cannot be had."""
    try:
        if python is None:
            home = folder / "zeus"
            subprocess.run([sys.executable, "-m", "venv", home], check=True, capture_output=True)
            python = home / "bin" / "python"
            subprocess.run(
                [python, "-m", "pip", "install", "-q", "zeus"], check=True, capture_output=True
            )
        script = folder / "zeus_windows.py"
        script.write_text(ZEUS)
        found = Server(python, script, counters)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        return None, f"Zeus could not be had: {error}"
    gpus, packages, counted = found.about.split()
    return found, (
        f"Zeus finds {gpus} GPUs and {packages} CPU packages here, and {counted} packages in the "
        "folder that was made"
    )


def work() -> float:
    """Works for a moment; returns for how long."""
    began = time.perf_counter()
    while time.perf_counter() - began < WORK_SECONDS:
        pass
    return time.perf_counter() - began


def ours(instruments: Instruments) -> Callable[[], float]:
    context = LocalContext(instruments)

    def window() -> float:
        began = time.perf_counter()
        with context.phase("work"):
            inside = work()
        return time.perf_counter() - began - inside

    return window


def codecarbon(mode: str) -> Callable[[], float]:
    tracker = offline_tracker(mode)

    def window() -> float:
        began = time.perf_counter()
        tracker.start_task()
        inside = work()
        tracker.stop_task()
        return time.perf_counter() - began - inside

    window()  # the first one takes seconds
    return window


def serve(kind: str, links: Path) -> None:
    """Answers each line with the seconds of one window."""
    match kind:
        case "machine" | "process":
            window = codecarbon(kind)
        case "counted":
            package = RaplMeter(links, resolution_seconds=0.02)
            memory = RaplMeter(links, "dram", resolution_seconds=0.02)
            window = ours(Instruments((package, memory)))
        case _:
            window = ours(detect())
    print("ready", flush=True)
    for _ in sys.stdin:
        print(window(), flush=True)


CONTENDERS = {
    "ours, on this machine": "native",
    "ours, RAPL files": "counted",
    "CodeCarbon, machine mode": "machine",
    "CodeCarbon, process mode": "process",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer windows")
    parser.add_argument("--json", action="store_true", help="only the last line")
    parser.add_argument("--zeus", type=Path, metavar="PYTHON", help="an interpreter with Zeus")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve[0], Path(arguments.serve[1]))
        return
    count = 100 if arguments.quick else 1000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        devices, links = powercap(folder)
        mover = subprocess.Popen([sys.executable, "-c", MOVER, *links.glob("*/energy_uj")])
        turns: dict[str, Callable[[], float]] = {}
        servers = []
        for contender, kind in CONTENDERS.items():
            server = Server(sys.executable, __file__, "--serve", kind, links)
            servers.append(server)
            turns[contender] = functools.partial(server.window, kind)
        other, remark = zeus(arguments.zeus, folder, devices)
        if other is not None:
            servers.append(other)
            turns["Zeus, on this machine"] = functools.partial(other.window, "native")
            turns["Zeus, RAPL files"] = functools.partial(other.window, "counted")
        taken: dict[str, list[float]] = {contender: [] for contender in turns}
        for _ in range(count):
            for contender, window in turns.items():
                taken[contender].append(window())
        for server in servers:
            server.close()
        mover.kill()
        mover.wait()
    result = {contender: 1e3 * statistics.median(times) for contender, times in taken.items()}
    worst = {c: 1e3 * sorted(times)[int(0.95 * count)] for c, times in taken.items()}
    if not arguments.json:
        print(f"milliseconds a window, median and 95th percentile of {count}, in turns")
        for contender, milliseconds in result.items():
            print(f"{contender:28} {milliseconds:8.3f} {worst[contender]:8.3f}")
        print(remark)
        met = result["ours, on this machine"] <= 1 and result["ours, RAPL files"] <= 1
        print(f"target: ours <= 1 ms: {'met' if met else 'MISSED'}")
    print(json.dumps({"windows": count, "median_ms": result, "p95_ms": worst, "zeus": remark}))


if __name__ == "__main__":
    main()

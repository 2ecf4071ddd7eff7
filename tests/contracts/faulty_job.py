"""Jobs that misbehave, for evaluators; imported by name in a process of their own."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from greenfront.errors import DataError, TrialFailed, TrialStopped
from greenfront.objectives.codec import from_json
from greenfront.objectives.context import StageContext
from greenfront.objectives.outcome import Outcome
from greenfront.search.evaluator.child import Calls
from greenfront.search.evaluator.trial_job import trial_job


def burn(cpu_seconds: float) -> None:
    until = time.process_time() + cpu_seconds
    while time.process_time() < until:
        pass


def leave_behind(places: Path) -> None:
    """A fork, one that was given away, one in its own session, a program, and a worker."""

    def stay(name: str) -> NoReturn:
        part = places.with_suffix(f".{name}")
        part.write_text(str(os.getpid()))
        part.rename(places / name)
        time.sleep(3600)
        os._exit(0)

    if os.fork() == 0:
        stay("fork")
    if (middle := os.fork()) == 0:
        if os.fork() == 0:
            stay("orphan")
        os._exit(0)
    os.waitpid(middle, 0)
    if (middle := os.fork()) == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            stay("daemon")
        os._exit(0)
    os.waitpid(middle, 0)
    code = (
        "import os, pathlib, time\n"
        f"part = pathlib.Path({str(places)!r} + '.program')\n"
        "part.write_text(str(os.getpid()))\n"
        f"part.rename({str(places / 'program')!r})\n"
        "time.sleep(3600)"
    )
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    multiprocessing.get_context("fork").Process(target=stay, args=("worker",), daemon=True).start()


def make(context: StageContext, settings: dict[str, Any]) -> Calls:
    if settings.get("refuse"):
        raise DataError("the data are refused")

    def segfault(_argument: Any) -> None:
        with context.phase("train"):
            burn(0.2)
            ctypes.string_at(0)

    def killed(_argument: Any) -> None:
        burn(0.1)
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(_argument: Any) -> None:
        with context.phase("train"):
            time.sleep(3600)

    def hog(_argument: Any) -> None:
        blocks = []
        while True:
            blocks.append(b"x" * 50_000_000)
            time.sleep(0.01)

    def raises(_argument: Any) -> None:
        raise RuntimeError("something odd")

    def no_memory(_argument: Any) -> None:
        raise MemoryError

    def disk_full(_argument: Any) -> None:
        with Path("/dev/full").open("w") as file:
            file.write("too much")

    def diverge(_argument: Any) -> None:
        raise TrialFailed("diverged", "the loss was nan")

    def give_up(_argument: Any) -> None:
        raise TrialStopped("not worth it")

    def work(cpu_seconds: float) -> dict[str, float]:
        context.progress("half way")
        burn(cpu_seconds / 4)
        with context.phase("train") as window:
            burn(cpu_seconds)
        reading = window.total
        return {"joules": reading.joules or 0.0, "cpu_seconds": reading.cpu_seconds}

    def work_until(found: str) -> float:
        with context.phase("train") as window:
            while not Path(found).exists():
                burn(0.01)
        return window.total.cpu_seconds

    def weigh(argument: dict[str, Any]) -> str | None:
        outcome = from_json(Outcome, argument)
        return context.standing(outcome, outcome)

    def epochs(count: int) -> dict[str, float]:
        with context.phase("train") as window:
            for epoch in range(count):
                burn(0.1)
                context.progress(f"epoch {epoch + 1}")
        reading = window.total
        return {"cpu_seconds": reading.cpu_seconds, "wall_seconds": reading.wall_seconds}

    def work_in_children(cpu_seconds: float) -> dict[str, float]:
        with context.phase("train") as window:
            for _ in range(4):
                code = f"import time\nwhile time.process_time() < {cpu_seconds / 4}: pass"
                subprocess.run([sys.executable, "-c", code], check=True)
        return {"cpu_seconds": window.total.cpu_seconds}

    def nested(cpu_seconds: float) -> dict[str, float]:
        with context.phase("train") as outer:
            burn(cpu_seconds)
            with context.phase("teacher") as inner:
                burn(cpu_seconds)
        return {"inner": inner.total.joules or 0.0, "outer": outer.total.joules or 0.0}

    def nested_failure(cpu_seconds: float) -> dict[str, float]:
        with context.phase("train") as outer:
            with contextlib.suppress(ZeroDivisionError), context.phase("teacher"):
                burn(cpu_seconds)
                raise ZeroDivisionError
            burn(cpu_seconds)
        return {"outer": outer.total.joules or 0.0}

    def child_that_stays(argument: dict[str, Any]) -> None:
        """Starts one that works, says so in a file, and does not end."""
        code = (
            "import pathlib, time\n"
            f"while time.process_time() < {argument['cpu_seconds']}: pass\n"
            f"pathlib.Path({argument['done']!r}).touch()\n"
            "time.sleep(3600)"
        )
        with context.phase("train"):
            subprocess.run([sys.executable, "-c", code], check=True)

    def leave_children(argument: dict[str, Any]) -> None:
        """Starts processes in every way that there is, writes their numbers, then goes on so."""
        places = Path(argument["pids"])
        places.mkdir()
        leave_behind(places)
        while len(list(places.iterdir())) < 5:
            time.sleep(0.01)
        context.progress("left")
        match argument["then"]:
            case "segfault":
                ctypes.string_at(0)
            case "hang":
                time.sleep(3600)
            case "keep Python busy":  # the expression's engine never gives the lock up
                re.match(r"(a+)+$", "a" * 60 + "b")

    def say(_argument: Any) -> int:
        sys.stdout.write("users print things\n")
        return os.getpid()

    calls = (segfault, killed, hang, hog, raises, no_memory, disk_full, diverge, give_up)

    def visible_cards(_argument: Any) -> str | None:
        return os.environ.get("CUDA_VISIBLE_DEVICES")

    return {
        **{call.__name__: call for call in calls},
        "visible_cards": visible_cards,
        "work": work,
        "work_until": work_until,
        "epochs": epochs,
        "weigh": weigh,
        "work_in_children": work_in_children,
        "nested": nested,
        "nested_failure": nested_failure,
        "child_that_stays": child_that_stays,
        "leave_children": leave_children,
        "say": say,
    }


def always_diverges(context: StageContext, settings: dict[str, Any]) -> Calls:
    """The real job, but every trial works for a while and then fails as a divergence does."""

    def trial(_candidate: Any) -> None:
        with context.phase("train"):
            burn(0.1)
            raise TrialFailed("diverged", "the loss was nan")

    return {**trial_job(context, settings), "trial": trial}


def int8_crashes(context: StageContext, settings: dict[str, Any]) -> Calls:
    """The real trials, but every pruned 8-bit one brings its process down half way."""
    calls = dict(trial_job(context, settings))
    honest = calls["trial"]

    def trial(candidate: Any) -> Any:
        if candidate["precision"]["bits"] == 8 and candidate["pruning"]["ratio"] > 0:
            with context.phase("train"):
                burn(0.1)
                ctypes.string_at(0)
        return honest(candidate)

    return {**calls, "trial": trial}

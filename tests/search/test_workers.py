from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from greenfront.errors import TrialFailed, TrialStopped, UsageError
from greenfront.objectives.metering.cpu_model import CpuModelMeter, stated_watts
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.meter import Component
from greenfront.objectives.readings import Reading
from greenfront.search.interruption import Interrupted
from greenfront.search.workers import local
from greenfront.search.workers.local import CallHooks, Evaluator, EvaluatorSettings

WATTS = 10.0
TESTS = Path(__file__).parents[1]


class Purse:
    """Collects what is charged."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Reading]] = []

    def __call__(
        self, phase: str, readings: Mapping[Component, Reading], start: float, end: float
    ) -> None:
        assert start <= end
        self.entries += [(phase, reading) for reading in readings.values()]

    def cpu_seconds(self, phase: str | None = None) -> float:
        return sum(r.cpu_seconds for name, r in self.entries if phase in (None, name))

    def joules(self) -> float:
        return sum(reading.joules or 0.0 for _, reading in self.entries)


@pytest.fixture
def purse() -> Purse:
    return Purse()


@pytest.fixture(autouse=True)
def importable_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def start(
    tmp_path: Path, purse: Purse, memory_bytes: float | None = None, **settings: Any
) -> Evaluator:
    return Evaluator(
        EvaluatorSettings(
            job="contracts.faulty_job:make",
            settings=settings,
            log=tmp_path / "logs" / "evaluator.log",
            memory_bytes=memory_bytes,
        ),
        Instruments((CpuModelMeter(stated_watts(WATTS)),)),
        CallHooks(charge=purse),
    )


@pytest.fixture
def evaluator(tmp_path: Path, purse: Purse) -> Iterator[Evaluator]:
    evaluator = start(tmp_path, purse)
    yield evaluator
    evaluator.close(purse)


def test_stays_warm_and_keeps_its_words_in_the_log(
    evaluator: Evaluator, purse: Purse, tmp_path: Path
) -> None:
    hooks = CallHooks(charge=purse)
    assert evaluator.call("say", None, hooks) == evaluator.call("say", None, hooks)
    evaluator.close(purse)
    assert (tmp_path / "logs" / "evaluator.log").read_text() == "users print things\n" * 2


def test_a_window_holds_its_own_work_and_the_ledger_all_of_it(
    evaluator: Evaluator, purse: Purse
) -> None:
    seen: list[str] = []
    answer = evaluator.call("work", 0.4, CallHooks(charge=purse, progress=seen.append))
    assert answer["cpu_seconds"] == pytest.approx(0.4, rel=0.1)
    assert answer["joules"] == pytest.approx(WATTS * answer["cpu_seconds"], rel=1e-9)
    assert purse.cpu_seconds("train") == pytest.approx(answer["cpu_seconds"], rel=1e-9)
    # The quarter outside the window is charged as well, together with the start.
    assert purse.cpu_seconds("overhead") > 0.1
    assert purse.joules() == pytest.approx(WATTS * purse.cpu_seconds(), rel=1e-9)
    assert seen == ["half way"]


def test_short_lived_children_count(evaluator: Evaluator, purse: Purse) -> None:
    answer = evaluator.call("work_in_children", 0.8, CallHooks(charge=purse))
    assert answer["cpu_seconds"] >= 0.8 * 0.97


def test_nothing_is_lost_between_start_and_end(tmp_path: Path, purse: Purse) -> None:
    evaluator = start(tmp_path, purse)
    before = os.times()
    evaluator.call("work", 0.3, CallHooks(charge=purse))
    evaluator.close(purse)
    after = os.times()
    # The kernel's own account of the reaped child, which counts its start too.
    children = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    assert purse.cpu_seconds() == pytest.approx(children, abs=0.05)


@pytest.mark.parametrize(
    ("name", "cause", "words"),
    [
        ("segfault", "crashed", "SIGSEGV"),
        ("killed", "out of memory", "SIGKILL"),
        ("raises", "error", "RuntimeError: something odd"),
        ("no_memory", "out of memory", "MemoryError"),
        ("diverge", "diverged", "the loss was nan"),
    ],
)
def test_faults_fail_the_call_with_their_cause_and_are_charged(
    evaluator: Evaluator, purse: Purse, name: str, cause: str, words: str
) -> None:
    with pytest.raises(TrialFailed, match=words) as failure:
        evaluator.call(name, None, CallHooks(charge=purse))
    assert failure.value.cause == cause
    assert evaluator.alive == (name not in {"segfault", "killed"})
    if name == "segfault":
        assert purse.cpu_seconds("train") >= 0.2


def test_a_hang_is_killed_after_its_time(evaluator: Evaluator, purse: Purse) -> None:
    with pytest.raises(TrialFailed, match="trial_minutes") as failure:
        evaluator.call("hang", None, CallHooks(charge=purse), timeout_seconds=0.5)
    assert failure.value.cause == "timed out"
    assert not evaluator.alive


def test_memory_beyond_the_limit_is_killed(tmp_path: Path, purse: Purse) -> None:
    evaluator = start(tmp_path, purse, memory_bytes=400e6)
    with pytest.raises(TrialFailed, match="memory_gb") as failure:
        evaluator.call("hog", None, CallHooks(charge=purse), timeout_seconds=60)
    assert failure.value.cause == "out of memory"
    assert evaluator.peak_memory_bytes > 400e6
    assert not evaluator.alive


def test_the_users_wish_to_stop_ends_a_call(evaluator: Evaluator, purse: Purse) -> None:
    with pytest.raises(Interrupted):
        evaluator.call("hang", None, CallHooks(charge=purse, stopping=lambda: True))
    assert not evaluator.alive


def test_stopped_and_refused_are_no_failures(
    evaluator: Evaluator, purse: Purse, tmp_path: Path
) -> None:
    with pytest.raises(TrialStopped, match="not worth it"):
        evaluator.call("give_up", None, CallHooks(charge=purse))
    assert evaluator.alive
    with pytest.raises(UsageError, match="the data are refused"):
        start(tmp_path, purse, refuse=True)


def test_a_long_window_reaches_the_ledger_piece_by_piece(
    evaluator: Evaluator, purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "FLUSH_SECONDS", 0.2)
    answer = evaluator.call("work", 1.5, CallHooks(charge=purse))
    pieces = [reading for phase, reading in purse.entries if phase == "train"]
    assert len(pieces) >= 3
    assert sum(r.cpu_seconds for r in pieces) == pytest.approx(answer["cpu_seconds"], rel=1e-9)


def test_an_evaluator_does_not_outlive_its_supervisor(tmp_path: Path) -> None:
    script = tmp_path / "supervisor.py"
    script.write_text(
        f"""
import sys, time
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from greenfront.objectives.metering.instruments import detect
from greenfront.search.workers.local import CallHooks, Evaluator, EvaluatorSettings
hooks = CallHooks(charge=lambda *args: None)
how = EvaluatorSettings(job="contracts.faulty_job:make", settings={{}}, log=Path("log"))
evaluator = Evaluator(how, detect(), hooks)
print(evaluator.call("say", None, hooks), flush=True)
evaluator.call("hang", None, hooks)
"""
    )
    supervisor = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert supervisor.stdout is not None
    with supervisor.stdout:
        pid = int(supervisor.stdout.readline())
    child = psutil.Process(pid)
    supervisor.kill()
    supervisor.wait()
    deadline = time.monotonic() + 20
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the evaluator lives on"
        time.sleep(0.05)

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.contexts import Scripted
from contracts.evaluators import WATTS, Purse, start
from contracts.waiting import eventually
from greenfront.errors import Interrupted, SearchAborted, TrialFailed, TrialStopped, UsageError
from greenfront.objectives.codec import to_json
from greenfront.objectives.context import TrialContext
from greenfront.objectives.outcome import Outcome, Standing
from greenfront.objectives.readings import Component, Reading
from greenfront.search.evaluator import process as local
from greenfront.search.evaluator.early_stopping import EarlyStopping
from greenfront.search.evaluator.process import Evaluator
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.storage import Storage

TESTS = Path(__file__).parents[2]


def test_stays_warm_and_keeps_its_words_in_the_log(
    evaluator: Evaluator, purse: Purse, tmp_path: Path
) -> None:
    context = purse
    assert evaluator.call("say", None, context, returns=object) == evaluator.call(
        "say", None, context, returns=object
    )
    evaluator.close(purse)
    assert (tmp_path / "logs" / "evaluator.log").read_text() == "users print things\n" * 2


def test_a_window_holds_its_own_work_and_the_ledger_all_of_it(
    evaluator: Evaluator, purse: Purse
) -> None:
    seen: list[str] = []
    answer = evaluator.call(
        "work", 0.4, Scripted(charge=purse.charge, progress=seen.append), returns=object
    )
    assert answer["cpu_seconds"] == pytest.approx(0.4, rel=0.1)
    assert answer["joules"] == pytest.approx(WATTS * answer["cpu_seconds"], rel=1e-9)
    assert purse.cpu_seconds("train") == pytest.approx(answer["cpu_seconds"], rel=1e-9)
    # The quarter outside the window is charged as well, together with the start.
    assert purse.cpu_seconds("overhead") > 0.1
    assert purse.joules() == pytest.approx(WATTS * purse.cpu_seconds(), rel=1e-9)
    assert seen == ["half way"]


def test_short_lived_children_count(evaluator: Evaluator, purse: Purse) -> None:
    answer = evaluator.call("work_in_children", 0.8, purse, returns=object)
    assert answer["cpu_seconds"] >= 0.8 * 0.97


def test_one_that_died_between_two_calls_is_seen_and_charged(
    evaluator: Evaluator, purse: Purse
) -> None:
    evaluator.call("work", 0.2, purse, returns=object)
    assert evaluator.alive
    os.kill(evaluator._process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, evaluator._process.pid, os.WEXITED | os.WNOWAIT)
    assert not evaluator.alive
    with pytest.raises(TrialFailed, match="SIGKILL"):
        evaluator.call("work", 0.2, purse, returns=object)
    assert not evaluator.alive
    assert purse.cpu_seconds() > 0.2


def test_nothing_is_lost_between_start_and_end(tmp_path: Path, purse: Purse) -> None:
    evaluator = start(tmp_path, purse)
    before = os.times()
    evaluator.call("work", 0.3, purse, returns=object)
    evaluator.close(purse)
    after = os.times()
    # The kernel's own account of the reaped child, which counts its start too.
    children = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    assert purse.cpu_seconds() == pytest.approx(children, abs=0.05)


@given(st.lists(st.floats(0.0, 0.6), min_size=1, max_size=3))
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_ledger_holds_all_attempts_under_random_kills(
    tmp_path: Path, delays: list[float]
) -> None:
    """Each attempt is killed some seconds into its work; the last one ends as it should."""
    storage = Storage.temporary()
    ledger = Ledger(storage, 1).writer("run", None)
    purse, attempts = Purse(), [*delays, None]

    def charging(attempt: int) -> TrialContext:
        def charge(
            phase: str, readings: Mapping[Component, Reading], begun: float, ended: float
        ) -> None:
            purse.charge(phase, readings, begun, ended)
            ledger.charge(phase, readings, number=attempt, started_at=begun, ended_at=ended)

        return Scripted(charge=charge)

    before = os.times()
    for attempt, delay in enumerate(attempts):
        context = charging(attempt)
        evaluator = start(tmp_path, context)
        if delay is not None:
            timer = threading.Timer(delay, os.kill, (evaluator._process.pid, signal.SIGKILL))
            timer.start()
        with contextlib.suppress(TrialFailed):
            evaluator.call("work", 0.4, context, returns=object)
        if delay is not None:
            timer.join()
        evaluator.close(context)
    after = os.times()
    spent = Ledger(storage, 1).total()
    by_attempt = Ledger(storage, 1).by("trial")
    storage.close()
    # What every attempt was charged, no more and no less, is the ledger …
    assert spent.kwh * 3.6e6 == pytest.approx(purse.joules(), rel=1e-9)
    assert sum(part.kwh for part in by_attempt.values()) == pytest.approx(spent.kwh, rel=1e-9)
    assert by_attempt.keys() == {str(number) for number in range(len(delays) + 1)}
    # … and is what the kernel says of all of them.
    children = sum(after[2:4]) - sum(before[2:4])
    assert spent.cpu_seconds == pytest.approx(children, abs=0.05 * (len(delays) + 1))


def test_the_search_says_where_a_model_stands(evaluator: Evaluator, purse: Purse) -> None:
    energy = Reading(1.0, 1.0, 1.0, "measured", "counter", 1.0, 1.0)
    outcome = Outcome(0.9, {"train": energy}, energy, 0.0, 1, 1, 1, 0.0, 1, None, "x", graph="g")
    asked: list[tuple[Outcome, Outcome]] = []

    def standing(cheap: Outcome, dear: Outcome) -> Standing:
        asked.append((cheap, dear))
        return "open"

    stopping = replace(EarlyStopping.of(purse), standing=standing)
    argument = to_json(outcome)
    assert evaluator.call("weigh", argument, purse, returns=str, early_stopping=stopping) == "open"
    assert asked == [(outcome, outcome)]
    # The context of a trial knows of no others.
    assert evaluator.call("weigh", argument, purse, returns=object) is None


def test_a_full_disk_is_no_fault_of_a_trial(evaluator: Evaluator, purse: Purse) -> None:
    with pytest.raises(SearchAborted, match=r"disk full: .*No space left on device"):
        evaluator.call("disk_full", None, purse, returns=object)
    assert evaluator.alive


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
        evaluator.call(name, None, purse, returns=object)
    assert failure.value.cause == cause
    assert evaluator.alive == (name not in {"segfault", "killed"})
    if name == "segfault":
        assert purse.cpu_seconds("train") >= 0.2


def test_a_hang_is_killed_after_its_time(evaluator: Evaluator, purse: Purse) -> None:
    with pytest.raises(TrialFailed, match="trial_minutes") as failure:
        evaluator.call("hang", None, purse, timeout_seconds=0.5, returns=object)
    assert failure.value.cause == "timed out"
    assert not evaluator.alive


def test_memory_beyond_the_limit_is_killed(tmp_path: Path, purse: Purse) -> None:
    evaluator = start(tmp_path, purse, memory_bytes=400e6)
    with pytest.raises(TrialFailed, match="memory_gb") as failure:
        evaluator.call("hog", None, purse, timeout_seconds=60, returns=object)
    assert failure.value.cause == "out of memory"
    assert evaluator.peak_memory_bytes > 400e6
    assert not evaluator.alive


def test_the_users_wish_to_stop_ends_a_call(evaluator: Evaluator, purse: Purse) -> None:
    with pytest.raises(Interrupted):
        evaluator.call(
            "hang", None, Scripted(charge=purse.charge, stopping=lambda: True), returns=object
        )
    assert not evaluator.alive


def test_stopped_and_refused_are_no_failures(
    evaluator: Evaluator, purse: Purse, tmp_path: Path
) -> None:
    with pytest.raises(TrialStopped, match="not worth it"):
        evaluator.call("give_up", None, purse, returns=object)
    assert evaluator.alive
    with pytest.raises(UsageError, match="the data are refused"):
        start(tmp_path, purse, refuse=True)


def test_a_long_window_reaches_the_ledger_piece_by_piece(
    evaluator: Evaluator, purse: Purse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "FLUSH_SECONDS", 0.2)
    enough = tmp_path / "enough"

    def charge(phase: str, *charged: Any) -> None:
        purse.charge(phase, *charged)
        if len([name for name, _ in purse.entries if name == "train"]) == 3:
            enough.touch()

    context = Scripted(charge=charge)
    worked = evaluator.call("work_until", str(enough), context, returns=float)
    assert purse.cpu_seconds("train") == pytest.approx(worked, rel=1e-9)


class Pauses:
    """Holds an evaluator before its first epoch has been shown, for some hours of a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
        self.hours = hours
        self.asked = 0
        self.ahead_seconds = 0.0
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + self.ahead_seconds)

    def __call__(self, rest: Callable[[float], None]) -> None:
        self.asked += 1
        while self.asked == 1 and self.ahead_seconds < 3600 * self.hours:
            rest(0.05)
            self.ahead_seconds += 900.0


def test_a_pause_is_in_no_window_and_in_no_time_out(
    evaluator: Evaluator, purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses, seen = Pauses(monkeypatch, hours=1), list[str]()
    context = Scripted(charge=purse.charge, hold=pauses, progress=seen.append)
    answer = evaluator.call("epochs", 3, context, timeout_seconds=1800, returns=object)
    assert pauses.asked == 3
    assert seen == ["epoch 1", "epoch 2", "epoch 3"]
    assert answer["wall_seconds"] < 900
    assert answer["cpu_seconds"] == pytest.approx(0.3, abs=0.1)
    waited = [reading for phase, reading in purse.entries if phase == "waiting"]
    assert len(waited) > 3
    assert sum(reading.wall_seconds for reading in waited) == pytest.approx(3600, rel=0.1)
    assert purse.cpu_seconds("waiting") < 0.1
    assert purse.cpu_seconds("train") == pytest.approx(answer["cpu_seconds"], rel=1e-9)


def test_the_users_wish_to_stop_ends_a_pause(
    evaluator: Evaluator, purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = Pauses(monkeypatch, hours=1000)
    context = Scripted(charge=purse.charge, hold=pauses, stopping=lambda: pauses.asked > 0)
    with pytest.raises(Interrupted):
        evaluator.call("epochs", 3, context, returns=object)
    assert not evaluator.alive


def test_an_evaluator_that_dies_in_a_pause_fails_the_call(
    evaluator: Evaluator, purse: Purse
) -> None:
    pid = evaluator.call("say", None, purse, returns=object)

    def hold(rest: Callable[[float], None]) -> None:
        os.kill(pid, signal.SIGKILL)
        while True:
            rest(0.05)

    with pytest.raises(TrialFailed, match="SIGKILL"):
        evaluator.call("epochs", 3, Scripted(charge=purse.charge, hold=hold), returns=object)
    assert not evaluator.alive


def test_an_evaluator_does_not_outlive_its_supervisor(tmp_path: Path) -> None:
    script = tmp_path / "supervisor.py"
    script.write_text(
        f"""
import sys, time
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from typing import Any
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.context import TrialContext
from greenfront.search.evaluator.launch import EvaluatorSettings
from greenfront.search.evaluator.process import Evaluator
context = TrialContext()
how = EvaluatorSettings(job="contracts.faulty_job:make", settings={{}}, log=Path("log"))
evaluator = Evaluator(how, detect(), context)
print(evaluator.call("say", None, context, returns=object), flush=True)
evaluator.call("hang", None, context, returns=object)
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
    eventually(
        lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE,
        "end of the evaluator",
    )


def test_windows_nest_and_each_moment_is_charged_once(evaluator: Evaluator, purse: Purse) -> None:
    answer = evaluator.call("nested", 0.2, purse, returns=object)
    assert answer["inner"] == pytest.approx(WATTS * 0.2, rel=0.1)
    assert answer["outer"] == pytest.approx(WATTS * 0.4, rel=0.1)
    assert purse.cpu_seconds("teacher") == pytest.approx(answer["inner"] / WATTS, rel=1e-9)
    both = purse.cpu_seconds("train") + purse.cpu_seconds("teacher")
    assert both == pytest.approx(answer["outer"] / WATTS, rel=1e-9)


def test_an_inner_failure_leaves_the_outer_window_whole(evaluator: Evaluator, purse: Purse) -> None:
    answer = evaluator.call("nested_failure", 0.2, purse, returns=object)
    assert answer["outer"] == pytest.approx(WATTS * 0.4, rel=0.1)
    assert purse.cpu_seconds("teacher") == pytest.approx(0.2, rel=0.2)


def test_what_a_killed_evaluators_children_used_is_charged(tmp_path: Path, purse: Purse) -> None:
    evaluator, done = start(tmp_path, purse), tmp_path / "done"
    with pytest.raises(Interrupted):
        evaluator.call(
            "child_that_stays",
            {"cpu_seconds": 0.4, "done": str(done)},
            Scripted(charge=purse.charge, stopping=done.exists),
            returns=object,
        )
    assert purse.cpu_seconds("train") >= 0.4 * 0.97

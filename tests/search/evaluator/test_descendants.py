"""Whatever an evaluator has started ends with it, however it has hidden and whoever has died."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from contracts.contexts import Scripted
from contracts.evaluators import Purse, start
from contracts.waiting import PATIENCE_SECONDS, eventually
from greenfront.errors import Interrupted, TrialFailed
from greenfront.search.evaluator.descendants import MARK, kill_descendants, marked

TESTS = Path(__file__).parents[2]


WAYS = {"fork", "orphan", "daemon", "program", "worker"}


def alive(folder: Path) -> list[str]:
    """Which of the processes that were left behind still do something."""
    return [place.name for place in folder.iterdir() if is_at_work(int(place.read_text()))]


def is_at_work(pid: int) -> bool:
    """Whether a process can still do something: one that nobody has waited for cannot."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_the_end(folder: Path) -> None:
    """Waits for what was killed: on a busy machine the kernel takes its time to end it."""
    eventually(lambda: not alive(folder), "end of what was left")


@pytest.mark.parametrize("end", ["segfault", "hang", "close"])
def test_what_it_has_started_ends_with_it(tmp_path: Path, purse: Purse, end: str) -> None:
    folder, seen = tmp_path / "pids", set[str]()
    context = Scripted(
        stopping=lambda: end == "hang" and bool(seen),
        charge=purse.charge,
        progress=lambda _: seen.update(alive(folder)),
    )
    evaluator = start(tmp_path, context)
    argument = {"pids": str(folder), "then": end}
    if end == "close":
        evaluator.call("leave_children", argument, context, returns=object)
        assert set(alive(folder)) == WAYS, "a call that is over leaves an evaluator as it is"
        evaluator.close(purse)
    else:
        with pytest.raises(TrialFailed if end == "segfault" else Interrupted):
            evaluator.call("leave_children", argument, context, returns=object)
    assert seen == WAYS
    wait_for_the_end(folder)


def test_what_it_has_started_ends_with_a_killed_supervisor(tmp_path: Path) -> None:
    """Also while code of the user's keeps Python busy, so that the evaluator sees nothing."""
    folder = tmp_path / "pids"
    script = tmp_path / "supervisor.py"
    script.write_text(
        f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from contracts.evaluators import start
from contracts.contexts import Scripted
tell = Scripted(progress=lambda _: print("left", flush=True))
start(Path(), tell).call(
    "leave_children", {{"pids": {str(folder)!r}, "then": "keep Python busy"}}, tell, returns=object
)
"""
    )
    supervisor = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        assert supervisor.stdout is not None
        with supervisor.stdout:
            assert supervisor.stdout.readline() == "left\n"
        assert set(alive(folder)) == WAYS
        family = psutil.Process(supervisor.pid).children(recursive=True)
        assert len(family) > len(WAYS)
    finally:
        supervisor.kill()
        supervisor.wait()
    wait_for_the_end(folder)
    eventually(lambda: not any(is_at_work(each.pid) for each in family), "end of the family")


def test_only_what_bears_the_mark_is_ended() -> None:
    code = "import time; print(flush=True); time.sleep(3600)"
    ours, other = (
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {MARK: mark},
            stdout=subprocess.PIPE,
        )
        for mark in ("one/first", "other/first")
    )
    try:
        for process in (ours, other):
            assert process.stdout is not None
            process.stdout.readline()
        assert list(marked("one")) == [ours.pid]
        kill_descendants("one/first")
        assert ours.wait(timeout=PATIENCE_SECONDS) < 0
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.communicate()

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from contracts.meters import ended_process
from greenfront.errors import MeterError
from greenfront.objectives.metering import process_tree
from greenfront.objectives.metering.process_tree import (
    machine_cpu_seconds,
    tree_cpu_seconds,
    tree_rss_bytes,
)

# Burns 0.2 s of CPU time and says how much it used in all.
BURN = """
import time
while time.process_time() < 0.2:
    pass
print(time.process_time())
"""
WAIT = "print('ready', flush=True); input()"


def burn_here(cpu_seconds: float) -> None:
    until = time.thread_time() + cpu_seconds
    while time.thread_time() < until:
        pass


OWN_TIME = """
import os, time
from greenfront.objectives.metering.process_tree import tree_cpu_seconds
print(time.process_time(), tree_cpu_seconds(os.getpid()), time.process_time())
"""


def test_own_time_is_the_processs_own_clock() -> None:
    # In a process without children: those of this one work on meanwhile.
    said = subprocess.run([sys.executable, "-c", OWN_TIME], capture_output=True, check=True).stdout
    before, seen, after = map(float, said.split())
    assert before - 0.021 <= seen <= after + 0.021


def test_time_of_other_threads_counts() -> None:
    before = tree_cpu_seconds(os.getpid())
    thread = threading.Thread(target=burn_here, args=(0.1,))
    thread.start()
    thread.join()
    assert tree_cpu_seconds(os.getpid()) - before >= 0.1


def test_short_children_that_have_ended_count() -> None:
    before = tree_cpu_seconds(os.getpid())
    own_before = time.process_time()
    spent = sum(
        float(subprocess.run([sys.executable, "-c", BURN], capture_output=True, check=True).stdout)
        for _ in range(4)
    )
    counted = tree_cpu_seconds(os.getpid()) - before - (time.process_time() - own_before)
    assert counted >= 0.97 * spent


def test_live_children_and_what_they_waited_for_count() -> None:
    # A child that waits for a grandchild, and then stays alive.
    program = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {BURN!r}], stdout=subprocess.DEVNULL)\n" + WAIT
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert tree_cpu_seconds(child.pid) >= 0.2 - 2 / os.sysconf("SC_CLK_TCK")
        times = os.times()
        without_it = time.process_time() + times.children_user + times.children_system
        with_it = tree_cpu_seconds(os.getpid())
        assert with_it - without_it >= tree_cpu_seconds(child.pid) - 2 / os.sysconf("SC_CLK_TCK")
        child.communicate("\n")


def test_an_ended_child_counts_until_it_is_waited_for() -> None:
    child = subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.DEVNULL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert tree_cpu_seconds(child.pid) >= 0.2
    child.wait()


def test_memory_of_children_counts() -> None:
    alone = tree_rss_bytes(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", "data = b'x' * 50_000_000\n" + WAIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert tree_rss_bytes(child.pid) >= 50_000_000
        assert tree_rss_bytes(os.getpid()) >= alone / 2 + 50_000_000
        child.communicate("\n")


@pytest.mark.parametrize("proc", [True, False])
def test_a_process_that_does_not_exist_is_named(
    proc: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_tree, "_has_proc", lambda: proc)
    pid = ended_process()
    for read in (tree_cpu_seconds, tree_rss_bytes):
        with pytest.raises(MeterError, match=rf"process {pid}: .*no such process"):
            read(pid)


def test_psutil_answers_alike_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-c", BURN], stdout=subprocess.DEVNULL, check=True)
    exact, rss_bytes = tree_cpu_seconds(os.getpid()), tree_rss_bytes(os.getpid())
    monkeypatch.setattr(process_tree, "_has_proc", lambda: False)
    assert tree_cpu_seconds(os.getpid()) == pytest.approx(exact, abs=0.1)
    assert tree_rss_bytes(os.getpid()) == pytest.approx(rss_bytes, rel=0.2)


def test_children_are_found_without_the_kernels_list(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        monkeypatch.setattr(process_tree, "_lists_children", lambda: False)
        assert child.pid in process_tree._children(os.getpid())
        child.communicate(b"\n")


def test_without_a_process_clock_ticks_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = tree_cpu_seconds(os.getpid())

    def refuse(clock: int) -> float:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(time, "clock_gettime", refuse)
    assert tree_cpu_seconds(os.getpid()) == pytest.approx(exact, abs=0.1)


def test_machine_time_leaves_out_idle_waiting_and_stolen_time(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    # user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text("cpu  100 20 30 4000 500 6 7 800 50 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert machine_cpu_seconds(stat) == (100 + 20 + 30 + 6 + 7) / ticks


def test_machine_time_is_unknown_without_its_table(tmp_path: Path) -> None:
    assert machine_cpu_seconds(tmp_path / "stat") is None


def test_machine_time_holds_this_processs_time() -> None:
    before = machine_cpu_seconds()
    burn_here(0.3)
    after = machine_cpu_seconds()
    assert before is not None
    assert after is not None
    assert after - before >= 0.2

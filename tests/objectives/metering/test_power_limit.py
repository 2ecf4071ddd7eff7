"""A GPU's power limit is restored, whatever process is killed while it is another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from contracts.power import FOUND_MW, CardInAFile
from contracts.waiting import eventually
from greenfront.errors import MeterError
from greenfront.objectives.metering.power_limit import (
    LeftLimit,
    PowerGuard,
    PowerRange,
    left_limits,
    set_command,
)

SWEEPER = """
import signal
from greenfront.objectives.metering.power_limit import PowerGuard

def interrupt(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupt)
signal.signal(signal.SIGINT, interrupt)
with PowerGuard("GPU-a") as guard:
    guard.set_watts(200)
    print(guard._process.pid, flush=True)
    signal.pause()
"""


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CardInAFile:
    return CardInAFile.plugged_in(tmp_path, monkeypatch)


@contextmanager
def sweeping() -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A process that has set a limit, and the guard beside it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEPER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, psutil.Process(int(line))
    finally:
        process.kill()
        process.communicate()


def gone(guard: psutil.Process) -> bool:
    return not guard.is_running() or guard.status() == psutil.STATUS_ZOMBIE


def test_a_limit_is_set_and_the_one_as_found_restored(card: CardInAFile) -> None:
    with PowerGuard("GPU-a") as guard:
        assert guard.range == PowerRange("GPU-a", 400, 500, 100, 500)
        assert card.set_mw == [FOUND_MW], "asking for the right to set it changes nothing"
        guard.set_watts(123.4)
        assert card.limit_mw == 123_400
        guard.set_watts(100)
        assert left_limits() == [], "somebody is there to restore it"
    assert card.set_mw == [FOUND_MW, 123_400, 100_000, FOUND_MW]
    assert left_limits() == []


def test_it_is_restored_after_an_exception(card: CardInAFile) -> None:
    with suppress(ZeroDivisionError), PowerGuard("GPU-a") as guard:
        guard.set_watts(100)
        _ = 1 / 0
    assert card.limit_mw == FOUND_MW


def test_it_is_restored_where_an_answer_was_not_waited_for(card: CardInAFile) -> None:
    """As by Ctrl-C between request and answer."""
    with PowerGuard("GPU-a") as guard:
        guard._pipe.write(b"100000\n")
    assert card.set_mw == [FOUND_MW, 100_000, FOUND_MW]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_is_restored_when_the_sweeping_process_ends(
    card: CardInAFile, number: signal.Signals
) -> None:
    """The whole process group gets the signal, as from a terminal."""
    with sweeping() as (process, guard):
        assert card.limit_mw == 200_000
        os.killpg(process.pid, number)
        process.wait()
        eventually(lambda: gone(guard), "end of the guard")
    assert card.limit_mw == FOUND_MW
    assert left_limits() == []


def test_a_guard_heeds_no_signal_but_a_kill(card: CardInAFile) -> None:
    with sweeping() as (process, guard):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            guard.send_signal(number)
        process.kill()
        process.wait()
        eventually(lambda: gone(guard), "end of the guard")
    assert card.limit_mw == FOUND_MW


def test_it_is_restored_when_the_guard_is_killed(card: CardInAFile) -> None:
    with PowerGuard("GPU-a") as guard:
        guard.set_watts(100)
        os.kill(guard._process.pid, signal.SIGKILL)
        with pytest.raises(MeterError, match="the sweep ends; the limit is 400 W again"):
            guard.set_watts(300)
        assert card.limit_mw == FOUND_MW
    assert card.limit_mw == FOUND_MW
    assert left_limits() == []


def test_it_is_restored_when_the_guard_is_killed_after_its_last_work(card: CardInAFile) -> None:
    with PowerGuard("GPU-a") as guard:
        guard.set_watts(100)
        os.kill(guard._process.pid, signal.SIGKILL)
    assert card.limit_mw == FOUND_MW


@pytest.fixture
def left(card: CardInAFile) -> CardInAFile:
    """Both processes were killed."""
    with sweeping() as (process, guard):
        os.kill(guard.pid, signal.SIGSTOP)  # or it would restore the limit before it is killed
        process.kill()
        process.wait()
        guard.kill()
        eventually(lambda: gone(guard), "end of the guard")
    assert card.limit_mw == 200_000
    return card


def test_when_both_are_killed_it_is_told_and_the_next_sweep_restores_it(left: CardInAFile) -> None:
    assert left_limits() == [LeftLimit("GPU-a", 200, 400)]
    assert left.limit_mw == 200_000, "looking changes nothing"
    with PowerGuard("GPU-a") as guard:
        assert guard.range.found_watts == 400
        assert left.limit_mw == FOUND_MW
    assert left_limits() == []


def test_what_somebody_else_has_set_since_is_left_alone(left: CardInAFile) -> None:
    left.change(limit_mw=350_000)
    assert left_limits() == []
    with PowerGuard("GPU-a") as guard:
        assert guard.range.found_watts == 350
    assert left.limit_mw == 350_000


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"refuses": 4}, "got 'Insufficient Permissions'; the driver lets the administrator alone"),
        ({"refuses": 3}, "got 'Not Supported'; this card or driver lets nobody set it"),
        ({"least_mw": 400_000, "most_mw": 400_000}, "allows one power limit alone, 400 W"),
        ({"mig": 1}, "must not be split by MIG"),
        ({"uuid": "GPU-b"}, "GPU GPU-a: must be visible"),
    ],
)
def test_where_it_cannot_be_set_that_is_said_and_nothing_changed(
    card: CardInAFile, changed: dict[str, object], told: str
) -> None:
    card.change(**changed)
    with pytest.raises(MeterError, match=told):
        PowerGuard("GPU-a")
    assert set(card.set_mw) <= {FOUND_MW}
    assert card.limit_mw == FOUND_MW
    assert left_limits() == []


def test_without_a_driver(card: CardInAFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GREENFRONT_TEST_NVML")
    with pytest.raises(MeterError, match="needs an NVIDIA driver that answers"):
        PowerGuard("GPU-a")


def test_a_limit_that_cannot_be_restored_is_told_with_the_way_out(card: CardInAFile) -> None:
    guard = PowerGuard("GPU-a")
    guard.set_watts(100)
    card.change(refuses=4)
    with pytest.raises(MeterError, match=r"be restored to 400 W.*: nvidia-smi -i GPU-a -pl 400"):
        guard.__exit__(None, None, None)
    assert left_limits() == [LeftLimit("GPU-a", 100, 400)]


def test_one_sweep_of_a_card_at_a_time(card: CardInAFile) -> None:
    with PowerGuard("GPU-a") as guard:
        guard.set_watts(100)
        with pytest.raises(MeterError, match="another sweep of its power limit is at work"):
            PowerGuard("GPU-a")
        assert card.limit_mw == 100_000
    assert card.limit_mw == FOUND_MW


def test_a_file_that_leads_elsewhere_is_not_followed(card: CardInAFile, tmp_path: Path) -> None:
    """In a folder that everybody may write."""
    other = tmp_path / "other"
    other.write_text("300000 400000")
    name = f"greenfront-GPU-a.{os.geteuid()}.power-limit"
    (card.folder / name).symlink_to(other)
    assert left_limits() == []
    with pytest.raises(MeterError, match="must be a file of yours"):
        PowerGuard("GPU-a")
    assert other.read_text() == "300000 400000"
    assert card.limit_mw == FOUND_MW


def test_the_command_that_sets_one() -> None:
    assert set_command("GPU-a", 250.0) == "nvidia-smi -i GPU-a -pl 250"

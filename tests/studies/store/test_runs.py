from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import sqlalchemy as sa

from contracts.waiting import eventually
from greenfront.errors import StorageLost
from greenfront.studies.store import processes, runs
from greenfront.studies.store.processes import SILENCE_SECONDS
from greenfront.studies.store.runs import HEARTBEAT_SECONDS, Run, Runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import runs_table

STUDY = 1
NOW = 1_000_000.0


def at(monkeypatch: pytest.MonkeyPatch, moment: float) -> None:
    monkeypatch.setattr(runs, "time", SimpleNamespace(time=lambda: moment))


def row(storage: Storage, run_id: str, **values: object) -> None:
    """Writes down a run of another host that began at 0."""
    usual = {
        "study_id": STUDY,
        "host": "elsewhere/1",
        "pid": os.getpid(),
        "pid_started_at": psutil.Process().create_time(),
        "started_at": 0.0,
        "heartbeat_at": 0.0,
    }
    with storage.writing() as connection:
        connection.execute(sa.insert(runs_table).values(run_id=run_id, **{**usual, **values}))


def stored(storage: Storage, run_id: str) -> sa.Row[tuple[object, ...]]:
    with storage.reading() as connection:
        return connection.execute(sa.select(runs_table).where(runs_table.c.run_id == run_id)).one()


@pytest.fixture
def other_process(
    storage_url: str, storage: Storage, script: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that has signed in, and its run."""
    command = [sys.executable, str(script), "run", storage_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_run_from_beginning_to_end(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, NOW)
    run = Runs(storage, STUDY).begin()
    other = Runs(storage, STUDY).begin()
    assert run.run_id != other.run_id
    assert sorted(Runs(storage, STUDY).living()) == sorted([run.run_id, other.run_id])
    assert Runs(storage, STUDY).dead() == []
    begun = stored(storage, run.run_id)
    assert (begun.started_at, begun.heartbeat_at, begun.ended_at) == (NOW, NOW, None)
    assert begun.pid == os.getpid()

    at(monkeypatch, NOW + 5)
    run.beat()
    beaten = stored(storage, run.run_id)
    assert (beaten.started_at, beaten.heartbeat_at, beaten.ended_at) == (NOW, NOW + 5, None)

    at(monkeypatch, NOW + 7)
    run.end()
    ended = stored(storage, run.run_id)
    assert (ended.heartbeat_at, ended.ended_at) == (NOW + 7, NOW + 7)
    assert stored(storage, other.run_id).heartbeat_at == NOW
    assert (Runs(storage, STUDY).living(), Runs(storage, STUDY).dead()) == (
        [other.run_id],
        [run.run_id],
    )


def test_who_was_signed_out_while_suspended_lives_on(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Runs(storage, STUDY).begin()
    elsewhere = sa.update(runs_table).values(host="elsewhere/1", heartbeat_at=0.0)
    assert storage.change(elsewhere)
    onlooker = Runs(storage, STUDY)
    dead = onlooker.broken_off()
    assert [row.run_id for row in dead] == [run.run_id]
    onlooker.sign_out(dead)
    assert Runs(storage, STUDY).broken_off() == []
    assert stored(storage, run.run_id).ended_at == 0.0
    run.beat()
    onlooker.sign_out(dead)  # too late
    assert Runs(storage, STUDY).living() == [run.run_id]
    assert stored(storage, run.run_id).ended_at is None


def test_a_run_that_is_not_there_any_more_is_told_so(storage: Storage) -> None:
    run = Runs(storage, STUDY).begin()
    run.beat()
    with storage.writing() as connection:
        connection.execute(sa.delete(runs_table))
    with pytest.raises(StorageLost, match="does not hold this run any more"):
        run.beat()


def test_runs_of_other_studies_are_not_counted(storage: Storage) -> None:
    run = Runs(storage, STUDY).begin()
    assert Runs(storage, STUDY + 1).living() == Runs(storage, STUDY + 1).dead() == []
    assert Runs(storage, STUDY + 1).active_minutes() == 0
    run.end()


def test_a_killed_process_is_dead_at_once(
    storage: Storage, other_process: tuple[subprocess.Popen[str], str]
) -> None:
    process, run_id = other_process
    assert Runs(storage, STUDY).living() == [run_id]
    process.kill()
    # Nobody has waited for it yet: its number is still taken.
    killed = psutil.Process(process.pid)
    eventually(lambda: killed.status() == psutil.STATUS_ZOMBIE, "end of what was killed")
    assert Runs(storage, STUDY).dead() == [run_id]
    process.wait()
    assert Runs(storage, STUDY).dead() == [run_id]
    assert Runs(storage, STUDY).living() == []


def test_a_silent_process_of_this_host_is_alive_while_it_exists(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Runs(storage, STUDY).begin()
    at(monkeypatch, time.time() + 100 * SILENCE_SECONDS)
    assert Runs(storage, STUDY).living() == [run.run_id]


def test_a_number_that_was_given_away_again_is_another_process(storage: Storage) -> None:
    run = Runs(storage, STUDY).begin()
    with storage.writing() as connection:
        connection.execute(
            sa.update(runs_table).values(pid_started_at=runs_table.c.pid_started_at - 2)
        )
    assert Runs(storage, STUDY).dead() == [run.run_id]


def test_a_run_of_another_host_is_dead_after_silence_only(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, NOW)
    row(storage, "loud", heartbeat_at=NOW - SILENCE_SECONDS + 1)
    row(storage, "silent", heartbeat_at=NOW - SILENCE_SECONDS - 1)
    row(storage, "over", heartbeat_at=NOW, ended_at=NOW)
    # Its number means nothing here.
    row(storage, "stranger", heartbeat_at=NOW, pid=2**22 + 1, pid_started_at=0.0)
    assert sorted(Runs(storage, STUDY).living()) == ["loud", "stranger"]
    assert sorted(Runs(storage, STUDY).dead()) == ["over", "silent"]


def test_another_boot_of_this_host_is_another_host(storage: Storage) -> None:
    run = Runs(storage, STUDY).begin()
    host = str(stored(storage, run.run_id).host)
    name, boot, *_ = host.split("/")
    assert name == platform.node()
    known = Path("/proc/sys/kernel/random/boot_id")
    assert not known.exists() or boot == known.read_text().strip()
    row(storage, "before", host=host.replace(boot, f"not-{boot}"))
    assert Runs(storage, STUDY).dead() == ["before"]


def test_a_container_of_the_same_name_and_number_is_another_place(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes with the same host name, number and start, one is silent and one is here."""
    here = Runs(storage, STUDY).begin()
    monkeypatch.setattr(processes, "_namespace", lambda: "pid:[1]")
    there = Runs(storage, STUDY).begin()
    pid = stored(storage, here.run_id).pid
    assert stored(storage, there.run_id).pid == pid
    monkeypatch.undo()
    later = time.time() + SILENCE_SECONDS + 1
    at(monkeypatch, later)
    looking = Runs(storage, STUDY)
    assert looking.living() == [here.run_id]
    assert looking.dead() == [there.run_id]


def test_heartbeats_are_frequent_enough() -> None:
    assert 3 * HEARTBEAT_SECONDS < SILENCE_SECONDS


@pytest.mark.parametrize(
    ("spans", "minutes"),
    [
        ([], 0),
        ([(0, 60)], 1),
        ([(0, 60), (30, 120), (180, 240)], 3),
        ([(0, 600), (60, 120), (90, 300)], 10),
        ([(60, 120), (0, 60)], 2),
        ([(0, 60), (0, 60)], 1),
        ([(0, 0), (60, 60)], 0),
    ],
)
def test_minutes_count_once_where_runs_overlap(
    storage: Storage, spans: list[tuple[float, float]], minutes: float
) -> None:
    for index, (start, end) in enumerate(spans):
        row(storage, f"run-{index}", started_at=start, heartbeat_at=end, ended_at=end)
    assert Runs(storage, STUDY).active_minutes() == pytest.approx(minutes)


def test_a_dead_run_counts_until_it_was_heard_and_a_living_one_until_now(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, NOW)
    row(storage, "dead", started_at=NOW - 900, heartbeat_at=NOW - 600)
    assert Runs(storage, STUDY).active_minutes() == pytest.approx(5)
    row(storage, "alive", started_at=NOW - 120, heartbeat_at=NOW - 30)
    assert Runs(storage, STUDY).active_minutes() == pytest.approx(5 + 2)


def test_a_clock_that_is_set_adds_no_minutes(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs side by side on one host, whose clock was set by a day between their begins."""
    day = 86_400.0
    row(storage, "one", started_at=NOW, heartbeat_at=NOW + day, ended_at=NOW + day)
    row(storage, "two", started_at=NOW + day, heartbeat_at=NOW + day, ended_at=NOW + day)
    for run_id, begin, end in (("one", 100.0, 220.0), ("two", 160.0, 280.0)):
        with storage.writing() as connection:
            connection.execute(
                sa.update(runs_table)
                .where(runs_table.c.run_id == run_id)
                .values(monotonic_start=begin, monotonic_heartbeat=end)
            )
    assert Runs(storage, STUDY).active_minutes() == pytest.approx(3)


def test_a_run_that_is_heard_stays_alive_when_this_hosts_clock_is_set(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Runs(storage, STUDY)
    at(monkeypatch, NOW)
    row(storage, "far", heartbeat_at=NOW - 5)
    assert known.living() == ["far"]
    with storage.writing() as connection:
        connection.execute(sa.update(runs_table).values(heartbeat_at=NOW))
    assert known.living() == ["far"]
    at(monkeypatch, NOW + 86_400)
    assert known.living() == ["far"]
    assert Runs(storage, STUDY).dead() == ["far"]  # who has never heard it cannot know
    later = time.monotonic() + SILENCE_SECONDS + 1
    monkeypatch.setattr(runs, "monotonic", lambda: later)
    assert known.dead() == ["far"]


def silent_elsewhere(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> tuple[Runs, Run, Callable[[float], None]]:
    """A run here that watches a silent one elsewhere, and what moves its monotonic clock."""
    clock = [1000.0]
    monkeypatch.setattr(runs, "monotonic", lambda: clock[0])

    def later(seconds: float) -> None:
        clock[0] += seconds

    known = Runs(storage, STUDY)
    run = known.begin()
    row(storage, "far", heartbeat_at=time.time() - 10 * SILENCE_SECONDS)
    return known, run, later


def test_who_works_takes_nobody_for_dead_by_the_wall_clock(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, run, later = silent_elsewhere(storage, monkeypatch)
    assert known.dead() == []  # clocks of two hosts may differ by days
    beats = int(SILENCE_SECONDS / HEARTBEAT_SECONDS) + 1
    for _ in range(beats):
        later(HEARTBEAT_SECONDS)
        run.beat()
    assert known.dead() == ["far"]


def test_who_was_suspended_or_had_no_database_has_heard_nobody(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, run, later = silent_elsewhere(storage, monkeypatch)
    assert known.dead() == []
    later(100 * SILENCE_SECONDS)
    assert known.dead() == []  # before its own next beat
    run.beat()
    assert known.dead() == []  # the other one may have woken up in this moment, too
    for _ in range(int(SILENCE_SECONDS / HEARTBEAT_SECONDS)):
        later(HEARTBEAT_SECONDS)
        run.beat()
    assert known.dead() == ["far"]

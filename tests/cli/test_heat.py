"""A search on a machine that becomes too hot, from its file to what is shown of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from contracts.command import FAST, Command
from contracts.hardware import HotCpu
from contracts.peek import rows
from greenfront.objectives.metering import throttle
from greenfront.objectives.metering.meter import Slowdown
from greenfront.search.engine import heat
from greenfront.search.ray.worker import Errand, RayWorker
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.processes import place

HOST = place().partition("/")[0]
RESTS = "SELECT * FROM greenfront_pauses WHERE kind = 'heat'"


@contextlib.contextmanager
def heated(cpu: HotCpu, folder: Path, rests: int) -> Iterator[None]:
    """Whenever a search looks the processor is hot, until so many rests were taken."""
    read, search = throttle.CpuThrottle.read, os.getpid()

    def hot(sensor: throttle.CpuThrottle) -> Slowdown | None:
        if os.getpid() == search and len(rows(folder, RESTS)) < rests:
            cpu.heat(60)
        return read(sensor)

    with patch.object(throttle.CpuThrottle, "read", hot):
        yield


def test_a_hot_machine_gets_less_work_and_ledger_and_report_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "SYSTEM", tmp_path / "sys")
    monkeypatch.setattr(throttle, "COOL_DOWNS_SECONDS", ())  # no window is measured again
    monkeypatch.setattr(heat, "LOOK_SECONDS", 0.1)
    cpu, command = HotCpu(tmp_path / "sys"), Command(tmp_path)
    path = command.write_study(study='name = "hot"', budget="trials = 3", **FAST)
    with heated(cpu, tmp_path, rests=1):
        said = " ".join(command.read("run", "study.toml").split())
    assert "all 3 trials are finished" in said
    assert "this machine is slowed down by heat for 100% of the last" in said
    assert "its last worker rests, for 40 s at most" in said
    assert "cool again: all workers of this machine go on" in said
    (rest,) = rows(tmp_path, RESTS)
    assert (rest["number"], rest["ended_at"] > rest["started_at"]) == (None, True)

    times = command.read_json("ledger", "hot")["timing"]
    ((host, seconds),) = times["rested_seconds"].items()
    assert (host, seconds) == (HOST, pytest.approx(rest["ended_at"] - rest["started_at"]))
    assert [pause["kind"] for pause in times["pauses"]] == ["heat"]
    assert times["waited_seconds"] == 0
    shown = "Heat kept workers from new trials for"
    assert shown in " ".join(command.read("ledger", "hot").split())
    command.read("report", "hot")
    page = " ".join((tmp_path / "report.html").read_text().split())
    assert f"{shown} {seconds:.3g}" in page
    # Nothing was trained or measured while it rested.
    inside = "started_at > {started_at} AND ended_at < {ended_at} AND number IS NOT NULL"
    where = inside.format(**dict(rest))
    assert rows(tmp_path, f"SELECT * FROM greenfront_ledger WHERE {where}") == []

    # A worker of Ray on a hot node is a run like any.
    monkeypatch.chdir(tmp_path)
    file = StudyFile.read(path).changed(trials=5)
    with heated(cpu, tmp_path, rests=2):
        ended = RayWorker(Errand(str(tmp_path), file.study.storage, file.to_json())).work()
    assert ended.reason == "all 5 trials are finished"
    first, second = rows(tmp_path, RESTS)
    assert first["run_id"] != second["run_id"]

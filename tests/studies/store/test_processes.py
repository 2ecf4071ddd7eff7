"""Where a process runs, with each part of it there or missing."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from greenfront.studies.store import processes
from greenfront.studies.store.processes import exists, place, since_boot


def test_processes_of_one_place_agree() -> None:
    assert place() == place()
    assert len(place().split("/")) == 4


@pytest.mark.parametrize("part", ["BOOT_ID", "MACHINE_IDS", "PROCESS_NAMESPACE"])
def test_a_part_that_is_missing_is_stood_for(
    part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    monkeypatch.setattr(processes, part, (missing,) if part == "MACHINE_IDS" else missing)
    assert place() == place()
    assert all(place().split("/")[1:])


def test_each_part_tells_places_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    boot, machine, namespace = tmp_path / "boot", tmp_path / "machine", tmp_path / "namespace"
    monkeypatch.setattr(processes, "BOOT_ID", boot)
    monkeypatch.setattr(processes, "MACHINE_IDS", (machine,))
    monkeypatch.setattr(processes, "PROCESS_NAMESPACE", namespace)
    found = set()
    for ids in (("a", "m", "pid:[1]"), ("b", "m", "pid:[1]"), ("a", "n", "pid:[1]")):
        boot.write_text(f"{ids[0]}\n")
        machine.write_text(f"{ids[1]}\n")
        namespace.unlink(missing_ok=True)
        namespace.symlink_to(ids[2])
        found.add(place())
    namespace.unlink()
    namespace.symlink_to("pid:[2]")
    found.add(place())
    assert len(found) == 4
    name = processes.platform.node()
    assert {text.partition("/")[0] for text in found} == {name}


def test_a_process_is_known_by_its_start() -> None:
    mine = psutil.Process()
    assert exists(os.getpid(), since_boot(mine))
    assert exists(os.getpid(), mine.create_time())  # as older versions kept it
    assert not exists(os.getpid(), since_boot(mine) - 2)
    assert not exists(2**22 + 1, 0.0)

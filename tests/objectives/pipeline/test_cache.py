"""What a cache folder holds, and what is removed from it while searches run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from greenfront.objectives.outcome import GraphReading
from greenfront.objectives.pipeline.cache import capped, entries, remove
from greenfront.objectives.pipeline.cache_lease import CacheLease, Holder, holders
from greenfront.objectives.pipeline.graph_costs import GraphCosts
from greenfront.objectives.pipeline.lineage import LineageStore, Made, StageOutput, lineage_key
from greenfront.objectives.readings import Reading

ENERGY = Reading(1.0, 1.0, 1.0, "measured", "counter", 1.0, 1.0)
SIZE = 1000


def put(store: LineageStore, name: str, age: float, stage: str = "train") -> StageOutput:
    """An output that was used so many seconds ago."""

    def make(folder: Path) -> Made:
        (folder / "weights").write_bytes(bytes(SIZE))
        return Made({"train": ENERGY})

    output = store.output(lineage_key(name, "parent", {}), make, stage=stage)
    used = time.time() - age
    os.utime(output.folder, (used, used))
    return output


@pytest.fixture
def store(tmp_path: Path) -> LineageStore:
    return LineageStore(tmp_path, "wine")


def left(store: LineageStore) -> set[Path]:
    return {entry.path for entry in entries(store.root)}


def test_entries_tell_study_stage_bytes_and_last_use(store: LineageStore) -> None:
    old, new = put(store, "old", 500), put(store, "new", 100, "export")
    GraphCosts(store.root, "wine").add("key", GraphReading("id", ENERGY, 1.0))
    found = entries(store.root)
    assert [(entry.stage, entry.study) for entry in found] == [
        ("train", "wine"),
        ("export", "wine"),
        ("graph cost", "wine"),
    ]
    assert [entry.path for entry in found[:2]] == [old.folder, new.folder]
    assert all(entry.bytes > SIZE for entry in found[:2])
    assert found[0].used_at == pytest.approx(time.time() - 500, abs=30)


def test_the_longest_unused_goes_first(store: LineageStore) -> None:
    old, middle, new = (put(store, name, age) for name, age in (("a", 300), ("b", 200), ("c", 100)))
    store.output(old.key, lambda _: pytest.fail("it is there"))  # a use
    size = entries(store.root)[0].bytes
    gone = remove(store.root, 2.5 * size)
    assert [entry.path for entry in gone] == [middle.folder]
    assert left(store) == {old.folder, new.folder}
    assert remove(store.root, 2.5 * size) == []
    assert len(remove(store.root, 0)) == 2
    assert left(store) == set()
    assert put(store, "b", 0).folder.exists()


def test_what_a_running_study_made_or_uses_stays(store: LineageStore) -> None:
    mine, foreign = put(store, "mine", 300), put(LineageStore(store.root, "other"), "theirs", 300)
    shared = put(LineageStore(store.root, "other"), "shared", 300)
    lease = CacheLease(store.root, "wine")
    store.output(shared.key, lambda _: pytest.fail("it is there"))
    assert [entry.path for entry in remove(store.root, 0)] == [foreign.folder]
    assert left(store) == {mine.folder, shared.folder}
    lease.release()
    remove(store.root, 0)
    assert left(store) == set()


def test_a_cap_within_a_run_keeps_its_files_and_what_a_call_uses(store: LineageStore) -> None:
    lease = CacheLease(store.root, "wine")
    weights, file = put(store, "weights", 300), put(store, "file", 300, "export")
    used = put(store, "used", 300)
    store.output(used.key, lambda _: pytest.fail("it is there"))
    assert [entry.path for entry in capped(store.root, 0, {"wine"})] == [weights.folder]
    time.sleep(0.02)
    lease.renew()
    assert [entry.path for entry in capped(store.root, 0, {"wine"})] == [used.folder]
    assert left(store) == {file.folder}
    lease.release()


def test_what_is_being_made_or_looked_at_stays(store: LineageStore) -> None:
    output = put(store, "busy", 300)
    with FileLock(output.folder.with_suffix(".lock")):
        assert remove(store.root, 0) == []
    assert len(remove(store.root, 0)) == 1


HOLDER = """
import sys, time
from pathlib import Path
from greenfront.objectives.pipeline.cache_lease import CacheLease
lease = CacheLease(Path(sys.argv[1]), "wine.v2")
print("held", flush=True)
time.sleep(60)
"""


def test_the_lease_of_a_killed_process_ends(store: LineageStore) -> None:
    command = [sys.executable, "-c", HOLDER, str(store.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        (holder,) = holders(store.root)
        assert holder == Holder("wine.v2", holder.since)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert holders(store.root) == []
    assert list((store.root / "leases").iterdir()) == []

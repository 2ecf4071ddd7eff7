from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from contracts.waiting import PATIENCE_SECONDS
from greenfront.errors import SearchAborted, TrialFailed
from greenfront.objectives.pipeline.lineage import (
    ABOUT,
    LineageStore,
    Made,
    StageOutput,
    lineage_key,
)
from greenfront.objectives.readings import Reading

READINGS = {"train": Reading(5.0, 4.0, 6.0, "modelled", "s", 1.0, 2.0, ("a", "b"))}
FACTS = {"epoch": 3, "classes": ["x", "ü"]}
KEY = lineage_key("train", "parent", {"rate": 0.1})


class Maker:
    """Writes a file and counts how often."""

    def __init__(self) -> None:
        self.calls = 0
        self.drafts: list[Path] = []

    def __call__(self, folder: Path) -> Made:
        self.calls += 1
        self.drafts.append(folder)
        (folder / "weights").write_text(f"call {self.calls}")
        return Made(READINGS, FACTS)


class BrokenMaker(Maker):
    def __call__(self, folder: Path) -> Made:
        super().__call__(folder)
        raise KeyboardInterrupt


@pytest.fixture
def store(tmp_path: Path) -> LineageStore:
    return LineageStore(tmp_path / "new" / "store")


def files(store: LineageStore) -> set[str]:
    """Everything in the store but locks and folders."""
    found = (path for path in store.root.rglob("*") if path.is_file())
    return {path.name for path in found if path.suffix != ".lock"}


def test_what_was_made_is_loaded_the_next_time(store: LineageStore) -> None:
    make = Maker()
    first = store.output(KEY, make)
    assert make.calls == 1
    assert first == StageOutput(KEY, first.folder, READINGS, FACTS)
    assert (first.folder / "weights").read_text() == "call 1"

    for other in (store, LineageStore(store.root)):
        assert other.output(KEY, make) == first
        assert make.calls == 1
    assert KEY in first.folder.parts


def test_other_keys_are_made_apart(store: LineageStore) -> None:
    make = Maker()
    one = store.output(KEY, make)
    two = store.output(lineage_key("train", "parent", {"rate": 0.2}), make)
    assert one.key != two.key
    assert one.folder != two.folder
    assert (one.folder / "weights").read_text() == "call 1"
    assert (two.folder / "weights").read_text() == "call 2"


def test_what_raises_leaves_nothing(store: LineageStore) -> None:
    broken, make = BrokenMaker(), Maker()
    with pytest.raises(KeyboardInterrupt):
        store.output(KEY, broken)
    assert files(store) == set()
    assert not broken.drafts[0].exists()

    kept = store.output(KEY, make)
    assert make.calls == 1
    assert (kept.folder / "weights").exists()


def test_what_cannot_be_written_down_leaves_nothing(store: LineageStore) -> None:
    with pytest.raises(ValueError, match="serialize"):
        store.output(KEY, lambda _: Made({}, {"bad": object()}))
    assert files(store) == set()


def test_a_draft_is_not_taken_for_an_output(store: LineageStore) -> None:
    make = Maker()

    def look(folder: Path) -> Made:
        # What a process killed here would leave behind.
        result = make(folder)
        assert folder.name.endswith(".draft")
        (folder.parent / f"{KEY}.killed.draft").mkdir()
        (folder.parent / f"{KEY}.killed.draft" / "weights").write_text("half")
        return result

    kept = store.output(KEY, look)
    assert make.calls == 1
    assert (kept.folder / "weights").read_text() == "call 1"
    assert sorted(path.name for path in kept.folder.iterdir()) == ["about.json", "weights"]


def test_nested_outputs(store: LineageStore) -> None:
    inner = Maker()

    def outer(folder: Path) -> Made:
        store.output(lineage_key("inner", KEY, {}), inner)
        return Made({})

    assert store.output(KEY, outer).facts is None
    assert inner.calls == 1


def shorten(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


TEARS = [shorten, empty, zeros, Path.unlink]


@pytest.mark.parametrize(
    ("name", "tear"), [("weights", flip), *itertools.product(("weights", ABOUT), TEARS)]
)
def test_a_torn_output_is_made_again(
    store: LineageStore, name: str, tear: Callable[[Path], None]
) -> None:
    make = Maker()
    first = store.output(KEY, make)
    tear(first.folder / name)
    other = LineageStore(store.root)
    assert not other.holds_intact(Path(KEY[:2], KEY, "weights"))
    again = other.output(KEY, make)
    assert make.calls == 2
    assert again == first
    assert (again.folder / "weights").read_text() == "call 2"
    assert other.holds_intact(Path(KEY[:2], KEY, "weights"))
    assert files(store) == {ABOUT, "weights"}


def test_a_torn_output_is_noticed_by_the_process_that_made_it(store: LineageStore) -> None:
    make = Maker()
    shorten(store.output(KEY, make).folder / "weights")
    store.output(KEY, make)
    assert make.calls == 2


def test_outputs_of_before_sums_were_kept_are_used(store: LineageStore) -> None:
    make = Maker()
    about = store.output(KEY, make).folder / ABOUT
    stored = json.loads(about.read_text())
    about.write_text(json.dumps({name: stored[name] for name in ("readings", "facts")}))
    assert LineageStore(store.root).output(KEY, make).readings == READINGS
    assert make.calls == 1


def full(folder: Path) -> Made:
    (folder / "half").write_text("half of it")
    with Path("/dev/full").open("w") as file:
        file.write("no room")
    raise AssertionError("it was written")


def full_behind(folder: Path) -> Made:
    try:
        return full(folder)
    except OSError as error:
        raise TrialFailed("error", "the library could not write") from error


def full_in_words(folder: Path) -> Made:
    raise RuntimeError("Io(Os { code: 28, message: 'No space left on device' })")


@pytest.mark.parametrize("make", [full, full_behind, full_in_words])
def test_a_full_disk_is_said_and_leaves_nothing(
    store: LineageStore, make: Callable[[Path], Made]
) -> None:
    with pytest.raises(SearchAborted, match=f"disk full: {store.root} takes no more files. Make"):
        store.output(KEY, make)
    assert files(store) == set()
    assert store.output(KEY, Maker()).readings == READINGS


def test_what_fails_otherwise_says_so(store: LineageStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.output(KEY, lambda folder: Made({}, (folder / "nothing").read_text()))


def test_drafts_of_the_dead_are_removed_and_those_of_the_living_stay(store: LineageStore) -> None:
    kept = store.output(KEY, Maker())
    dead, living = (kept.folder.parent / f"{KEY[:2]}{name}.x1.draft" for name in ("dead", "living"))
    for draft in (dead, living):
        draft.mkdir()
        (draft / "weights").write_text("half")
    with FileLock(living.parent / f"{KEY[:2]}living.lock"):
        LineageStore(store.root).clear_drafts()
        assert (dead.exists(), living.exists()) == (False, True)
    assert kept.folder.exists()
    store.clear_drafts()
    assert not living.exists()


RACER = """
import sys, time
from pathlib import Path
from greenfront.objectives.pipeline.lineage import LineageStore, Made

root, log, go, key = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]

calls = []

def make(folder):
    with log.open("a") as file:
        file.write("made\\n")
    time.sleep(0.4)  # the other one arrives meanwhile
    (folder / "weights").write_text("whole")
    calls.append(folder)
    return Made({}, {"whole": True})

print("ready", flush=True)
while not go.exists():
    time.sleep(0.005)
kept = LineageStore(root).output(key, make)
print(bool(calls), kept.facts["whole"], (kept.folder / "weights").read_text())
"""


def test_two_processes_make_an_output_once(store: LineageStore, tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    command = [sys.executable, "-c", RACER, str(store.root), str(log), str(go), KEY]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    go.touch()
    said = sorted(racer.communicate(timeout=PATIENCE_SECONDS)[0].strip() for racer in racers)
    assert [racer.returncode for racer in racers] == [0, 0]
    assert said == ["False True whole", "True True whole"]
    assert log.read_text() == "made\n"


def test_keys_tell_everything_apart() -> None:
    keys = {
        lineage_key("train", "parent", {"rate": 0.1}),
        lineage_key("prune", "parent", {"rate": 0.1}),
        lineage_key("train", "other", {"rate": 0.1}),
        lineage_key("train", "parent", {"rate": 0.2}),
        lineage_key("train", "parent", {"rat": 0.1}),
        lineage_key("train", "parent", {"rate": 0.1, "more": None}),
        lineage_key("train", "parent", {"rate": {"nested": 0.1}}),
        lineage_key("train", "parent", {}),
    }
    assert len(keys) == 8


def test_keys_do_not_depend_on_the_order_of_the_knobs() -> None:
    assert lineage_key("a", "b", {"x": 1, "y": 2}) == lineage_key("a", "b", {"y": 2, "x": 1})

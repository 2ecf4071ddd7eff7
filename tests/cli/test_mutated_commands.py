"""Whatever study files, manifests and arguments hold: it works, or there is one message."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from contracts.command import Command
from contracts.mutations import TOKENS, folder, in_time, mutated, profile
from contracts.records import claimed, exported
from greenfront.cli import app
from greenfront.errors import DataError, UsageError
from greenfront.objectives.codec import to_json
from greenfront.objectives.packaging.claims import CLAIMS, read_claims
from greenfront.objectives.pipeline.cache import entries
from greenfront.objectives.pipeline.graph_costs import GraphCosts
from greenfront.objectives.pipeline.lineage import ABOUT, LineageStore, Made
from greenfront.objectives.readings import Reading
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.export.folder import SUMS, broken_sums
from greenfront.studies.export.record import RECORD, read_record
from greenfront.studies.presets.compose import TASKS, compose

__all__ = ["folder"]

PRESETS = [compose(task).encode() for task in TASKS]
READING = Reading(1.0, 0.5, 2.0, "modelled", "cpu", 1.0, 1.0, ())
KEY = "ab" * 8


@given(data=mutated(*PRESETS))
@profile()
def test_mutated_study_files(folder: Path, data: bytes) -> None:
    path = folder / "study.toml"
    path.write_bytes(data)
    told = ""
    try:
        with in_time():
            file = StudyFile.read(path)
            assert StudyFile.from_stored(file.to_json()) == file
    except UsageError as error:
        told = str(error)
    assert told == "" or len(told) > 20
    assert [each.name for each in folder.iterdir()] == ["study.toml"]
    path.unlink()


def deep(depth: int, opening: str) -> bytes:
    return (opening * depth).encode()


DEEP = st.builds(deep, st.sampled_from([900, 1500, 100_000]), st.sampled_from(["[", '{"a":', "[{"]))


WHOLE = json.dumps(to_json(exported())).encode()
CLAIMED = json.dumps(to_json(claimed(Path("data")))).encode()
SUMMED = f"{'ab' * 32}  {RECORD}\n{'cd' * 32}  ../../study.toml\n".encode()


@given(data=mutated(WHOLE, CLAIMED, SUMMED) | DEEP)
@profile()
def test_mutated_manifests(folder: Path, data: bytes) -> None:
    """Claims, records, checksums, and what the cache says of its files."""
    place = folder / "model"
    place.mkdir()
    try:
        for name in (CLAIMS, RECORD, SUMS):
            (place / name).write_bytes(data)
        with in_time():
            for read in (read_claims, read_record):
                told = place.name
                try:
                    read(place)
                except DataError as error:
                    told = str(error)
                assert place.name in told
            assert broken_sums(place)
        assert len(list(place.iterdir())) == 3
    finally:
        shutil.rmtree(place)


def stored() -> bytes:
    """A manifest of the cache as it is written."""
    with tempfile.TemporaryDirectory() as place:

        def make(draft: Path) -> Made:
            (draft / "model.onnx").write_bytes(b"model")
            return Made({"train": READING}, {"epochs": 3})

        output = LineageStore(Path(place)).output(KEY, make, stage="train")
        return (output.folder / ABOUT).read_bytes()


@given(data=mutated(stored(), json.dumps({"readings": []}).encode()) | DEEP)
@profile()
def test_mutated_caches(folder: Path, data: bytes) -> None:
    """A damaged one is no output, and never one of other figures."""
    root = folder / "lineage"
    place, graphs = root / KEY[:2] / KEY, root / "graphs"
    place.mkdir(parents=True)
    graphs.mkdir()
    try:
        (place / "model.onnx").write_bytes(b"model")
        (place / ABOUT).write_bytes(data)
        (graphs / f"{KEY}.json").write_bytes(data)
        with in_time():
            found = LineageStore(root).find(KEY)
            GraphCosts(root).readings(KEY)
            assert len(entries(root)) == 2
        if found is not None:
            assert all(isinstance(reading, Reading) for reading in found.readings.values())
    finally:
        shutil.rmtree(root)


COMMANDS = (
    *("run", "plan", "resume", "studies", "front", "ledger", "whatif", "pick", "compare"),
    *("table", "check", "report", "export", "verify", "predict", "cache", "init", ""),
    *("worker", "tune", "remeasure"),
)
OPTIONS = (
    *("--trials", "--budget-kwh", "--budget-minutes", "--workers", "--storage", "--storage-env"),
    *("--json", "--by", "--region", "--g-per-kwh", "--trace", "--pue", "--predictions", "--trial"),
    *("--max-drop", "--max-latency", "--max-size", "--weights", "-o", "--force", "--knee"),
    *("--max-joules", "--against", "--target", "--task", "--data", "--clear", "--csv", "--latex"),
)
WORDS = (
    *("study.toml", "small", "small:0", "missing.csv", ".", "..", "/", "/nowhere/x", "", "-", "--"),
    *("0", "-1", "1e999", "nan", "9" * 400, "1%", "2ms", "1MB", "1,1,1", "digits", "sqlite://"),
    *(
        "sqlite:///nowhere.db",
        "postgresql://ada:pw@127.0.0.1:1/x",
        "x" * 5000,
        "é😀\u2028",
        "\udce4",
    ),
)


@pytest.fixture(scope="module")
def built_once() -> Iterator[None]:
    """The commands as they are built from their functions, which takes longer than all the rest."""
    built = typer.main.get_command(app.application())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "application", lambda: built)
        yield


@pytest.mark.usefixtures("built_once")
@given(
    command=st.sampled_from(COMMANDS),
    words=st.lists(
        st.sampled_from(OPTIONS)
        | st.sampled_from(WORDS)
        | st.sampled_from(TOKENS).map(lambda token: token.decode("utf-8", "surrogateescape"))
        | st.text(max_size=8),
        max_size=5,
    ),
)
@profile()
def test_mutated_arguments(folder: Path, command: str, words: list[str]) -> None:
    place = folder / "here"
    place.mkdir()
    try:
        # No argument can hold a NUL; and nothing may be written where a path leads that was drawn.
        given = [re.sub("[\0/]" if word not in WORDS else "\0", "", word) for word in words]
        with in_time():
            done, out, err = Command(place)._inside((*([command] if command else []), *given))
        assert done in (0, 1, 2)
        assert "Traceback" not in out + err
        assert done == 0 or (not list(place.iterdir())), "what is refused writes nothing"
    finally:
        shutil.rmtree(place)

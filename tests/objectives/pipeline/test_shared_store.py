"""Two machines whose caches meet in one place."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest
from fsspec.registry import _registry

from contracts.command import Command
from contracts.peek import rows
from contracts.waiting import eventually
from greenfront.errors import UsageError
from greenfront.objectives.pipeline.lineage import ABOUT, LineageStore, Made, lineage_key
from greenfront.objectives.pipeline.shared_store import SharedStore
from greenfront.objectives.readings import Reading

KEY = lineage_key("train", "parent", {"epochs": 3})
SPENT = Reading(2.0, 1.0, 3.0, "measured", "RAPL", 0.5, 0.6)


@pytest.fixture(params=["file", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{uuid4().hex}"
    if request.param == "memory":
        return f"memory://{uuid4().hex}/shared"
    return f"file://{tmp_path}/shared"


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """One on a server of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)])
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "x")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    try:
        eventually(lambda: answers(port), "server that listens")
        fsspec.filesystem("s3").mkdir("models")
        yield "s3://models/shared"
    finally:
        patch.undo()
        server.kill()
        server.wait()


class Maker:
    """Counts how often the output is made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> Made:
        self.times += 1
        (folder / "weights").mkdir()
        (folder / "weights" / "a.bin").write_bytes(b"\0\1" * 700)
        (folder / "facts.txt").write_text("ä")
        return Made({"train": SPENT}, {"epochs": 3})


def machine(tmp_path: Path, name: str, url: str) -> LineageStore:
    return LineageStore(tmp_path / name, "study", SharedStore(url))


def test_what_one_machine_makes_the_other_takes(url: str, tmp_path: Path) -> None:
    make = Maker()
    made = machine(tmp_path, "one", url).output(KEY, make)
    other = machine(tmp_path, "two", url)
    assert other.find(lineage_key("train", "parent", {"epochs": 4})) is None
    taken = other.output(KEY, make)
    assert make.times == 1
    assert (taken.readings, taken.facts) == (made.readings, made.facts)
    assert (taken.folder / "weights" / "a.bin").read_bytes() == b"\0\1" * 700
    # By any way of asking.
    assert machine(tmp_path, "three", url).holds(KEY)
    assert machine(tmp_path, "four", url).find(KEY) is not None
    file = Path(KEY[:2]) / KEY / "facts.txt"
    assert machine(tmp_path, "five", url).holds_intact(file)
    assert not machine(tmp_path, "six", url).holds_intact(file.with_name("other.txt"))


def test_a_torn_output_is_made_again_and_mended(url: str, tmp_path: Path) -> None:
    make = Maker()
    machine(tmp_path, "one", url).output(KEY, make)
    files, root = fsspec.url_to_fs(url)
    files.pipe_file(f"{root}/{KEY[:2]}/{KEY}/facts.txt", b"zz")
    machine(tmp_path, "two", url).output(KEY, make)
    assert make.times == 2
    machine(tmp_path, "three", url).output(KEY, make)
    assert make.times == 2


def test_what_was_not_finished_is_not_there(url: str, tmp_path: Path) -> None:
    make = Maker()
    machine(tmp_path, "one", url).output(KEY, make)
    files, root = fsspec.url_to_fs(url)
    files.rm_file(f"{root}/{KEY[:2]}/{KEY}/{ABOUT}")  # it is written last
    assert machine(tmp_path, "two", url).find(KEY) is None


def test_no_name_leads_out_of_the_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url, make = f"file://{tmp_path}/shared", Maker()
    machine(tmp_path, "one", url).output(KEY, make)
    about = tmp_path / "shared" / KEY[:2] / KEY / ABOUT
    told = json.loads(about.read_text())
    told["files"]["../../escaped"] = told["files"]["facts.txt"]
    about.write_text(json.dumps(told))
    (tmp_path / "shared" / "escaped").write_text("ä")
    with caplog.at_level(logging.WARNING):
        machine(tmp_path, "two", url).output(KEY, make)
    assert make.times == 2
    assert "leads out" in caplog.text
    assert not list((tmp_path / "two").rglob("escaped"))


def test_a_store_that_goes_away_costs_no_trial(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, make = machine(tmp_path, "one", f"file://{tmp_path}/shared"), Maker()
    shared = tmp_path / "shared"
    for path in shared.iterdir():
        path.unlink()
    shared.rmdir()
    shared.write_text("a file where the folder was")
    with caplog.at_level(logging.WARNING):
        assert store.output(KEY, make).facts == {"epochs": 3}
    assert make.times == 1
    assert "not put into the shared cache" in caplog.text


def test_two_machines_search_with_one_bucket(bucket: str, tmp_path: Path) -> None:
    """The second one trains nothing anew."""
    url, spent = f"{bucket}/{uuid4().hex}", []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        command = Command(tmp_path / name)
        command.write_study(
            study=f'shared_cache = "{url}"',
            space='architectures = ["mlp"]\npruning = 0.0\nbits = 32',
            training="epochs = 2",
            budget="trials = 2",
        )
        command.read("run", "study.toml")
        spent.append(rows(command.folder, TRAINED)[0][0])
    assert spent[0] > 0
    assert spent[1] is None


TRAINED = "SELECT sum(joules) FROM greenfront_ledger WHERE phase = 'train'"


def test_without_its_client_s3_is_refused_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)  # where it was found before
    with pytest.raises(UsageError, match=r"shared_cache 's3://.*pip install 'greenfront\[s3\]'"):
        SharedStore("s3://models/shared")


@pytest.mark.parametrize("url", ["nosuch://x/y", "file:///proc/none"], ids=["unknown", "closed"])
def test_one_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"\[study\] shared_cache"):
        SharedStore(url)

from __future__ import annotations

import json
import shutil
import socket
import sys

import datasets
import pyarrow as pa
import pytest
from datasets import DatasetDict

from contracts.hf_data import MOODS, TEXTS, at, read, saved, texts
from greenfront.errors import DataError
from greenfront.objectives.tasks import hf_source
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.architectures import hub


@pytest.fixture(autouse=True, scope="module")
def no_bars():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def test_splits_must_be_known(tmp_path):
    one = saved(tmp_path / "one", DatasetDict(week=texts()))
    assert len(read(one, tmp_path).labels) == 30
    two = saved(tmp_path / "two", DatasetDict(week=texts(), month=texts()))
    with pytest.raises(DataError, match=r"two: .* named 'train', .* are 'week', 'month': rename"):
        read(two, tmp_path)
    none = saved(tmp_path / "none", texts())
    with pa.ipc.new_stream(tmp_path / "none" / "data-00000-of-00001.arrow", MOODS.arrow_schema):
        pass
    with pytest.raises(DataError, match=r"none: there must be examples to train on"):
        read(none, tmp_path)


def test_folders_that_hold_no_data_are_refused(tmp_path):
    with pytest.raises(DataError, match="none: this folder must exist, but does not: correct"):
        read(at(tmp_path / "none"), tmp_path)
    folder = tmp_path / "notes"
    folder.mkdir()
    with pytest.raises(DataError, match=r"must hold what save_to_disk wrote, .* but holds none of"):
        read(at(folder), tmp_path)
    (folder / "loader.py").write_text("raise SystemExit('this must not run')")
    (folder / "notes.py").write_text("raise SystemExit('this must not run')")
    with pytest.raises(DataError, match="but holds none of them"):
        read(at(folder), tmp_path)
    for name in ("a.csv", "b.parquet"):
        (folder / name).write_text("")
    with pytest.raises(DataError, match=r"all of one kind, but holds .csv and .parquet: name"):
        read(at(folder), tmp_path)
    with pytest.raises(DataError, match=r"needs a folder, but this is a file: .* save_to_disk"):
        read(at(folder / "a.csv"), tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"no parquet"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text'),
        ("a.csv", b"text,label\na,b\nc,d,e,f\n"),
        ("a.csv", b""),
    ],
)
def test_damaged_files_are_refused(tmp_path, capfd, name, content):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / name).write_bytes(content)
    with pytest.raises(DataError, match=r"notes: its \.\w+ files must be readable .* correct them"):
        read(at(tmp_path / "notes"), tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json", "data-00000-of-00001.arrow"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}"])
def test_damaged_folders_are_refused(tmp_path, name, content):
    settings = saved(tmp_path / "notes", texts())
    (tmp_path / "notes" / name).write_bytes(content)
    if (name, content) == ("dataset_info.json", b"{}"):
        assert read(settings, tmp_path).inputs.values.tolist() == TEXTS["text"]
        return
    with pytest.raises(
        DataError, match=r"notes: this must be what save_to_disk wrote, .*save it a"
    ):
        read(settings, tmp_path)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """The library's cache with one data set, as a download leaves it."""
    (tmp_path / "files").mkdir()
    texts().to_parquet(tmp_path / "files" / "data.parquet")
    read(at(tmp_path / "files"), tmp_path)
    (built,) = (tmp_path / "cache" / "datasets" / "parquet").glob("*/*/*/dataset_info.json")
    folder = tmp_path / "hub" / "me___notes" / "default" / "0.0.0" / "0123456789abcdef"
    shutil.copytree(built.parent, folder)
    for file in folder.glob("parquet-*"):
        file.rename(folder / file.name.replace("parquet-", "notes-"))
    info = json.loads((folder / "dataset_info.json").read_text())
    info.update(dataset_name="notes", config_name="default")
    (folder / "dataset_info.json").write_text(json.dumps(info))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    return tmp_path / "hub"


def test_what_was_downloaded_is_read_without_asking_the_hub(tmp_path, hub_cache, monkeypatch):
    monkeypatch.setattr(hf_source, "hub_obstacle", lambda: pytest.fail("the hub was asked"))
    # A folder of the same name is not what was asked for.
    (tmp_path / "me" / "notes").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    raw = read(TaskSettings(kind="hf-dataset:me/notes"), tmp_path)
    assert raw.inputs.values.tolist() == TEXTS["text"]
    assert raw.source == "data set 'me/notes'"
    assert datasets.config.HF_HUB_OFFLINE is False


def test_what_is_not_there_cannot_be_had_offline(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = (
        r"data set 'me/notes', subset 'small', must be in the cache .* cannot be had "
        r"\(HF_HUB_OFFLINE is set\): check .* give the folder as path"
    )
    with pytest.raises(DataError, match=message):
        read(TaskSettings(kind="hf-dataset:me/notes", subset="small"), tmp_path)


def test_a_silent_hub_does_not_hang(tmp_path, monkeypatch, capfd):
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    monkeypatch.setattr(hub, "HUB_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "http://{}:{}".format(*server.getsockname())
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(DataError, match=r"'me/notes' must be .*127.0.0.1.*timed out\): check"):
            read(TaskSettings(kind="hf-dataset:me/notes"), tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["csv", "imdb", "../../etc", "a/b/c", "/a/b", "a/"])
def test_names_must_be_those_of_the_hub(tmp_path, name):
    with pytest.raises(DataError, match="must name owner and data set, as in 'hf-dataset:ylecun/m"):
        read(TaskSettings(kind=f"hf-dataset:{name}"), tmp_path)


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    settings = saved(tmp_path / "notes", texts())
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"'hf-dataset:me/notes' needs .*datasets.*\[datasets\]"):
        read(settings, tmp_path)


def test_the_librarys_settings_are_left_as_they_were(tmp_path):
    datasets.enable_progress_bars()
    try:
        level = datasets.utils.logging.get_verbosity()
        read(saved(tmp_path / "notes", texts()), tmp_path)
        assert not datasets.are_progress_bars_disabled()
        assert datasets.utils.logging.get_verbosity() == level
    finally:
        datasets.disable_progress_bars()

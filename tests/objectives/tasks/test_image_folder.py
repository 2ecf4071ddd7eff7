from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from greenfront.errors import DataError
from greenfront.objectives.tasks.image_folder import list_images
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings


def write(folder: Path, *names: str) -> Path:
    """Small images, each another one, at paths below a folder."""
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2), index).save(path)
    return folder


def pets(tmp_path: Path) -> Path:
    return write(tmp_path / "pets", "cat/0.png", "cat/1.png", "dog/0.png")


def names(folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in list_images(folder).files]


def test_plain_classes_need_no_notes(tmp_path):
    found = list_images(pets(tmp_path))
    assert found.labels.tolist() == ["cat", "cat", "dog"]
    assert (found.own.given(), found.notes) == ({}, ())


@pytest.mark.parametrize(
    "hidden",
    ["cat/.ipynb_checkpoints/0-checkpoint.png", "cat/._0.png", "__MACOSX/cat/0.png", ".git/x.png"],
)
def test_hidden_files_and_folders_are_left_out(tmp_path, hidden):
    """They hold copies, which would stand on both sides of a split."""
    folder = write(pets(tmp_path), hidden)
    assert names(folder) == ["cat/0.png", "cat/1.png", "dog/0.png"]
    (note,) = list_images(folder).notes
    left_out = Path(hidden).parent if hidden.count("/") == 2 or hidden[0] == "." else hidden
    left_out = "__MACOSX" if hidden.startswith("__") else left_out
    assert note == f"hidden files and folders are left out ({left_out})"


def test_what_is_no_image_and_what_lies_in_no_class_is_said(tmp_path):
    folder = write(pets(tmp_path), "loose.png", "also.jpg")
    for name in ("cat/a.heic", "dog/b.HEIC", "dog/notes.txt", "README"):
        (folder / name).write_text("")
    assert names(folder) == ["cat/0.png", "cat/1.png", "dog/0.png"]
    assert list_images(folder).notes == (
        "files that are no images, by their names, are left out: 4 in all "
        "(2 .heic, 1 README, 1 .txt)",
        "images beside the folders of the classes are left out (also.jpg, loose.png)",
    )


def test_linked_folders_are_followed_and_said(tmp_path):
    folder = pets(tmp_path)
    write(tmp_path / "elsewhere", "2.png", "deep/3.png")
    (folder / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    (folder / "eel").symlink_to(tmp_path / "elsewhere")
    (folder / "dog" / "1.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    found = list_images(folder)
    assert found.labels.tolist() == ["cat"] * 4 + ["dog"] * 2 + ["eel"] * 2
    assert found.notes == ("linked folders are followed (cat/more, eel)",)


def test_a_folder_may_be_called_like_an_image(tmp_path):
    assert names(write(pets(tmp_path), "dog/batch.png/2.png"))[-1] == "dog/batch.png/2.png"


def test_dangling_links_circles_and_pipes_are_named(tmp_path):
    folder = pets(tmp_path)
    trap = folder / "dog" / "x.png"
    for make, message in [
        (
            lambda: trap.symlink_to("/nowhere/annex/x.png"),
            r"a link must lead to .*, but No such file.* \(/nowhere/annex/x.png\)",
        ),
        (
            lambda: trap.symlink_to(trap),
            "a link must lead to a file or folder, but Too many levels",
        ),
        (lambda: trap.symlink_to(folder), "a link must not lead back to a folder above it"),
        (lambda: os.mkfifo(trap), "must hold files and folders, but this is a pipe"),
    ]:
        make()
        with pytest.raises(DataError, match=rf"pets/dog/x\.png: .*{message}"):
            list_images(folder)
        trap.unlink()


@pytest.mark.parametrize(
    ("layout", "sizes"),
    [
        ({"train": 10, "val": 4, "test": 6}, {"train": 20, "validation": 8, "test": 12}),
        ({"Training": 10, "holdout": 5}, {"train": 16, "validation": 4, "test": 10}),
        ({"train": 10, "valid": 5}, {"train": 16, "validation": 10, "test": 4}),
    ],
)
def test_folders_that_are_splits_are_used_as_such(tmp_path, layout, sizes):
    paths = [
        f"{split}/{label}/{index}.png"
        for split, count in layout.items()
        for label in ("cat", "dog")
        for index in range(count)
    ]
    folder = write(tmp_path / "pets", *paths)
    task = load_task(TaskSettings(kind="images", path=str(folder)), cache=tmp_path / "c", seed=0)
    assert task.facts.class_names == ("cat", "dog")
    assert task.facts.sizes == sizes
    assert task.facts.notes == (
        f"the folders {', '.join(sorted(layout))} are the data's own splits",
    )
    test = next((name for name in layout if name in ("test", "holdout")), None)
    if test is not None:
        own = {index for index, path in enumerate(paths) if path.startswith(test)}
        held = {path.relative_to(folder).as_posix() for path in list_images(folder).files}
        assert held == set(paths)
        pixels = np.unique(task.test.inputs)
        assert len(pixels) == len(own)


def test_copies_across_own_splits_are_warned_of(tmp_path):
    paths = [
        f"{split}/{label}/{i}.png"
        for split in ("train", "test")
        for label in "ab"
        for i in range(5)
    ]
    folder = write(tmp_path / "pets", *paths)
    for label in "ab":
        (folder / "test" / label / "0.png").write_bytes(
            (folder / "train" / label / "0.png").read_bytes()
        )
    task = load_task(TaskSettings(kind="images", path=str(folder)), cache=tmp_path / "c", seed=0)
    assert task.facts.notes[1:3] == (
        "2 of the 20 examples are copies of others",
        "2 of the 10 examples of the test split are copies of ones to train on: what is measured "
        "there flatters",
    )


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["train/cat/0.png"], r"pets: .* one to train and one to test .* but are train: add"),
        (["test/cat/0.png", "val/cat/0.png"], r"pets: .* one to train and .* but are test, val"),
        (["train/0.png", "test/0.png"], r"pets/test: the folder of a split must hold one sub-f"),
        (["train/c/0.png", "test/c/0.txt.png"], None),
        (
            ["train/cat/0.png", "test/cat/0.png", "labels/0.png"],
            r"pets: .* as splits are \(test, train\) and others are not \(labels\): move",
        ),
        (["train/0.png", "bus/0.png"], None),
        (["cat/0.png", "dog/0.gif.txt"], r"pets/dog: the folder of a class must hold images"),
        (["train/c/0.png", "test/c/0.txt"], r"pets/test: the folder of a split must hold images"),
    ],
)
def test_layouts(tmp_path, paths, message):
    folder = tmp_path / "pets"
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    if message is None:
        assert len(list_images(folder).files) == len(paths)
        return
    with pytest.raises(DataError, match=message):
        list_images(folder)

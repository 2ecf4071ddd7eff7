"""Whatever happened to the user's files: a task, or one message that names the file."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contracts.mutations import folder, in_time, mutated, profile
from greenfront.errors import DataError
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Task

__all__ = ["folder"]

MOODS = ("glad", "sad")
TABLE = "height,colour,day,mood\n" + "".join(
    f"{1.5 + index / 7:.3f},{('red', 'blue', 'a, b')[index % 3].join(chr(34) * 2)},"
    f"2025-0{1 + index % 9}-1{index % 10},{MOODS[index * 7 % 2]}\n"
    for index in range(24)
)
GERMAN = "höhe;farbe;mood\n" + "".join(
    f"{1 + index},{index * 3 % 10};{('rot', 'blau')[index % 2]};{index % 3}\n"
    for index in range(24)
)
NUMBERS = "a\tb\tmood\n" + "".join(f"{i}\t{i * i / 3:.2f}\t{i / 4 + i % 3}\n" for i in range(24))
TEXTS = "text,mood\n" + "".join(
    f'"message {index}, so ""{MOODS[index % 2]}""",{MOODS[index % 2]}\n' for index in range(16)
)
ROWS = [{"text": f"message {index} é", "mood": index % 2} for index in range(16)]
LINES = "\n".join(map(json.dumps, ROWS))
TABS = "mood\ttext\n" + "".join(f"{MOODS[index % 2]}\tmessage {index}\n" for index in range(16))


def loaded(settings: TaskSettings, cache: Path) -> Task | None:
    """The task; ``None`` where it was refused, in words that name the file."""
    task, told = None, ""
    try:
        with in_time():
            task = load_task(settings, cache=cache, seed=0)
    except DataError as error:
        told = str(error)
    assert task is not None or (Path(settings.path or "").name in told and len(told) > 40)
    assert task is None or all(task.facts.notes)
    return task


@given(data=mutated(*(text.encode() for text in (TABLE, GERMAN, NUMBERS))))
@profile()
def test_mutated_tables(folder: Path, data: bytes) -> None:
    path = folder / "table.csv"
    path.write_bytes(data)
    task = loaded(TaskSettings(kind="csv", path=str(path), target="mood"), folder)
    if task is not None:
        assert np.isfinite(task.train.inputs).all()
        assert len(task.train) + len(task.validation) + len(task.test) >= 6


@given(data=mutated(*(text.encode() for text in (TEXTS, LINES, TABS, json.dumps(ROWS, indent=1)))))
@profile()
def test_mutated_texts(folder: Path, data: bytes) -> None:
    path = folder / "notes.csv"
    path.write_bytes(data)
    task = loaded(TaskSettings(kind="text", path=str(path), target="mood"), folder)
    if task is not None:
        assert all(isinstance(text, str) and text.strip() for text in task.test.inputs)


PLACES = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 3)), min_size=1, max_size=4)


@given(places=PLACES, separator=st.sampled_from(",;\t"), target_first=st.booleans())
@profile()
def test_mutated_quotes_cost_no_rows(
    folder: Path, places: list[tuple[int, int]], separator: str, target_first: bool
) -> None:
    """Stray quotes at the begin or end of cells: all rows are there, or the file is refused."""
    rows = [[MOODS[index % 2], f"message {index}"] for index in range(20)]
    for row, end in places:
        cell = rows[row][end // 2]
        rows[row][end // 2] = cell + '"' if end % 2 else '"' + cell
    header = ["mood", "text"]
    lines = [separator.join(row if target_first else row[::-1]) for row in (header, *rows)]
    path = folder / "notes.csv"
    path.write_text("\n".join(lines) + "\n")
    task = loaded(TaskSettings(kind="text", path=str(path), target="mood"), folder)
    assert task is None or sum(task.facts.sizes.values()) == 20


def _image(mode: str, kind: str, value: int) -> bytes:
    pixels = np.full((3, 4), value, np.uint16 if mode == "I;16" else np.uint8)
    picture = Image.fromarray(pixels)
    file = io.BytesIO()
    (picture if mode == "I;16" else picture.convert(mode)).save(file, kind)
    return file.getvalue()


IMAGES = [
    _image(mode, kind, 60 * value)
    for mode, kind in (
        *(("L", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG"), ("P", "GIF"), ("RGB", "BMP")),
        *(("RGB", "JPEG"), ("L", "TIFF"), ("RGBA", "WEBP"), ("I;16", "TIFF"), ("L", "PPM")),
    )
    for value in (1, 3)
]
NAMES = (
    "x.png",
    "x.PNG",
    "x.tif",
    ".x.png",
    "x",
    "x.txt",
    "…é.png",
    "\udce4.png",
    "-rf.png",
    "a b.jpg",
)
FOLDERS = ("cat", "dog", ".hidden", "__MACOSX", "cat/deep", "train", "test/cat", "x.png", "\udce4")

Change = Callable[[Path], None]


def _written(folder: str, name: str, data: bytes) -> Change:
    def change(root: Path) -> None:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / name).unlink(missing_ok=True)  # writing to a pipe would wait for a reader
        (root / folder / name).write_bytes(data)

    return change


def _linked(folder: str, name: str, target: str) -> Change:
    def change(root: Path) -> None:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / name).symlink_to(target)

    return change


def _piped(folder: str, name: str) -> Change:
    def change(root: Path) -> None:
        (root / folder).mkdir(parents=True, exist_ok=True)
        os.mkfifo(root / folder / name)

    return change


def _removed(name: str) -> Change:
    return lambda root: shutil.rmtree(root / name)


CHANGES = st.one_of(
    st.builds(
        _written,
        st.sampled_from(FOLDERS),
        st.sampled_from(NAMES),
        mutated(*IMAGES, of_text=False),
    ),
    st.builds(
        _linked,
        st.sampled_from(FOLDERS),
        st.sampled_from(NAMES),
        st.sampled_from(["/nowhere", "..", "../cat", "../../pets", "x.png", "../cat/0.png", "."]),
    ),
    st.builds(_piped, st.sampled_from(FOLDERS), st.sampled_from(NAMES)),
    st.builds(_removed, st.sampled_from(FOLDERS)),
)


@given(changes=st.lists(CHANGES, max_size=5))
@profile()
def test_mutated_folders(folder: Path, changes: list[Change]) -> None:
    root = folder / "pets"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for index in range(3):
            pixels = np.full((3, 4), 40 * index + 7 * (name == "cat"), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.bmp")
    try:
        for change in changes:
            with contextlib.suppress(OSError):  # two changes may exclude each other
                change(root)
        task = loaded(TaskSettings(kind="images", path=str(root)), folder / "cache")
        assert task is None or np.isfinite(task.train.inputs).all()
    finally:
        shutil.rmtree(root)
        shutil.rmtree(folder / "cache", ignore_errors=True)

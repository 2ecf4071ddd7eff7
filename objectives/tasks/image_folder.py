"""The files in a folder of images: their classes, their splits, and what is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.predefined_splits import (
    NO_SPLITS,
    PredefinedSplits,
    split_word,
    splits_of_words,
)

__all__ = ["ImageFolder", "list_images"]

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_SYSTEM = frozenset({"__MACOSX", "@eaDir"})
"""Folders that systems put beside the user's, with copies or parts of images."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """What a folder of images holds.

    Attributes:
        files: Of the images, in order of their paths within each split.
        labels: Names of their classes, str ``[n]``.
        own: The splits that the folder is laid out in.
        notes: What was left out or recognised, in words.
    """

    files: tuple[Path, ...]
    labels: NDArray[np.str_]
    own: PredefinedSplits
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Walk:
    """What is met on the way through a folder, as paths below it."""

    folder: Path
    hidden: list[Path] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def images(self, place: Path) -> list[Path]:
        """All images below a place, sorted."""
        return sorted(self._below(place, (_identity(self.folder),)))

    def entries(self, place: Path) -> list[os.DirEntry[str]]:
        """What lies in a folder, without what is hidden, sorted.

        Raises:
            DataError: The folder cannot be read, or something in it is neither file nor folder.
        """
        try:
            with os.scandir(place) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(
                f"{place}: this folder must be readable, but is not ({error.strerror}): change its "
                "rights, or remove it"
            ) from error
        kept = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _SYSTEM:
                self.hidden.append(Path(entry.path).relative_to(self.folder))
            else:
                _check_kind(entry)
                kept.append(entry)
        return kept

    def leave_out(self, entries: Sequence[os.DirEntry[str]]) -> None:
        """Notes the files that lie where folders are looked for."""
        for entry in entries:
            path = Path(entry.path)
            if not entry.is_dir():
                is_image = path.suffix.lower() in _SUFFIXES
                (self.beside if is_image else self.others).append(path.relative_to(self.folder))

    def _below(self, place: Path, above: tuple[tuple[int, int], ...]) -> list[Path]:
        identity = _identity(place)
        if identity in above:
            raise DataError(
                f"{place}: a link must not lead back to a folder above it, but this one does: "
                "remove it"
            )
        files: list[Path] = []
        for entry in self.entries(place):
            path = Path(entry.path)
            if entry.is_dir():
                if entry.is_symlink():
                    self.linked.append(path.relative_to(self.folder))
                files += self._below(path, (*above, identity))
            elif path.suffix.lower() in _SUFFIXES:
                files.append(path)
            else:
                self.others.append(path.relative_to(self.folder))
        return files


def list_images(folder: Path) -> ImageFolder:
    """Finds the images of each class, and of each split where the folder is laid out in splits.

    A class is a sub-folder, with all images below it. Where the sub-folders are called ``train``
    and ``test``, ``val`` or the like, each holds the classes' folders. Hidden files and folders and
    files that are no images are left out; links are followed.

    Raises:
        DataError: There are no classes, a class has no images, something cannot be read, or
            sub-folders are splits and classes at once.
    """
    walk = _Walk(folder)
    top = walk.entries(folder)
    names = [entry.name for entry in top if entry.is_dir()]
    walk.leave_out(top)
    if not names:
        raise DataError(
            f"{folder}: there must be one sub-folder a class, but there is none: "
            "make one for each class and move its images there"
        )
    notes = []
    if _are_splits(names, folder):
        found = [
            (name, label, file)
            for name in names
            for label in _classes(folder / name, walk)
            for file in walk.images(folder / name / label)
        ]
        words = [name for name, _, _ in found]
        own = splits_of_words(words)
        _require_images(folder, names, words)
        notes.append(f"the folders {_listed(names)} are the data's own splits")
    else:
        found = [("", label, file) for label in names for file in _of_class(folder / label, walk)]
        own = NO_SPLITS
    notes += _left_out(walk)
    return ImageFolder(
        tuple(file for _, _, file in found),
        np.array([label for _, label, _ in found], dtype=str),
        own,
        tuple(notes),
    )


def _are_splits(names: Sequence[str], folder: Path) -> bool:
    """Whether sub-folders are splits, by their names."""
    splits = {name: split_word(name) for name in names}
    kinds = set(splits.values()) - {None}
    if not ({"train"} < kinds or (kinds and None not in splits.values())):
        return False
    if None in splits.values():
        classes = [name for name, split in splits.items() if split is None]
        raise DataError(
            f"{folder}: sub-folders must be splits or classes, but some are called as splits are "
            f"({_listed([n for n in names if n not in classes])}) and others are not "
            f"({_listed(classes)}): move the others elsewhere, or rename the splits"
        )
    if not {"train"} < kinds:
        raise DataError(
            f"{folder}: sub-folders that are splits must be one to train and one to test or "
            f"validate on, but are {_listed(names)}: add the other, or give the folder with the "
            "classes, which greenfront splits itself"
        )
    return True


def _classes(split: Path, walk: _Walk) -> list[str]:
    entries = walk.entries(split)
    names = [entry.name for entry in entries if entry.is_dir()]
    if not names:
        raise DataError(
            f"{split}: the folder of a split must hold one sub-folder a class, but holds none: "
            "make one for each class and move its images there"
        )
    walk.leave_out(entries)
    return names


def _of_class(place: Path, walk: _Walk) -> list[Path]:
    if place.is_symlink():
        walk.linked.append(place.relative_to(walk.folder))
    found = walk.images(place)
    if not found:
        raise DataError(
            f"{place}: the folder of a class must hold images ({', '.join(_SUFFIXES)}), but "
            "holds none: add some, or remove the folder"
        )
    return found


def _require_images(folder: Path, names: Sequence[str], words: Sequence[str]) -> None:
    for name in names:
        if name not in words:
            raise DataError(
                f"{folder / name}: the folder of a split must hold images "
                f"({', '.join(_SUFFIXES)}), but holds none: add some, or remove the folder"
            )


def _left_out(walk: _Walk) -> list[str]:
    notes = []
    if walk.linked:
        notes.append(f"linked folders are followed ({_listed(walk.linked)})")
    if walk.hidden:
        notes.append(f"hidden files and folders are left out ({_listed(walk.hidden)})")
    if walk.others:
        suffixes = Counter(path.suffix.lower() or path.name for path in walk.others)
        told = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(_SHOWN))
        notes.append(
            f"files that are no images, by their names, are left out: {len(walk.others)} in all "
            f"({told}{', …' if len(suffixes) > _SHOWN else ''})"
        )
    if walk.beside:
        notes.append(
            f"images beside the folders of the classes are left out ({_listed(walk.beside)})"
        )
    return notes


def _listed(names: Sequence[object]) -> str:
    """A few names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(map(str, names[:_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _check_kind(entry: os.DirEntry[str]) -> None:
    """Refuses what cannot be read: links to nothing, pipes, devices."""
    try:
        entry.stat()
    except OSError as error:
        what, leading = "this must be readable", ""
        if entry.is_symlink():
            what, leading = (
                "a link must lead to a file or folder",
                f" ({Path(entry.path).readlink()})",
            )
        raise DataError(
            f"{entry.path}: {what}, but {error.strerror}{leading}: correct or remove it"
        ) from error
    if not entry.is_dir() and not entry.is_file():
        raise DataError(
            f"{entry.path}: a folder of images must hold files and folders, but this is a pipe, a "
            "socket or a device: remove it"
        )


def _identity(place: Path) -> tuple[int, int]:
    found = place.stat()
    return found.st_dev, found.st_ino

"""What files a folder of the lineage store holds, so that torn ones are noticed.

A power cut can leave a file shorter than it was written, or full of zeros, although it was closed
and renamed: the system had not brought it to the disk. Sizes and checksums tell.
"""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from greenfront.errors import SearchAborted

__all__ = ["Manifest", "is_disk_full", "manifest_of", "needs_room", "sizes_match", "sums_match"]

Manifest = Mapping[str, tuple[int, int]]
"""Path below the folder → bytes, and CRC-32 of them."""

CHUNK_BYTES = 2**20
FULL = (errno.ENOSPC, errno.EDQUOT)
WORDS = ("no space left on device", "disk quota exceeded")
"""Libraries in C++ and Rust say so in exceptions of their own."""


def manifest_of(folder: Path) -> Manifest:
    """Of all files below a folder, which are brought to the disk first."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _size_and_sum(path, sync=True) for path in files}


def sizes_match(folder: Path, manifest: Manifest) -> bool:
    """Whether each file is there and as long as it was."""
    try:
        return all((folder / name).stat().st_size == size for name, (size, _) in manifest.items())
    except OSError:
        return False


def sums_match(folder: Path, manifest: Manifest) -> bool:
    """Whether each file is what was written."""
    try:
        return all(_size_and_sum(folder / name) == tuple(kept) for name, kept in manifest.items())
    except OSError:
        return False


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, says that a disk or a quota is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if any(word in str(error).lower() for word in WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def needs_room(folder: Path) -> Iterator[None]:
    """Around what writes into a folder.

    Raises:
        SearchAborted: Its disk is full.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, SearchAborted) or not is_disk_full(error):
            raise
        raise SearchAborted(
            f"disk full: {folder} takes no more files. Make room there, for example by greenfront "
            "cache --max-size, or choose another folder by [study] cache; then greenfront resume "
            "goes on, and tries the trial again that this one interrupted"
        ) from error


def _size_and_sum(path: Path, *, sync: bool = False) -> tuple[int, int]:
    size = checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            size += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
        if sync:
            os.fsync(file.fileno())
    return size, checksum

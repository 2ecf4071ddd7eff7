"""Arrays that take long to make, kept on disk and shared between processes."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.drafts import drafted

__all__ = ["MAPPED_BYTES", "Arrays", "cache_key", "cached_arrays", "file_stamps"]

Arrays = dict[str, NDArray[Any]]

MAPPED_BYTES = 16 * 2**20
"""From this size on an array is mapped: processes that need it hold it once between them."""

_CHUNK_BYTES = 2**20
_CHECKSUM_BYTES = 4


def cached_arrays(
    path: Path, names: Sequence[str], build: Callable[[], Iterable[tuple[str, NDArray[Any]]]]
) -> Arrays:
    """Reads arrays, by name, from files, which are made where they are missing or damaged.

    Each file appears whole or not at all. Of several processes that need the same arrays one
    makes them, while the others wait. A large array is mapped copy-on-write: what a process
    writes into it stays its own.

    Args:
        path: What the files' names begin with: array ``a`` of ``folder/key`` is kept in
            ``folder/key.a.npy``. The folder is made where it is missing.
        names: Of the arrays.
        build: Makes them, one after the other; always the same for the same path.

    Raises:
        DataError: If the files cannot be written.
    """
    files = {name: path.with_name(f"{path.name}.{name}.npy") for name in names}
    kept = _read_all(files)
    if kept is not None:
        return kept
    with _lock(path):
        kept = _read_all(files)  # another process may have made them meanwhile
        if kept is not None:
            return kept
        made: Arrays = {}
        for name, array in build():
            with _writing(files[name]):
                _write(files[name], array)
            # Not kept beside the next one where the file can stand in for it.
            made[name] = _read(files[name]) if array.nbytes >= MAPPED_BYTES else array
    return made


def cache_key(sources: Sequence[Any]) -> str:
    """A name for cached arrays.

    Args:
        sources: All that the arrays follow from, as plain values: stamps of files, settings, and
            the version of the code that makes them.
    """
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:32]


def file_stamps(folder: Path, files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Names below ``folder``, sizes and times of files, which tell whether they have changed."""
    stats = [(file, file.stat()) for file in files]
    return [(str(file.relative_to(folder)), stat.st_size, stat.st_mtime_ns) for file, stat in stats]


def _read_all(files: dict[str, Path]) -> Arrays | None:
    try:
        return {name: _read(file) for name, file in files.items()}
    except (OSError, EOFError, ValueError):
        return None


def _read(path: Path) -> NDArray[Any]:
    _verify(path)
    if path.stat().st_size < MAPPED_BYTES:
        return np.asarray(np.load(path, allow_pickle=False))
    # A plain array on top of the mapping: numpy's own class makes every slice slower.
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


def _verify(path: Path) -> None:
    """Raises ``ValueError`` where a file is not as it was written."""
    left = path.stat().st_size - _CHECKSUM_BYTES
    checksum = 0
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        while left > 0:
            count = file.readinto(buffer[: min(left, _CHUNK_BYTES)])
            if not count:
                raise ValueError(f"{path} is shorter than it was")
            checksum = zlib.crc32(buffer[:count], checksum)
            left -= count
        if file.read(_CHECKSUM_BYTES) != _stored(checksum):
            raise ValueError(f"{path} is not what was written")


def _write(path: Path, array: NDArray[Any]) -> None:
    with drafted(path) as draft:
        with draft.open("wb") as file:
            writer = _Checked(file)
            np.lib.format.write_array(writer, np.ascontiguousarray(array), allow_pickle=False)
            file.write(_stored(writer.checksum))  # behind the array, where numpy does not look
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)


def _stored(checksum: int) -> bytes:
    return checksum.to_bytes(_CHECKSUM_BYTES, "little")


class _Checked:
    """A file to write to, and the checksum of its content."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.checksum = 0

    def write(self, content: bytes) -> int:
        self.checksum = zlib.crc32(content, self.checksum)
        return self._file.write(content)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    from filelock import FileLock

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cache file {path} must be writable, but: {error.strerror or error}. "
            "Make its folder writable, or choose another cache folder"
        ) from error

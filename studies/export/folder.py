"""The folder of an exported model: written whole or not at all, with a checksum of each file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from greenfront.errors import ExportError, UsageError
from greenfront.objectives import drafts
from greenfront.objectives.paths import is_below

__all__ = ["SUMS", "broken_sums", "drafted", "require_free", "sha256", "write_sums"]

SUMS = "SHA256SUMS"
"""As ``sha256sum --check`` reads it."""

FORMER = ".former"
"""Suffix of a folder that is being replaced."""


def require_free(folder: Path, *, force: bool) -> None:
    """Checks that a folder may be written.

    Raises:
        UsageError: It exists and is not to be replaced, or it is something else than a model's.
    """
    if not folder.exists():
        return
    if not force:
        raise UsageError(f"{str(folder)!r} exists: give another folder with -o, or --force")
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / SUMS).exists()):
        raise UsageError(
            f"{str(folder)!r} exists and is no exported model, which --force would replace: give "
            "another folder with -o"
        )


@contextlib.contextmanager
def drafted(folder: Path, *, force: bool) -> Iterator[Path]:
    """A draft beside the folder, which takes its place when all is written.

    Whatever happens before leaves the folder as it was.

    Raises:
        UsageError: The folder exists and is not to be replaced.
        ExportError: It cannot be written, such as on a full disk.
    """
    whole = folder.absolute()
    _put_back(whole)
    require_free(folder, force=force)
    try:
        whole.parent.mkdir(parents=True, exist_ok=True)
        with drafts.drafted(whole, folder=True) as draft:
            yield draft
            write_sums(draft)
            for path in [*_files(draft), draft]:
                _to_disk(path)
            draft.chmod(0o755)
            _take_place(draft, whole)
    except OSError as error:
        raise ExportError(
            f"{str(folder)!r} cannot be written ({error.strerror or error}): nothing was left "
            "behind; make room or give another folder with -o"
        ) from error


def write_sums(folder: Path) -> None:
    """Writes the checksums of all files."""
    lines = [f"{sha256(path)}  {path.relative_to(folder).as_posix()}" for path in _files(folder)]
    (folder / SUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def broken_sums(folder: Path) -> list[str]:
    """What is wrong with the files of a folder by its checksums, one sentence each."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return [f"{SUMS} is missing or cannot be read"]
    wrong, named = [], set()
    for line in lines:
        wanted, _, name = line.partition("  ")
        named.add(name)
        path = folder / name
        if not is_below(name):
            wrong.append(f"{name} lies outside of the folder")
        elif not _is_file(path):
            wrong.append(f"{name} is missing")
        elif sha256(path) != wanted:
            wrong.append(f"{name} is not what was exported: its SHA-256 is another")
    others = {path.relative_to(folder).as_posix() for path in _files(folder)} - named
    return wrong + [f"{name} was added: {SUMS} does not name it" for name in sorted(others)]


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    return sorted(path for path in found if "__pycache__" not in path.parts)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # of a name that is too long for any file
        return False


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_place(draft: Path, folder: Path) -> None:
    if not folder.exists():
        draft.replace(folder)
        return
    former = folder.with_name(f".{folder.name}{FORMER}")
    with drafts.locked(folder):
        folder.replace(former)
        try:
            draft.replace(folder)
        except OSError:
            former.replace(folder)
            raise
        shutil.rmtree(former, ignore_errors=True)


def _put_back(folder: Path) -> None:
    """Ends what an export that was killed while it replaced a folder has begun."""
    former = folder.with_name(f".{folder.name}{FORMER}")
    with contextlib.suppress(OSError), drafts.locked(former):
        if folder.exists():
            shutil.rmtree(former, ignore_errors=True)
        else:
            former.replace(folder)

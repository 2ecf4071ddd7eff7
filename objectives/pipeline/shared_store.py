"""Outputs of stages where all machines of a study find them; a machine's cache stays the fast path.

An output is its files and, written last, what is known of it: one that is not whole is none.
Nothing that is read is executed, and no name leads out of an output's folder.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from greenfront.errors import UsageError
from greenfront.objectives.paths import is_below

__all__ = ["SharedStore"]

LOG = logging.getLogger(__name__)

MARK = "greenfront.txt"
"""Written when a store is opened: who cannot write there learns it before the first trial."""


class SharedStore:
    """A folder of any file system that fsspec knows.

    What goes wrong there later costs the reuse of an output, and never a trial: it is logged.

    Args:
        url: Such as ``s3://bucket/folder``, ``gs://…`` or ``file:///shared/folder``.

    Raises:
        UsageError: There is no such file system here, or it cannot be written to.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            files, root = fsspec.url_to_fs(url)
            files.makedirs(root, exist_ok=True)
            files.pipe_file(f"{root}/{MARK}", b"Outputs of greenfront's stages.\n")
        except ImportError as error:
            raise UsageError(
                f"[study] shared_cache {url!r} needs a package that is not installed ({error}): "
                "for s3:// pip install 'greenfront[s3]'"
            ) from error
        except Exception as error:  # each file system has exceptions of its own
            raise UsageError(
                f"[study] shared_cache {url!r} cannot be written to "
                f"({type(error).__name__}: {error}): check the address and the rights, or leave "
                "it out"
            ) from error
        self._files: Any = files
        self._root = str(root).rstrip("/")

    def fetch(self, key: str, about: str, into: Path) -> bool:
        """Copies an output into an empty folder; returns whether it was there.

        Args:
            key: Of the output.
            about: Name of the file that tells of the others, under ``files``.
            into: The folder.
        """
        place = self._place(key)
        try:
            told = self._files.cat_file(f"{place}/{about}")
            for name in json.loads(told)["files"]:
                path = _inside(into, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(f"{place}/{name}", str(path))
            (into / about).write_bytes(told)
        except FileNotFoundError:
            return False
        except Exception as error:  # noqa: BLE001 - see the class
            LOG.warning("%s is not taken from the shared cache: %s", key, error)
            return False
        return True

    def keep(self, key: str, about: str, folder: Path) -> None:
        """Copies an output there, over a torn one; see :meth:`fetch`."""
        place = self._place(key)
        try:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                name = path.relative_to(folder).as_posix()
                if name != about:
                    self._copy(path, f"{place}/{name}")
            self._copy(folder / about, f"{place}/{about}")
        except Exception as error:  # noqa: BLE001 - see the class
            LOG.warning("%s is not put into the shared cache: %s", key, error)

    def _copy(self, path: Path, to: str) -> None:
        self._files.makedirs(to.rpartition("/")[0], exist_ok=True)
        self._files.put_file(str(path), to)

    def _place(self, key: str) -> str:
        return f"{self._root}/{key[:2]}/{key}"


def _inside(folder: Path, name: str) -> Path:
    if not is_below(name):
        raise ValueError(f"{name!r} leads out of its folder")
    return folder / name

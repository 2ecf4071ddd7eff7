"""A file's text, whatever it is packed and encoded with."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from greenfront.errors import DataError

__all__ = ["Decoded", "decoded"]

_PACKED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"PK\x03\x04": lambda data: _only_member(data),
}
_MARKS = (  # the longer first: that of UTF-16 begins that of UTF-32
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DAMAGED = (EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
_MOST_ZEROS = 0.01
"""Share of characters."""
_SAMPLE_BYTES = 2**20
_WESTERN = "cp1252"
"""Of most files that are not UTF-8; of single words the library often guesses another."""
_MOSTLY_ACCENTED = 0.7
_ACCENTED_WORD = re.compile(r"[^\W\d_]*[^\W\d_\x00-\x7f][^\W\d_]*")
_SIGN_IN_WORD = re.compile(r"[a-zà-ÿ][^\w\x00-\x7f’][a-zà-ÿ]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a file.

    Attributes:
        text: Without a byte-order mark.
        notes: What had to be guessed, in words.
    """

    text: str
    notes: tuple[str, ...] = ()


def decoded(path: Path, encoding: str | None = None) -> Decoded:
    """Reads a text file, also one that is packed by gzip, bzip2, xz or zip.

    The encoding is told by a byte-order mark, else it is UTF-8, else it is guessed.

    Args:
        path: The file.
        encoding: Python's name of the encoding; absent: found out.

    Raises:
        DataError: The file cannot be read or unpacked, or is no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, str(error.strerror or error)) from error
    for magic, unpack in _PACKED.items():
        if content.startswith(magic):
            try:
                content = unpack(content)
            except (*_DAMAGED, lzma.LZMAError, zipfile.BadZipFile, zlib.error) as error:
                raise _unreadable(path, f"it cannot be unpacked: {error}") from error
            break
    if encoding is not None:
        return Decoded(_by(content, encoding, path))
    for mark, name in _MARKS:
        if content.startswith(mark):
            return Decoded(_by(content, name, path))
    try:
        return _checked(Decoded(content.decode("utf-8")), path)
    except UnicodeDecodeError:
        return _checked(_guessed(content, path), path)


def _only_member(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [item.filename for item in archive.infolist() if not item.is_dir()]
        if any(name.startswith(("xl/", "content.xml")) for name in names):
            raise ValueError("it is a spreadsheet: save it as CSV")
        if len(names) != 1:
            raise ValueError(f"it holds {len(names)} files instead of one")
        return archive.read(names[0])


def _by(content: bytes, encoding: str, path: Path) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise DataError(
            f"{path}: encoding must be one that Python knows, but is {encoding!r}: "
            "utf-8, cp1252 and utf-16 are usual; or leave it out"
        ) from error
    except UnicodeError as error:
        raise _unreadable(path, f"it is not {encoding}: {error}") from error


def _guessed(content: bytes, path: Path) -> Decoded:
    name = _WESTERN
    if not _is_western(content):
        from charset_normalizer import from_bytes

        found = from_bytes(content[:_SAMPLE_BYTES]).best()
        if found is None:
            raise _unreadable(path, "it is not UTF-8 and looks like no other text")
        name = found.encoding
    note = f"the file is not UTF-8: it is read as {name}, a guess that [task] encoding overrules"
    return Decoded(_by(content, name, path), (note,))


def _is_western(content: bytes) -> bool:
    """Whether words of Latin letters, a few of them accented, come out of it, and no signs in them.

    Cyrillic or Greek words would be accented from end to end.
    """
    try:
        text = content.decode(_WESTERN)
    except UnicodeDecodeError:
        return False
    words = _ACCENTED_WORD.findall(text)
    accented = sum(not letter.isascii() for word in words for letter in word)
    letters = sum(map(len, words))
    return accented <= _MOSTLY_ACCENTED * letters and not _SIGN_IN_WORD.search(text)


def _checked(found: Decoded, path: Path) -> Decoded:
    """Takes a few stray bytes of 0 out; many of them are no text, or one of UTF-16."""
    zeros = found.text.count("\x00")
    if not zeros:
        return found
    if zeros > _MOST_ZEROS * len(found.text):
        raise _unreadable(path, f"it holds {zeros} bytes of 0, as no text does")
    note = f"{zeros} bytes of 0 are left out"
    return Decoded(found.text.replace("\x00", ""), (*found.notes, note))


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}: this must be a table as text (CSV), but cannot be read ({why}): correct the "
        "file, or write it again in UTF-8"
    )

"""Files as accidents leave them: strategies that damage a whole one."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("GREENFRONT_MUTATIONS", "200"))
"""Of each test of mutated files; ``GREENFRONT_MUTATIONS=20000 pytest -k mutated`` is thorough."""

Mutation = Callable[[bytes], bytes]

TOKENS = (
    *(b'"', b"'", b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b" ", b"\\", b'\\"', b'""', b"#"),
    *(b"\x00", b"\xff", b"\xfe", b"\xe4", b"\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8"),
    *(b"NaN", b"nan", b"NA", b"None", b"null", b"inf", b"-", b"1e999", b"1e-999", b"-1", b"0x10"),
    *(b"1,5", b"1.234,5", b"1 000", b"9" * 400, b"2025-02-30", b"10:00", b"true", b"?", b"%"),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"{}",
        b"[]",
        b"[[",
        b"sep=;\n",
        b"x" * 300,
        "日本é😀".encode(),
    ),
    *(b"../", b"=1+1", b"<b>", b"\x1b[31m", b"\\ud83d", b"PAR1", b"\x1f\x8b", b"PK\x03\x04"),
)

_PLACES = st.floats(0, 1)
_LENGTHS = st.integers(0, 40)


MOST_CPU_SECONDS = 5.0
"""What reading one file may take: beyond, it hangs. Of the processor's time, which neighbours on a
busy machine do not move."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is a place for that: thousands of files are written."""
    memory = Path("/dev/shm")
    place = tempfile.mkdtemp(prefix="greenfront-", dir=memory if memory.is_dir() else None)
    yield Path(place)
    shutil.rmtree(place)


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """Ends what works for too long."""

    def fail(_number: int, _frame: object) -> NoReturn:
        raise AssertionError(f"no end after {MOST_CPU_SECONDS} s of work")

    before = signal.signal(signal.SIGPROF, fail)
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def profile() -> settings:
    """As many examples as the environment asks for."""
    return settings(max_examples=EXAMPLES)


def _inserted(place: float, token: bytes) -> Mutation:
    return lambda data: data[: (at := int(place * len(data)))] + token + data[at:]


def _replaced(place: float, length: int, token: bytes) -> Mutation:
    return lambda data: data[: (at := int(place * len(data)))] + token + data[at + length :]


def _repeated(place: float, length: int, times: int) -> Mutation:
    return lambda data: (
        data[: (at := int(place * len(data)))] + data[at : at + length] * times + data[at:]
    )


def _swapped(one: float, other: float) -> Mutation:
    def swap(data: bytes) -> bytes:
        lines = data.split(b"\n")
        first, second = (int(place * (len(lines) - 1)) for place in (one, other))
        lines[first], lines[second] = lines[second], lines[first]
        return b"\n".join(lines)

    return swap


def _flipped(place: float, bit: int) -> Mutation:
    def flip(data: bytes) -> bytes:
        if not data:
            return data
        at = int(place * (len(data) - 1))
        return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]

    return flip


def _encoded(name: str) -> Mutation:
    return lambda data: data.decode("utf-8", "replace").encode(name, "replace")


def _replacing(old: bytes, new: bytes) -> Mutation:
    return lambda data: data.replace(old, new)


_ANY = st.one_of(
    st.builds(_inserted, _PLACES, st.sampled_from(TOKENS) | st.binary(max_size=8)),
    st.builds(_replaced, _PLACES, _LENGTHS, st.sampled_from((b"", *TOKENS))),
    st.builds(_repeated, _PLACES, _LENGTHS, st.integers(1, 30)),
    st.builds(_flipped, _PLACES, st.integers(0, 7)),
    st.builds(lambda place: lambda data: data[: int(place * len(data))], _PLACES),
)
_OF_TEXTS = st.one_of(
    st.builds(_swapped, _PLACES, _PLACES),
    st.builds(_replacing, st.sampled_from(TOKENS), st.sampled_from(TOKENS)),
    st.builds(_encoded, st.sampled_from(["utf-16", "utf-8-sig", "latin-1", "cp1252", "utf-32"])),
    st.just(gzip.compress),
)


def mutated(*seeds: bytes, of_text: bool = True) -> st.SearchStrategy[bytes]:
    """One of the seeds after a few mutations; sometimes bytes of no sense at all.

    Args:
        seeds: Whole files.
        of_text: Whether lines may change places, and encodings change.
    """
    steps = st.lists(_ANY | _OF_TEXTS if of_text else _ANY, max_size=6)

    def damaged(seed: bytes, mutations: list[Mutation]) -> bytes:
        for mutation in mutations:
            seed = mutation(seed)[:200_000]
        return seed

    return st.builds(damaged, st.sampled_from(seeds), steps) | st.binary(max_size=200)

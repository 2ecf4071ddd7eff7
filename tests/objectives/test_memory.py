from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from greenfront.objectives.memory import (
    peak_memory_bytes,
    release_memory,
    reset_peak_memory,
)

MIB = 2**20


def resident_bytes() -> int:
    status = Path("/proc/self/status").read_text().split("VmRSS:")[1]
    return int(status.split()[0]) * 1024


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library")
def test_freed_memory_goes_back_to_the_system() -> None:
    program = """
import ctypes
from greenfront.objectives import memory
from greenfront.objectives.memory import peak_memory_bytes, release_memory
from greenfront.objectives.memory import reset_peak_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
blocks = [libc.malloc(60_000) for _ in range(4000)]  # 229 MiB in pieces that stay on the heap
for block in blocks:
    ctypes.memset(block, 1, 60_000)
for block in blocks[:-1]:  # the last one stands above the others and holds them
    libc.free(block)
reset_peak_memory()
kept = peak_memory_bytes()
release_memory()
reset_peak_memory()
print(kept - peak_memory_bytes())
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(answer.stdout) > 150 * MIB


def test_the_peak_is_that_since_the_reset() -> None:
    held = bytearray(64 * MIB)
    held[:] = b"x" * len(held)
    resident, before = resident_bytes(), peak_memory_bytes()
    assert before is not None
    assert before >= resident - MIB  # the kernel counts pages of each processor apart
    del held
    release_memory()
    reset_peak_memory()
    after = peak_memory_bytes()
    assert after is not None
    assert before - after > 32 * MIB


def test_collections_pass_over_what_was_loaded_and_find_what_came_after() -> None:
    program = """
import gc, weakref
from greenfront.objectives.memory import release_memory
class Knot: pass
release_memory()
assert gc.get_freeze_count() > len(gc.get_objects())
knot = Knot()
knot.self, seen = knot, weakref.ref(knot)
del knot
release_memory()
assert seen() is None
"""
    subprocess.run([sys.executable, "-c", program], check=True)

"""Evaluators forked from the process of the tests, which has imported already what takes seconds.

Everything else about them is as in production: a process of its own at the other end of a socket,
with its log, its folder and its environment. Tests of that process start real ones.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

from greenfront.search.evaluator import child, process
from greenfront.search.evaluator.launch import EvaluatorSettings

__all__ = ["forked_evaluators"]

NEEDED = (
    "alembic.command",
    "greenfront.objectives.pipeline.trial",
    "greenfront.search.evaluator.trial_job",
    "onnxruntime.quantization",
    "pandas",
    "sklearn.model_selection",
    "torch.onnx.ops",
    "torch_pruning",
)
"""What an evaluator imports before its first trial is over."""

_start = process.launch


class Forked:
    """What an evaluator needs to know of its process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None


@contextlib.contextmanager
def forked_evaluators() -> Iterator[None]:
    """Forks evaluators instead of starting them, and times the recipes of int8 shortly."""
    with patch.object(process, "launch", _launch):
        yield


@functools.cache
def _can_fork() -> bool:
    """Imports once; a process that may have touched a GPU cannot be forked."""
    if Path("/dev/nvidiactl").exists():
        return False
    for name in NEEDED:
        importlib.import_module(name)
    return True


def _launch(how: EvaluatorSettings, descriptor: int, mark: str) -> object:
    if not _can_fork():
        return _start(how, descriptor, mark)
    with how.log.open("ab") as log, Path(os.devnull).open("rb") as nothing:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _serve(how.job, descriptor, nothing.fileno(), log.fileno())
    return Forked(pid)


def _serve(job: str, descriptor: int, stdin: int, log: int) -> NoReturn:
    try:
        from greenfront.objectives.stages import int8

        os.setsid()
        gc.freeze()
        for number, source in enumerate((stdin, log, log)):
            os.dup2(source, number)
        os.closerange(3, descriptor)
        os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        warnings.resetwarnings()
        int8.ROUNDS, int8.BLOCK_SECONDS = 3, 0.002
        given = os.environ.get("PYTHONPATH", "")
        sys.path[:0] = [str(Path.cwd()), *filter(None, given.split(os.pathsep))]
        child.main(descriptor, job)
    except BaseException:  # noqa: BLE001 - nothing of this process may go on in the tests'
        traceback.print_exc()
    finally:
        os._exit(1)

"""Processes forked from that of the tests, which has imported already what takes seconds.

Evaluators: all else about them is as in production, a process of its own at the other end of a
socket, with its log, its folder and its environment; tests of that process start real ones. And
commands that a test stops, kills or runs beside others.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

from contracts.waiting import PATIENCE_SECONDS
from greenfront.search.evaluator import child, process
from greenfront.search.evaluator.launch import EvaluatorSettings

__all__ = ["ForkedCommand", "can_fork", "forked_evaluators"]

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
def can_fork() -> bool:
    """Imports once; a process that may have touched a GPU cannot be forked."""
    if Path("/dev/nvidiactl").exists():
        return False
    for name in NEEDED:
        importlib.import_module(name)
    return True


class ForkedCommand:
    """A command in a process of its own, a copy of this one; to tests it is like a ``Popen``."""

    def __init__(self, main: Callable[[], None], words: Sequence[str], folder: Path) -> None:
        self.returncode: int | None = None
        self._said = folder.with_name(f"said-{time.monotonic_ns()}")
        with self._said.open("wb") as said:
            self.pid = _fork(said.fileno(), 2, lambda: _run(main, words, folder))

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("greenfront", timeout)
            time.sleep(0.01)

    def communicate(self, timeout: float = PATIENCE_SECONDS) -> tuple[str, None]:
        """Waits for its end, and gives all that it has said."""
        self.wait(timeout)
        return self._said.read_text(), None

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _run(main: Callable[[], None], words: Sequence[str], folder: Path) -> None:
    # A test run in the background ignores Ctrl-C, and its children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("error")
    os.chdir(folder)
    sys.argv = ["greenfront", *words]
    main()


def _launch(how: EvaluatorSettings, descriptor: int, mark: str, card: str | None = None) -> object:
    if not can_fork():
        return _start(how, descriptor, mark, card)
    with how.log.open("ab") as log:
        return Forked(_fork(log.fileno(), descriptor, lambda: _evaluate(how.job, descriptor, card)))


def _evaluate(job: str, descriptor: int, card: str | None) -> None:
    from greenfront.objectives.stages import int8

    int8.ROUNDS, int8.BLOCK_SECONDS = 3, 0.002
    if card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    given = os.environ.get("PYTHONPATH", "")
    sys.path[:0] = [str(Path.cwd()), *filter(None, given.split(os.pathsep))]
    child.main(descriptor, job)


def _fork(output: int, kept: int, serve: Callable[[], None]) -> int:
    """Gives the process that serves, in a session of its own, with this one's descriptor alone."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _serve(output, kept, serve)
    return pid


def _serve(output: int, kept: int, serve: Callable[[], None]) -> NoReturn:
    code: object = 1
    try:
        os.setsid()
        gc.freeze()
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        warnings.resetwarnings()
        serve()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - nothing of this process may go on in the tests'
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)

"""The supervisor's side of an evaluator on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil

from greenfront.errors import (
    Interrupted,
    SearchAborted,
    TrialFailed,
    TrialStopped,
    UsageError,
)
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.context import TrialContext
from greenfront.objectives.learning_curve import LearningCurve
from greenfront.objectives.metering.gpu_lease import GpuLease, GpuSeat
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.process_tree import tree_rss_bytes
from greenfront.objectives.metering.stopwatch import Stopwatch
from greenfront.objectives.outcome import Sizing, Weighed
from greenfront.search.evaluator.channel import Channel, Message
from greenfront.search.evaluator.code_watch import CodeWatch
from greenfront.search.evaluator.cores import CoreLease
from greenfront.search.evaluator.descendants import kill_descendants
from greenfront.search.evaluator.early_stopping import EarlyStopping
from greenfront.search.evaluator.launch import EvaluatorSettings, launch
from greenfront.search.evaluator.phases import PhaseMeter
from greenfront.search.evaluator.reaper import supervisor_mark

__all__ = ["Evaluator"]

T = TypeVar("T")

POLL_SECONDS = 0.25
FLUSH_SECONDS = 5.0
"""A long window is written to the ledger in pieces: a kill loses less than ten seconds."""

GRACE_SECONDS = 10.0

ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT
"""Looks whether a process has ended, and leaves it, and with it its usage, to be reaped."""

CRASH_PLACE = re.compile(r'Current thread .*?\n  File "([^"]*)", line (\d+)', re.DOTALL)


class Evaluator:
    """One evaluator process; when it has died, another object takes its place.

    Args:
        how: How to start it.
        instruments: Meter it.
        context: Charged for its start.

    Raises:
        UsageError: Its job refused the settings.
        TrialFailed: It died while it started.
    """

    def __init__(
        self, how: EvaluatorSettings, instruments: Instruments, context: TrialContext
    ) -> None:
        how.log.parent.mkdir(parents=True, exist_ok=True)
        self._how = how
        self._channel, descriptor = Channel.pair()
        self._mark = f"{supervisor_mark()}/{uuid.uuid4().hex}"
        self._seat = GpuSeat.take(instruments.gpu_uuids)
        card = None if self._seat is None else self._seat.uuid
        self._process = launch(how, descriptor, self._mark, card)
        os.close(descriptor)
        self._cores = CoreLease.take(how.threads) if how.pinned else None
        if self._cores is not None:
            self._cores.pin(self._process.pid)
        self.peak_memory_bytes = 0
        own = instruments if card is None else instruments.of_card(card)
        self._meter = PhaseMeter(Stopwatch(own, self._process.pid))
        self._lease = GpuLease(card)
        self._alive = True
        self._held_seconds = 0.0
        self._code = CodeWatch(how)
        self._early_stopping = EarlyStopping.of(context)
        try:
            self._converse(context, "begin", settings=how.settings)
        except BaseException:
            # Nobody will hold this object to close it.
            if self._alive:
                self._kill(context)
            raise

    @property
    def card(self) -> str | None:
        """UUID of the one GPU that it sees; ``None`` where none is metered."""
        return None if self._seat is None else self._seat.uuid

    @property
    def alive(self) -> bool:
        """Whether it can take another call; one that has died by itself is still to be closed."""
        if not self._alive:
            return False
        return os.waitid(os.P_PID, self._process.pid, ENDED) is None

    def call(
        self,
        name: str,
        argument: Any,
        context: TrialContext,
        *,
        returns: type[T],
        timeout_seconds: float | None = None,
        early_stopping: EarlyStopping | None = None,
    ) -> T:
        """Carries out one call.

        Args:
            name: One of the job's calls.
            argument: JSON value.
            context: Of the trial that it belongs to.
            returns: Type of the call's value.
            timeout_seconds: Seconds of work after which it is killed.
            early_stopping: Judge the model; by default the context does.

        Raises:
            TrialFailed: It raised, died, hung or took too much memory.
            TrialStopped: It was ended early on purpose.
            UsageError: It refused the user's input.
            SearchAborted: No other call would do better: the disk is full.
            Interrupted: The user wants to stop; the evaluator is killed.
        """
        with self._lease.held(context.progress, lambda: self._stop_if_asked(context)):
            # What passed since the last call was waiting: of no trial.
            self._meter.cut(context)
            self._meter.leased = True
            self._early_stopping = early_stopping or EarlyStopping.of(context)
            content = {"name": name, "argument": argument}
            try:
                value = self._converse(context, "call", timeout_seconds, **content)
            finally:
                self._meter.leased = False
            return from_json(returns, value)

    def close(self, context: TrialContext) -> None:
        """Ends the process and charges what is left."""
        if self._alive:
            # The time of what it has started cannot be read once that is ended with it.
            self._meter.flush(context)
            self._channel.close()  # it exits at the end of its pipe
            self._reap(context)

    def _converse(
        self, context: TrialContext, kind: str, timeout_seconds: float | None = None, **content: Any
    ) -> Any:
        """Sends a message and serves the evaluator's requests until it answers."""
        try:
            self._channel.send(kind, **content)
        except OSError:
            raise self._death(context) from None
        began = flushed = time.monotonic()
        self._held_seconds = 0.0
        while True:
            try:
                message = self._next(POLL_SECONDS)
            except (EOFError, OSError):
                raise self._death(context) from None
            if message is not None and not self._serve(message, context):
                # The call is over, perhaps in the middle of a window.
                self._check_memory(context)
                self._meter.end(context, 0)
                return _result(message)
            now = time.monotonic()
            if message is None or now - flushed > FLUSH_SECONDS:
                self._check_memory(context)
            if now - flushed > FLUSH_SECONDS:
                flushed = now
                self._meter.flush(context)
            self._stop_if_asked(context)
            if (overdue := self._code.overdue) is not None:
                self._kill(context)
                raise TrialFailed("timed out", overdue)
            worked = now - began - self._held_seconds
            if timeout_seconds is not None and worked > timeout_seconds:
                self._kill(context)
                raise TrialFailed(
                    "timed out",
                    f"no end after {timeout_seconds:.0f} s; raise [limits] trial_minutes if it "
                    "needs more",
                )

    def _next(self, seconds: float) -> Message | None:
        """The next message, if one comes in time.

        Raises:
            EOFError: The evaluator is dead; what it has forked may hold its end open.
            OSError: The same, mid-message.
        """
        was_alive = self.alive
        if self._channel.poll(seconds):
            return self._channel.receive()
        if not was_alive:
            raise EOFError
        return None

    def _stop_if_asked(self, context: TrialContext) -> None:
        if context.stopping:
            self._kill(context)
            raise Interrupted("stopped by the user")

    def _answer(self, kind: str, **content: Any) -> None:
        with contextlib.suppress(OSError):  # it has just died: the next receive() fails
            self._channel.send(kind, **content)

    def _advise(self, objection: str | None) -> None:
        if objection is None:
            self._answer("go")
        else:
            self._answer("stop", reason=objection)

    def _serve(self, message: Message, context: TrialContext) -> bool:
        """Serves a request of the evaluator; false for what ends the call."""
        match message["kind"]:
            case "open":
                self._meter.begin(message["phase"], context)
                self._answer("go")
            case "close":
                readings = self._meter.end(context, message.get("depth"))
                self._answer("reading", readings=to_json(readings))
            case "code":
                self._code.hear(message)
            case "progress":
                self._hold(context)
                self._progress(message["message"], context)
                self._answer("go")
            case "power":
                context.limit_power(message["watts"])
                self._answer("go")
            case "sized":
                self._advise(self._early_stopping.size(from_json(Sizing, message["sizing"])))
            case "trained":
                curve = from_json(LearningCurve, message["curve"])
                spent = partial(self._meter.so_far, context)
                self._advise(self._early_stopping.training(curve, spent))
            case "weighed":
                weighed = from_json(Weighed, message["weighed"])
                standing = self._early_stopping.standing(weighed.cheap, weighed.dear)
                self._answer("standing", standing=standing)
            case _:
                return False
        return True

    def _progress(self, message: str, context: TrialContext) -> None:
        """Shows how far it is; kills it where a budget is spent."""
        if context.budgeted:
            self._meter.flush(context)
        try:
            context.progress(message)
        except Interrupted:
            self._kill(context)
            raise

    def _hold(self, context: TrialContext) -> None:
        """Pauses the evaluator as long as the search wants: in no window, in no time-out."""
        began = time.monotonic()
        flushed: float | None = None

        def rest(seconds: float) -> None:
            nonlocal flushed
            now = time.monotonic()
            if flushed is None:
                flushed = now
                self._meter.flush(context)
            if self._channel.poll(seconds) or not self.alive:
                # It sends nothing while it waits: this is its end.
                raise self._death(context)
            if context.stopping:
                self._meter.set_aside(context)
                self._stop_if_asked(context)
            if time.monotonic() - flushed > FLUSH_SECONDS:
                flushed = time.monotonic()
                self._meter.set_aside(context)

        context.hold(rest)
        if flushed is not None:
            self._meter.set_aside(context)
            self._held_seconds += time.monotonic() - began

    def _check_memory(self, context: TrialContext) -> None:
        used = tree_rss_bytes(self._process.pid)
        self.peak_memory_bytes = max(self.peak_memory_bytes, used)
        limit = self._how.memory_bytes
        if limit is not None and used > limit:
            self._kill(context)
            raise TrialFailed(
                "out of memory",
                f"{used / 2**30:.2f} GiB are more than the {limit / 2**30:.2f} GiB of [limits] "
                "memory_gb",
            )

    def _kill(self, context: TrialContext) -> None:
        # The time of children that are killed with it cannot be read afterwards.
        self._meter.flush(context)
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        # Not Popen.kill, which first reaps a process that has ended, and with it its usage.
        os.kill(self._process.pid, signal.SIGKILL)
        self._reap(context)

    def _death(self, context: TrialContext) -> TrialFailed:
        status = self._reap(context)
        doing = self._code.doing
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            name = signal.Signals(number).name
            if number == signal.SIGKILL:
                return TrialFailed(
                    "out of memory",
                    f"killed by {name}{doing}: most likely the system ran out of memory",
                )
            where = _place(self._how.log)
            where = f" in {where}" if where else ""
            return TrialFailed("crashed", f"ended by {name}{where}{doing}; see {self._how.log}")
        number = os.waitstatus_to_exitcode(status)
        return TrialFailed("crashed", f"ended with code {number}{doing}; see {self._how.log}")

    def _reap(self, context: TrialContext) -> int:
        """Waits for the end and charges everything up to it by the exact usage of ``wait4``."""
        self._alive = False
        deadline = time.monotonic() + GRACE_SECONDS
        while os.waitid(os.P_PID, self._process.pid, ENDED) is None:
            if time.monotonic() > deadline:
                os.kill(self._process.pid, signal.SIGKILL)
            time.sleep(0.005)
        # Its group has its number for as long as it was not waited for.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        kill_descendants(self._mark)
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._channel.close()
        if self._cores is not None:
            self._cores.release()
        if self._seat is not None:
            self._seat.release()
        self._meter.cut(context, cpu_seconds=usage.ru_utime + usage.ru_stime)
        return status


def _place(log: Path) -> str | None:
    """Where in the code a process was that crashed, from the last words of Python in its log."""
    words = log.read_text(errors="replace").rpartition("Fatal Python error")[2]
    found = CRASH_PLACE.search(words)
    return None if found is None else f"{found[1]}, line {found[2]}"


def _result(message: Message) -> Any:
    match message["kind"]:
        case "result":
            return message["value"]
        case "failed":
            raise TrialFailed(message["cause"], message["reason"])
        case "stopped":
            raise TrialStopped(message["reason"])
        case "refused":
            raise UsageError(message["reason"])
        case "aborted":
            raise SearchAborted(message["reason"])
        case kind:
            raise TrialFailed("error", f"the evaluator sent {kind!r}, which means nothing")

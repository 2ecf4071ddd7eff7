"""The evaluator: a process that stays warm and does one call of its supervisor after the other.

Started as ``python -m greenfront.search.evaluator.child DESCRIPTOR MODULE:FUNCTION``. The
function gets a :class:`StageContext` and the settings, and returns the calls that it offers, by
name.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from greenfront.errors import SearchAborted, TrialFailed, TrialStopped, UsageError
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.context import StageContext, Window, synchronize
from greenfront.objectives.learning_curve import LearningCurve
from greenfront.objectives.memory import is_out_of_memory
from greenfront.objectives.outcome import Outcome, Sizing, Standing, Weighed
from greenfront.objectives.pipeline.manifest import is_disk_full
from greenfront.objectives.readings import Component, Reading
from greenfront.search.evaluator.channel import Channel, Message
from greenfront.spaces.user_code import CodeRules, set_code_rules

__all__ = ["Calls", "Job", "PipeContext", "main"]

PR_SET_CHILD_SUBREAPER = 36
"""See ``prctl(2)``."""

Calls = Mapping[str, Callable[[Any], Any]]
"""What an evaluator can be asked, by name: from JSON value to JSON value."""

Job = Callable[[StageContext, dict[str, Any]], Calls]
"""Makes the calls, once, from the settings that the supervisor sent."""


class PipeContext(StageContext):
    """The context of stages in an evaluator: passes everything to the supervisor."""

    def __init__(self, channel: Channel, inbox: queue.SimpleQueue[Message]) -> None:
        self._channel = channel
        self._inbox = inbox
        self._depth = 0

    @contextlib.contextmanager
    def user_code(self, what: str, whose: str) -> Iterator[None]:
        """Says what is done with code of the user's while it is."""
        self._channel.send("code", what=what, whose=whose)
        try:
            yield
        finally:
            self._channel.send("code", what=None)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Window]:
        """Opens a metered window; the supervisor reads the counters at both ends."""
        window, depth = Window(name), self._depth
        synchronize()
        self._ask("open", phase=name)
        self._depth += 1
        try:
            yield window
            synchronize()
        finally:
            self._depth = depth
            answer = self._ask("close", depth=depth)
        window.readings |= from_json(dict[Component, Reading], answer["readings"])

    def progress(self, message: str) -> None:
        """Sends a line to show, and waits as long as the search wants to pause."""
        self._ask("progress", message=message)

    def limit_power(self, watts: float) -> None:
        """Asks the supervisor, whose guard sets it, and waits until it is set."""
        self._ask("power", watts=watts)

    def size_verdict(self, sizing: Sizing) -> str | None:
        """Asks whether training can be worth it."""
        answer = self._ask("sized", sizing=to_json(sizing))
        return str(answer["reason"]) if answer["kind"] == "stop" else None

    def training_verdict(self, curve: LearningCurve) -> str | None:
        """Asks whether the rest of a training can be worth it."""
        answer = self._ask("trained", curve=to_json(curve))
        return str(answer["reason"]) if answer["kind"] == "stop" else None

    def standing(self, cheap: Outcome, dear: Outcome) -> Standing | None:
        """Asks where a model stands that costs something between the two."""
        answer = self._ask("weighed", weighed=to_json(Weighed(cheap, dear)))
        standing: Standing | None = answer["standing"]
        return standing

    def _ask(self, kind: str, /, **said: Any) -> Message:
        self._channel.send(kind, **said)
        return self._inbox.get()


def main(descriptor: int, job_name: str) -> None:
    """Serves until the supervisor closes its end or dies."""
    # Ctrl-C in a terminal and a service manager's SIGTERM reach every process of the group; the
    # supervisor decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable()
    _adopt_orphans()
    os.set_inheritable(descriptor, False)
    channel = Channel(descriptor)
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, inbox), daemon=True).start()
    context = PipeContext(channel, inbox)
    settings = inbox.get()["settings"]
    set_code_rules(CodeRules(settings.get("code"), context.user_code))
    calls: Calls = {}

    def begin(_argument: Any) -> None:
        nonlocal calls
        calls = _job(job_name)(context, settings)

    _answer(channel, begin, None)
    while True:
        message = inbox.get()
        _answer(channel, calls[message["name"]], message["argument"])


def _adopt_orphans() -> None:
    """Keeps what is left by processes that it has started in its tree: metered, and ended with it.

    On Linux alone, where a parent's death would move them below another process.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _listen(channel: Channel, inbox: queue.SimpleQueue[Message]) -> None:
    # A supervisor that is killed cannot say so: the end of its pipe is the message.
    try:
        while True:
            inbox.put(channel.receive())
    except (EOFError, OSError):
        os._exit(1)


def _job(name: str) -> Job:
    module, _, function = name.partition(":")
    job: Job = getattr(importlib.import_module(module), function)
    return job


def _answer(channel: Channel, call: Callable[[Any], Any], argument: Any) -> None:
    try:
        value = call(argument)
    except TrialStopped as stop:
        channel.send("stopped", reason=stop.reason)
    except TrialFailed as failure:
        channel.send("failed", cause=failure.cause, reason=failure.reason)
    except UsageError as error:
        channel.send("refused", reason=str(error))
    except SearchAborted as error:
        channel.send("aborted", reason=str(error))
    except BaseException as error:  # noqa: BLE001 - whatever a stage raises costs one trial only
        traceback.print_exc()
        words = f"{type(error).__name__}: {error}".strip()
        if is_disk_full(error):
            channel.send("aborted", reason=f"disk full: {words}; make room there, then resume")
            return
        cause = "out of memory" if is_out_of_memory(error) else "error"
        channel.send("failed", cause=cause, reason=words)
    else:
        channel.send("result", value=to_json(value))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

"""Ends what a supervisor has started when it dies, whatever it dies of.

Started as ``python -m greenfront.search.evaluator.reaper MARK``, once for each supervisor. Its
standard input is a pipe whose other end the supervisor alone holds: the end of it is the
supervisor's. An evaluator sees that by itself, but not while code of the user's keeps Python busy,
and what it has started does not see it at all.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import uuid

from greenfront.search.evaluator.descendants import kill_descendants

__all__ = ["main", "supervisor_mark"]


def main(mark: str) -> None:
    """Waits for the supervisor's end, then ends its evaluators and what they have started."""
    # Signals to the supervisor's terminal are for the supervisor to judge.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")  # no folder is kept from being removed
    while os.read(0, 1):
        pass
    kill_descendants(mark)


def supervisor_mark() -> str:
    """The mark of this process as a supervisor; the first call starts its reaper."""
    return _supervisor_mark(os.getpid())


@functools.cache
def _supervisor_mark(_pid: int) -> str:  # a forked process is a supervisor of its own
    mark = uuid.uuid4().hex
    theirs, _ours = os.pipe()  # ours stays open for as long as this process lives
    null = os.open(os.devnull, os.O_WRONLY)
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", __name__, mark],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, theirs, 0),
            (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
        ],
        setsid=True,
    )
    os.close(theirs)
    os.close(null)
    return mark


if __name__ == "__main__":
    main(sys.argv[1])

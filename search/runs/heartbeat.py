"""The heartbeat of a run: a thread that reports it alive and charges the search's own energy."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator

import sqlalchemy as sa

from greenfront.errors import StorageLost
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.stopwatch import Stopwatch
from greenfront.studies.store.ledger_writer import Charged, LedgerWriter
from greenfront.studies.store.runs import HEARTBEAT_SECONDS, Run
from greenfront.studies.store.sqlite import checkpoint

__all__ = ["OWN_PHASE", "heartbeat"]

OWN_PHASE = "search"
"""Phase of the ledger that the search itself is charged to."""

MERGED_BEATS = 60
"""So often the ledger's entries of the search itself are merged."""


@contextlib.contextmanager
def heartbeat(
    run: Run,
    ledger: LedgerWriter,
    instruments: Instruments | None,
    beaten: Callable[[], None],
    fail: Callable[[BaseException], None],
) -> Iterator[None]:
    """Marks a run alive in the database and charges this process, every few seconds.

    The log of an SQLite file is brought into it as often.

    Args:
        run: Of this process.
        ledger: Charged with phase ``search``.
        instruments: Meter this process; ``None`` charges nothing.
        beaten: Called after each beat.
        fail: Called when the database is lost for good.
    """
    over = threading.Event()
    stopwatch = None
    if instruments is not None:
        stopwatch = Stopwatch(instruments, os.getpid(), clock=time.process_time)
    since = time.time()
    owed: list[Charged] = []

    def beat() -> None:
        nonlocal since
        if stopwatch is not None:
            now = time.time()
            readings = stopwatch.lap()
            if readings:
                owed.append(Charged(OWN_PHASE, readings, since, now))
            since = now
        run.beat()
        while owed:
            ledger.settle(owed[0])
            del owed[0]

    def keep_beating() -> None:
        for beats in itertools.count(1):
            if over.wait(HEARTBEAT_SECONDS):
                return
            # A database that is away for longer than is waited for ends the search, not this.
            try:
                beat()
                beaten()
                checkpoint(run.storage.engine)
                if beats % MERGED_BEATS == 0:
                    ledger.merge(None)
            except sa.exc.DBAPIError:
                pass
            except StorageLost as lost:
                fail(lost)
                return

    thread = threading.Thread(target=keep_beating, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        over.set()
        thread.join()
        # Which may be what was raised.
        with contextlib.suppress(sa.exc.DBAPIError, StorageLost):
            beat()
            ledger.merge(None)
        raise
    over.set()
    thread.join()
    beat()
    ledger.merge(None)

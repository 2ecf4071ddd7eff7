"""What a run knows, kept in memory and written to a file when its database is lost.

The file holds JSON lines; docs/reliability.md says what stands in them.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Known", "copied", "write_rescue"]

VERSION = 1

SUMS = ("joules", "low_joules", "high_joules", "co2_kg", "cpu_seconds", "wall_seconds")


@dataclass
class Known:
    """What one run has found and spent; thread-safe.

    Attributes:
        trials: Those that it has ended, in JSON values.
        spending: Entries of the ledger, one for each trial, phase, component and instrument.
    """

    trials: list[dict[str, Any]] = field(default_factory=list)
    spending: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ended(self, trial: dict[str, Any]) -> None:
        """Keeps a trial."""
        with self._lock:
            self.trials.append(trial)

    def charged(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keeps entries of the ledger: one of the same is added to the one that is there."""
        with self._lock:
            for row in rows:
                key = tuple(row[name] for name in ("number", "phase", "component", "source"))
                known = self.spending.setdefault(key, {**row, **dict.fromkeys(SUMS)})
                for name in SUMS:
                    if row.get(name) is not None:
                        known[name] = (known[name] or 0.0) + row[name]
                known["ended_at"] = row["ended_at"]

    def lines(self) -> list[dict[str, Any]]:
        """One object for each trial and each entry."""
        with self._lock:
            return [
                *({"record": "trial", **trial} for trial in self.trials),
                *({"record": "spent", **row} for row in self.spending.values()),
            ]


def write_rescue(known: Known, beside: Path, run_id: str, told: Mapping[str, Any]) -> Path:
    """Writes what is known.

    Args:
        known: By the run.
        beside: The file is put beside this one, and called like it.
        run_id: Of the run.
        told: Of the study, for the first line.
    """
    path = beside.with_name(f"{beside.name}.rescue-{run_id[:8]}.jsonl")
    head = {"record": "rescue", "version": VERSION, **told, "run_id": run_id, "at": time.time()}
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in (head, *known.lines()))
    return path


def copied(held: sqlite3.Connection, beside: Path, run_id: str) -> Path | None:
    """A copy of a deleted database, from a connection that still holds it; ``None`` without one."""
    path = beside.with_name(f"{beside.name}.rescue-{run_id[:8]}.db")
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as copy:
        held.backup(copy)
        copy.execute("SELECT count(*) FROM greenfront_trials")
        if copy.execute("PRAGMA quick_check").fetchone() == ("ok",):
            return path
    path.unlink(missing_ok=True)
    return None

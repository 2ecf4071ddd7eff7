"""How long each test takes, as it was measured: what the quick loops leave out, and what begins.

``make durations`` measures anew and writes the record; a test that is not in it counts as quick.
Fixtures that several tests share are paid for by whichever comes first, so what the dearest set-up
of a class or a file takes stands beside its name, and is shared out among its tests.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

RECORD = Path(__file__).parents[1] / "durations.json"

SLOW_SECONDS = 0.3
"""``make check`` leaves out what takes as long."""

LONG_SECONDS = 2.0
"""``make test`` leaves it out, too; ``CI=1 make test`` runs it."""

KEPT_SECONDS = 0.2
"""Calls that are shorter are not recorded."""

SHARED_SECONDS = 2.0
"""Set-ups that are shorter are not recorded: any test may be the first to start a server."""


def marked(items: Sequence[pytest.Item], seconds: dict[str, float]) -> None:
    """Marks what is slow, and what is long and so slow, too."""
    members = Counter(group(item.nodeid) for item in items)
    for item in items:
        whole = group(item.nodeid)
        taken = seconds.get(item.nodeid, 0.0) + seconds.get(whole, 0.0) / members[whole]
        if taken >= SLOW_SECONDS:
            item.add_marker(pytest.mark.slow)
        if taken >= LONG_SECONDS:
            item.add_marker(pytest.mark.long)


def longest_first(items: list[pytest.Item], seconds: dict[str, float]) -> None:
    """Sorts by file: one goes to a process as a whole, and none that takes long may be the last."""
    taken: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        taken[item.path] += seconds.get(item.nodeid, 0.0)
    for name, path in {group(item.nodeid): item.path for item in items}.items():
        taken[path] += seconds.get(name, 0.0)
    items.sort(key=lambda item: -taken[item.path])


def group(name: str) -> str:
    """The class or else the file of a test."""
    return name.partition("[")[0].rpartition("::")[0]


def recorded() -> dict[str, float]:
    """Seconds by test."""
    found: dict[str, float] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


class Recorder:
    """Writes how long the tests of a whole run have taken."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes what one phase of a test has taken."""
        taken = round(report.duration, 1)
        if report.when == "call" and taken >= KEPT_SECONDS:
            self._seconds[report.nodeid] = taken
        elif report.when == "setup" and taken >= SHARED_SECONDS:
            name = group(report.nodeid)
            self._seconds[name] = max(taken, self._seconds.get(name, 0.0))

    def pytest_sessionfinish(self) -> None:
        """Replaces the record."""
        text = json.dumps(dict(sorted(self._seconds.items())), indent=0, ensure_ascii=False)
        RECORD.write_text(text + "\n", encoding="utf-8")

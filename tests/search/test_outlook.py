"""Live intensities in a search, against a server on this host that plays the services."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from contracts.command import FAST, Command
from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.intensity import region_intensity
from greenfront.search import outlook
from greenfront.search.outlook import LIVE_URL, LiveOutlook, live_source
from greenfront.search.session import open_session
from greenfront.search.status import Status
from greenfront.studies.carbon_section import CarbonSection
from greenfront.studies.storage import Storage
from greenfront.studies.study_file import StudyFile
from greenfront.studies.trials import TrialRow

UK = CarbonSection(live="uk", region="GBR")
LIVE_GRAMS = 123


@dataclass
class Server:
    """Answers so many requests, and is out of order from then on."""

    answers: float = float("inf")
    broken: int = 503
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)

    def answer(self, path: str) -> tuple[int, Any]:
        self.asked.append(path)
        if len(self.asked) > self.answers:
            return self.broken, {}
        first, last = self._span(path)
        rows, start = [], first.replace(minute=first.minute // 30 * 30, second=0, microsecond=0)
        while start < last:
            end = start + timedelta(minutes=30)
            actual = LIVE_GRAMS if end < datetime.now(UTC) + timedelta(hours=1) else None
            rows.append(
                {
                    "from": f"{start:%Y-%m-%dT%H:%MZ}",
                    "to": f"{end:%Y-%m-%dT%H:%MZ}",
                    "intensity": {"forecast": 99, "actual": actual, "index": "low"},
                }
            )
            start = end
        return 200, {"data": rows}

    @staticmethod
    def _span(path: str) -> tuple[datetime, datetime]:
        _, _, start, end = urlsplit(path).path.split("/")
        first = datetime.fromisoformat(start)
        return first, first + timedelta(hours=48) if end == "fw48h" else datetime.fromisoformat(end)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    played = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            played.tokens.add(self.headers.get("auth-token"))
            status, content = played.answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv(LIVE_URL, f"http://127.0.0.1:{listening.server_port}")
    yield played
    listening.shutdown()
    thread.join()
    listening.server_close()


def uk_outlook() -> LiveOutlook:
    source = live_source(UK)
    assert source is not None
    return LiveOutlook(source, UK.model().intensity)


def test_tells_the_present_and_the_hours_ahead(server: Server) -> None:
    live = uk_outlook()
    assert live.refresh() is None
    now = time.time()
    assert live.told(now - 7200, now - 7100) == (LIVE_GRAMS, "live")
    assert live.told(now + 86400, now + 86500) == (99, "estimated")
    assert live.told(now + 10 * 86400, now + 11 * 86400) is None
    assert live.ahead(now, now + 86400).mean_between(
        datetime.fromtimestamp(now + 20 * 3600, UTC), datetime.fromtimestamp(now + 21 * 3600, UTC)
    ) == pytest.approx(99)


def test_a_failure_is_said_once_and_what_was_said_last_grows_stale(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = uk_outlook()
    live.refresh()
    server.answers = 0
    now = time.time()
    said = live.refresh()
    assert said is not None
    average = region_intensity("GBR")
    for words in (
        "tells nothing new",
        "counts for 3 h",
        f"average of GBR, {average.g_per_kwh:.4g}",
    ):
        assert words in said
    assert "status 503" in said
    assert live.refresh() is None
    assert live.told(now - 100, now) is not None
    monkeypatch.setattr(outlook, "STALE_SECONDS", 0.0)
    assert live.told(now - 100, now) is None
    with pytest.raises(DataError, match="status 503"):
        live.ahead(now, now + 3600)
    server.answers = float("inf")
    assert live.refresh() == "UK Carbon Intensity API answers again"


def test_a_service_that_never_answers_leaves_the_average(server: Server) -> None:
    server.answers = 0
    live, notes = uk_outlook(), list[str]()
    assert "tells nothing, the average of GBR" in (live.refresh() or "")
    assert live.told(time.time() - 10, time.time()) is None
    with live.running(notes.append):
        assert "tells nothing, the average of GBR" in notes[0]


def test_a_token_comes_from_the_environment_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = CarbonSection(live="electricitymaps", zone="DE")
    monkeypatch.delenv(outlook.TOKEN, raising=False)
    with pytest.raises(UsageError, match="environment variable ELECTRICITYMAPS_TOKEN"):
        live_source(section)
    monkeypatch.setenv(outlook.TOKEN, "secret")
    source = live_source(section)
    assert source is not None
    server.answers, server.broken = 0, 401
    with pytest.raises(UsageError, match="refuses it with 401") as refusal:
        LiveOutlook(source, section.model().intensity).refresh()
    assert server.tokens == {"secret"}
    assert "secret" not in str(refusal.value) + repr(source)


def test_a_token_without_forecasts_is_good_enough(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(outlook.TOKEN, "secret")
    source = live_source(CarbonSection(live="electricitymaps", zone="DE"))
    assert source is not None
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    history = [
        {"datetime": f"{hour - timedelta(hours=age):%Y-%m-%dT%H:%M:%SZ}", "carbonIntensity": 77}
        for age in reversed(range(24))
    ]

    def answer(path: str) -> tuple[int, Any]:
        server.asked.append(path)
        if "forecast" in path:
            return 403, {}
        return 200, {"zone": "DE", "history": [{"zone": "DE", **row} for row in history]}

    monkeypatch.setattr(server, "answer", answer)
    live = LiveOutlook(source, UK.model().intensity)
    assert live.refresh() is live.refresh() is None
    assert sum("forecast" in path for path in server.asked) == 1
    assert live.told(time.time() - 1, time.time()) == (77, "live")


@dataclass
class Notes:
    after_a_trial: Callable[[], None]
    said: list[str] = field(default_factory=list)

    def changed(self, status: Status) -> None:
        pass

    def finished(self, row: TrialRow) -> None:
        self.after_a_trial()

    def note(self, message: str) -> None:
        self.said.append(message)


def test_a_search_goes_on_with_the_average_when_the_service_fails_in_the_middle(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outlook, "REFRESH_SECONDS", 0.2)
    path = Command(tmp_path).write_study(
        study='name = "live"',
        carbon='live = "uk"\nregion = "GBR"\npause_above = 200\ndeadline_hours = 2',
        objectives="repeats = 1",
        budget="trials = 4",
        **{**FAST, "training": "epochs = 20\npatience = 0"},
    )

    def fail() -> None:
        server.answers = 0
        monkeypatch.setattr(outlook, "STALE_SECONDS", 0.0)

    notes = Notes(fail)
    storage = Storage("sqlite:///live.db")
    try:
        with open_session(StudyFile.read(path)) as session:
            result = session.search(storage, notes)
        with storage.reading() as connection:
            entries = connection.execute(
                sa.text(
                    "SELECT m.basis, l.g_per_kwh FROM greenfront_moments m "
                    "JOIN greenfront_ledger l ON l.entry_id = m.entry_id"
                )
            ).all()
    finally:
        storage.close()
    assert len(result.trials) == 4
    assert any("tells nothing new" in note for note in notes.said)
    assert any("run now: no forecast to wait for" in note for note in notes.said)
    average = region_intensity("GBR").g_per_kwh
    told = {basis: grams for basis, grams in entries if grams is not None}
    assert told == {"live": pytest.approx(LIVE_GRAMS), "average": pytest.approx(average)}
    accuracy, kwh, co2_kg = result.trials[0].values or (0, 0, 0)
    assert accuracy > 0.5
    # The objective is that of the region, whenever the trial ran.
    assert co2_kg == pytest.approx(kwh * average / 1000)

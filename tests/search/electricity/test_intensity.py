"""Live intensities in a search, against a local server that plays the services."""

from __future__ import annotations

import contextlib
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
from contracts.waiting import eventually
from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.carbon.intensity import region_intensity
from greenfront.objectives.carbon.schedule import Decision, decide
from greenfront.objectives.carbon.traces import as_instant
from greenfront.search.electricity import intensity
from greenfront.search.electricity.intensity import LIVE_URL, LiveProvider, live_source
from greenfront.search.electricity.scheduler import (
    CarbonScheduler,
    Electricity,
    RunMoments,
    ScheduleSettings,
)
from greenfront.search.session import open_session
from greenfront.search.status import Status
from greenfront.studies.config.carbon import CarbonSection
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.pauses import Pauses, PauseWriter
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import PlainTrial

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


def uk_provider() -> LiveProvider:
    source = live_source(UK)
    assert source is not None
    return LiveProvider(source, UK.model().intensity)


def test_tells_the_present_and_the_hours_ahead(server: Server) -> None:
    live = uk_provider()
    assert live.refresh() is None
    now = time.time()
    assert live.mean_between(now - 7200, now - 7100) == (LIVE_GRAMS, "live")
    assert live.mean_between(now + 86400, now + 86500) == (99, "estimated")
    assert live.mean_between(now + 10 * 86400, now + 11 * 86400) is None
    assert live.ahead(now, now + 86400).mean_between(
        datetime.fromtimestamp(now + 20 * 3600, UTC), datetime.fromtimestamp(now + 21 * 3600, UTC)
    ) == pytest.approx(99)


def test_a_failure_is_said_once_and_what_was_said_last_grows_stale(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = uk_provider()
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
    assert live.mean_between(now - 100, now) is not None
    monkeypatch.setattr(intensity, "STALE_SECONDS", 0.0)
    assert live.mean_between(now - 100, now) is None
    with pytest.raises(DataError, match="status 503"):
        live.ahead(now, now + 3600)
    server.answers = float("inf")
    assert live.refresh() == "UK Carbon Intensity API answers again"


def test_a_service_that_never_answers_leaves_the_average(server: Server) -> None:
    server.answers = 0
    live, notes = uk_provider(), list[str]()
    assert "tells nothing, the average of GBR" in (live.refresh() or "")
    assert live.mean_between(time.time() - 10, time.time()) is None
    with live.running(notes.append):
        assert "tells nothing, the average of GBR" in notes[0]


def test_a_token_comes_from_the_environment_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = CarbonSection(live="electricitymaps", zone="DE")
    monkeypatch.delenv(intensity.TOKEN, raising=False)
    with pytest.raises(UsageError, match="environment variable ELECTRICITYMAPS_TOKEN"):
        live_source(section)
    monkeypatch.setenv(intensity.TOKEN, "secret")
    source = live_source(section)
    assert source is not None
    server.answers, server.broken = 0, 401
    with pytest.raises(UsageError, match="refuses it with 401") as refusal:
        LiveProvider(source, section.model().intensity).refresh()
    assert server.tokens == {"secret"}
    assert "secret" not in str(refusal.value) + repr(source)


def test_a_token_without_forecasts_is_good_enough(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(intensity.TOKEN, "secret")
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
    live = LiveProvider(source, UK.model().intensity)
    assert live.refresh() is live.refresh() is None
    assert sum("forecast" in path for path in server.asked) == 1
    assert live.mean_between(time.time() - 1, time.time()) == (77, "live")


HOUR = 3600.0


def maps_provider(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    *,
    known_hours: int,
    forecast_hours: int = 0,
) -> tuple[LiveProvider, float]:
    """An hourly service: 400 g up to the fourth hour from now each day, and 150 g in the others.

    Its own forecast says 99. Returns the start of the running hour, too.
    """
    monkeypatch.setenv(intensity.TOKEN, "secret")
    source = live_source(CarbonSection(live="electricitymaps", zone="DE"))
    assert source is not None
    hour = time.time() // HOUR * HOUR

    def row(ahead: int, grams: float) -> dict[str, Any]:
        at = datetime.fromtimestamp(hour + ahead * HOUR, UTC)
        return {"zone": "DE", "datetime": f"{at:%Y-%m-%dT%H:%M:%SZ}", "carbonIntensity": grams}

    past = [row(at, 400 if at % 24 < 4 else 150) for at in range(1 - known_hours, 1)]
    coming = [row(at, 99) for at in range(1, 1 + forecast_hours)]

    def answer(path: str) -> tuple[int, Any]:
        if "forecast" in path:
            return (200, {"zone": "DE", "forecast": coming}) if coming else (403, {})
        return 200, {"zone": "DE", "history": past}

    monkeypatch.setattr(server, "answer", answer)
    live = LiveProvider(source, UK.model().intensity)
    live.refresh()
    return live, hour


def planned(live: LiveProvider, now: float, hours: float, work: float) -> Decision:
    deadline = now + hours * HOUR
    return decide(as_instant(now), work, as_instant(deadline), live.ahead(now, deadline))


class HeldError(Exception):
    pass


@pytest.fixture
def pauses(tmp_path: Path) -> Iterator[PauseWriter]:
    storage = Storage(f"sqlite:///{tmp_path}/study.db")
    study = Study.create(
        storage,
        "study",
        directions=["minimize"],
        identity="",
        configuration={},
        meters=None,
        facts=None,
    )
    yield Pauses(storage, study.study_id).writer("run", Clock())
    storage.close()


def held(live: LiveProvider, pauses: PauseWriter, now: float, pause_above: float) -> str | None:
    """Why it holds a worker with an hour of work and two days for it; ``None``: it does not."""
    clock, said = Clock(time.time(), now, 1.0), list[str]()

    def stop(_seconds: float) -> None:
        raise HeldError

    electricity = Electricity(live, clock, ScheduleSettings(now + 48 * HOUR, pause_above))
    moments = RunMoments(live, clock)
    scheduler = CarbonScheduler(electricity, pauses, moments, lambda: HOUR, said.append)
    with contextlib.suppress(HeldError):
        scheduler.hold(0, None, stop, said.append)
    return said[0] if said else None


def utc(seconds: float) -> str:
    return f"{as_instant(seconds):%Y-%m-%d %H:%M} UTC"


def test_a_service_without_forecasts_is_continued_from_its_past(
    server: Server, monkeypatch: pytest.MonkeyPatch, pauses: PauseWriter
) -> None:
    live, hour = maps_provider(server, monkeypatch, known_hours=28 * 24)
    now = hour + 600
    decision = planned(live, now, 48, HOUR)
    assert not decision.run
    assert decision.planned_start == as_instant(hour + 4 * HOUR)
    assert decision.g_per_kwh == pytest.approx(150, abs=5)
    # The running hour is known, whatever is forecast.
    ahead = live.ahead(now, now + 48 * HOUR)
    assert ahead.mean_between(as_instant(now), as_instant(hour + HOUR)) == 400
    # A deadline that has passed stops nobody.
    assert planned(live, now, -5, HOUR).why.endswith("and will be missed by 6 h")
    why = held(live, pauses, now, 300)
    assert why is not None
    assert f"wait until {utc(hour + 4 * HOUR)}: 400 g/kWh now is over 300" in why


def test_a_short_past_gives_no_forecast_but_the_present(
    server: Server, monkeypatch: pytest.MonkeyPatch, pauses: PauseWriter
) -> None:
    live, hour = maps_provider(server, monkeypatch, known_hours=24)
    now = hour + 600
    with pytest.raises(DataError, match="at least 48 known hours"):
        live.ahead(now, now + 48 * HOUR)
    assert live.known(now) is not None
    assert live.known(hour + 2 * HOUR) is None
    why = held(live, pauses, now, 300)
    assert why is not None
    # An hour of work with a margin before the deadline, not before the end of what is known.
    latest = utc(now + 48 * HOUR - 1.25 * HOUR)
    assert f"wait until {latest}, the last moment for the deadline: 400 g/kWh now" in why
    assert held(live, pauses, now, 500) is None


@pytest.mark.parametrize("known_hours", [12, 10 * 24])
def test_a_services_own_forecast_comes_first(
    server: Server, monkeypatch: pytest.MonkeyPatch, known_hours: int
) -> None:
    live, hour = maps_provider(server, monkeypatch, known_hours=known_hours, forecast_hours=20)
    now = hour + 600
    ahead = live.ahead(now, now + 48 * HOUR)
    covered = as_instant(hour + HOUR), as_instant(hour + 21 * HOUR)
    assert ahead.mean_between(*covered) == pytest.approx(99)
    # Beyond it the past says more, if it is long enough.
    assert (ahead.end > as_instant(now + 47 * HOUR)) == (known_hours > 48)
    # Within it nothing is added.
    assert live.ahead(now, now + 15 * HOUR).end == covered[1]


def test_a_forecast_of_two_days_is_taken_as_it_is(server: Server) -> None:
    live, now = uk_provider(), time.time()
    live.refresh()
    ahead = live.ahead(now, now + 100 * HOUR)
    assert 47 * HOUR < ahead.end.timestamp() - now < 49 * HOUR
    assert live.mean_between(now, now + 1e-7) is None


@dataclass
class Notes:
    after_a_trial: Callable[[], None]
    said: list[str] = field(default_factory=list)

    def changed(self, status: Status) -> None:
        pass

    def finished(self, row: PlainTrial) -> None:
        self.after_a_trial()

    def note(self, message: str) -> None:
        self.said.append(message)


def test_a_search_goes_on_with_the_average_when_the_service_fails_in_the_middle(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(intensity, "REFRESH_SECONDS", 0.2)
    path = Command(tmp_path).write_study(
        study='name = "live"',
        carbon='live = "uk"\nregion = "GBR"\npause_above = 200\ndeadline_hours = 2',
        objectives="repeats = 1",
        budget="trials = 4",
        **{**FAST, "training": "epochs = 20\npatience = 0"},
    )

    def fail() -> None:
        server.answers = 0
        monkeypatch.setattr(intensity, "STALE_SECONDS", 0.0)
        eventually(
            lambda: any("tells nothing new" in note for note in notes.said), "note of silence"
        )

    notes = Notes(fail)
    with contextlib.closing(Storage("sqlite:///live.db")) as storage:
        with open_session(StudyFile.read(path)) as session:
            result = session.search(storage, notes)
        with storage.reading() as connection:
            entries = connection.execute(
                sa.text(
                    "SELECT m.basis, l.g_per_kwh FROM greenfront_moments m "
                    "JOIN greenfront_ledger l ON l.entry_id = m.entry_id"
                )
            ).all()
    assert len(result.trials) == 4
    assert any("run now: no forecast to wait for" in note for note in notes.said)
    average = region_intensity("GBR").g_per_kwh
    told = {basis: grams for basis, grams in entries if grams is not None}
    assert told == {"live": pytest.approx(LIVE_GRAMS), "average": pytest.approx(average)}
    accuracy, kwh, co2_kg = result.trials[0].values or (0, 0, 0)
    assert accuracy > 0.5
    # The objective is that of the region, whenever the trial ran.
    assert co2_kg == pytest.approx(kwh * average / 1000)

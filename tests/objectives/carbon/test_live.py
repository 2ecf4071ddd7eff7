"""Against a real server on this host that plays what the services send."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Semaphore, Thread
from typing import Any

import pytest

from contracts.waiting import PATIENCE_SECONDS
from greenfront.errors import UsageError
from greenfront.objectives.carbon.live import (
    ElectricityMaps,
    LiveIntensity,
    LiveUnavailable,
    Service,
    UKCarbonIntensity,
)

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Host:
    """What the server says to each request in turn, the last of them for ever."""

    answers: list[Callable[[str], Answer]] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def service(self, **settings: Any) -> Service:
        return Service(self.url, **{"timeout_seconds": 5.0, "backoff_seconds": 0.01, **settings})


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    played = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = min(len(played.asked), len(played.answers) - 1)
            played.asked.append((self.path, self.headers.get("auth-token")))
            status, headers, body = played.answers[number](self.path)
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # who asked has given up waiting

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    played.url = f"http://127.0.0.1:{server.server_port}"
    yield played
    server.shutdown()
    thread.join()
    server.server_close()


def sends(content: Any, status: int = 200, **headers: str) -> Callable[[str], Answer]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda _path: (status, headers, body)


def uk_half_hours(start: datetime, end: datetime, known_until: datetime) -> dict[str, Any]:
    rows = []
    while start < end:
        stop = start + timedelta(minutes=30)
        number = start.hour * 10
        rows.append(
            {
                "from": f"{start:%Y-%m-%dT%H:%MZ}",
                "to": f"{stop:%Y-%m-%dT%H:%MZ}",
                "intensity": {
                    "forecast": number + 1,
                    "actual": number if stop <= known_until else None,
                    "index": "moderate",
                },
            }
        )
        start = stop
    return {"data": rows}


def uk_by_path(path: str) -> Answer:
    """What the service sends for the range that is asked for; it begins a half-hour early."""
    instants = [
        datetime.fromisoformat(text) for text in re.findall(r"20\d\d-\d\d-\d\dT\d\d:\d\dZ", path)
    ]
    start = instants[0].replace(minute=instants[0].minute // 30 * 30)
    end = instants[1] if len(instants) == 2 else start + timedelta(hours=48)
    if end - start > timedelta(days=14):
        return 400, {}, b'{"error": {"code": "400 Bad Request"}}'
    body = uk_half_hours(start, end, NOW - timedelta(minutes=30))
    return 200, {}, json.dumps(body).encode()


def maps_history(newest: datetime, key: str = "history") -> dict[str, Any]:
    hours = [newest - timedelta(hours=back) for back in reversed(range(24))]
    return {
        "zone": "DE",
        key: [
            {
                "zone": "DE",
                "carbonIntensity": 300 + hour.hour,
                "datetime": f"{hour:%Y-%m-%dT%H:%M:%S.000Z}",
                "emissionFactorType": "lifecycle",
                "isEstimated": hour == newest,
            }
            for hour in hours
        ],
    }


def test_uk_fetches_four_weeks_in_parts_that_the_service_allows(host: Host) -> None:
    host.answers = [uk_by_path]
    live = UKCarbonIntensity(host.service())
    trace = live.recent(NOW)
    assert len(host.asked) == 3
    assert host.asked[0][0] == "/intensity/2026-10-24T09:40Z/2026-11-06T09:40Z"
    assert trace.covers(NOW - timedelta(days=28), NOW)
    assert trace.filled_share(trace.start, trace.end) == 0
    assert trace.region == "GB"


def test_uk_now_is_the_forecast_while_the_half_hour_runs(host: Host) -> None:
    host.answers = [uk_by_path]
    newest = UKCarbonIntensity(host.service(), past_days=1).recent(NOW).steps[-1]
    assert (newest.g_per_kwh, newest.estimated) == (91, True)
    assert newest.start_seconds <= NOW.timestamp() < newest.end_seconds


def test_uk_ahead(host: Host) -> None:
    host.answers = [uk_by_path]
    trace = UKCarbonIntensity(host.service()).ahead(NOW)
    assert host.asked == [("/intensity/2026-11-21T09:40Z/fw48h", None)]
    assert trace.covers(NOW, NOW + timedelta(hours=47))
    assert all(step.estimated for step in trace.steps)


def test_electricity_maps_sends_zone_and_token(host: Host) -> None:
    host.answers = [sends(maps_history(NOW.replace(minute=0)))]
    live = ElectricityMaps("DE", "secret", host.service())
    trace = live.recent(NOW)
    assert host.asked == [("/v3/carbon-intensity/history?zone=DE", "secret")]
    assert trace.end == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert trace.basis == "location-based, life-cycle"
    assert "secret" not in repr(live)
    assert (trace.steps[-1].g_per_kwh, trace.steps[-1].estimated) == (309, True)


def test_electricity_maps_ahead(host: Host) -> None:
    forecast = maps_history(NOW.replace(minute=0) + timedelta(hours=23), "forecast")
    host.answers = [sends(forecast)]
    trace = ElectricityMaps("DE", "secret", host.service()).ahead(NOW)
    assert host.asked[0][0] == "/v3/carbon-intensity/forecast?zone=DE"
    assert trace.start == NOW.replace(minute=0)
    assert all(step.estimated for step in trace.steps)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_the_users_to_mend(host: Host, status: int) -> None:
    host.answers = [sends({"error": "Invalid auth-token"}, status)]
    live = ElectricityMaps("DE", "secret", host.service())
    with pytest.raises(UsageError, match=rf"token: .* refuses it with {status}; check") as told:
        live.recent(NOW)
    assert len(host.asked) == 1  # asking again would not help
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_service_is_asked_again(host: Host, status: int) -> None:
    fine = sends(maps_history(NOW.replace(minute=0)))
    host.answers = [sends({}, status), sends({}, status), fine]
    trace = ElectricityMaps("DE", "x", host.service()).recent(NOW)
    assert trace.steps[-1].estimated
    assert len(host.asked) == 3


def test_a_service_that_stays_busy_is_given_up(host: Host) -> None:
    host.answers = [sends({}, 500)]
    live = ElectricityMaps("DE", "x", host.service())
    for ask in (live.recent, live.ahead):
        host.asked.clear()
        with pytest.raises(LiveUnavailable, match=r"http.*: no answer in 3 attempts \(status 5"):
            ask(NOW)
        assert len(host.asked) == 3


def test_a_service_that_asks_for_a_long_wait_is_not_waited_for(host: Host) -> None:
    host.answers = [sends({}, 429, **{"Retry-After": "3600"})]
    with pytest.raises(LiveUnavailable, match="busy, asks to wait 3600 s"):
        ElectricityMaps("DE", "x", host.service()).recent(NOW)
    assert len(host.asked) == 1


def test_what_is_not_there_is_not_asked_for_again(host: Host) -> None:
    host.answers = [sends({"error": "no such zone"}, 404)]
    with pytest.raises(LiveUnavailable, match="answers with status 404"):
        ElectricityMaps("XX", "x", host.service()).recent(NOW)
    assert len(host.asked) == 1


def test_a_silent_service_is_given_up(host: Host) -> None:
    over, asked = Event(), Semaphore(0)

    def silent(_path: str) -> Answer:
        asked.release()
        over.wait(PATIENCE_SECONDS)
        return 200, {}, b"{}"

    host.answers = [silent]
    service = host.service(timeout_seconds=0.2, attempts=2)
    try:
        with pytest.raises(LiveUnavailable, match=r"no answer in 2 attempts \(ReadTimeout"):
            UKCarbonIntensity(service).recent(NOW)
        assert all(asked.acquire(timeout=PATIENCE_SECONDS) for _ in range(2))
    finally:
        over.set()
    assert len(host.asked) == 2


def test_nobody_there(host: Host) -> None:
    host.answers = [sends({})]
    nobody = Service("http://127.0.0.1:9", attempts=2, backoff_seconds=0.01)
    with pytest.raises(LiveUnavailable, match=r"no answer in 2 attempts \(ConnectError"):
        UKCarbonIntensity(nobody).ahead(NOW)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>maintenance</html>", "sends no valid JSON"),
        (b'{"data": ', "sends no valid JSON"),
        (b"[]", "the answer cannot be used: UK Carbon Intensity API: 'data' must be"),
        (b'{"data": []}', "the answer cannot be used: .* at least one value"),
        (b'{"data": [{"intensity": {"actual": -3}}]}', "cannot be used: .* entry 1: the intensity"),
        (b'{"data": [{"intensity": {"actual": 3}, "from": 7}]}', "cannot be used: .* ISO 8601"),
    ],
)
def test_malformed_answers(host: Host, content: bytes, message: str) -> None:
    host.answers = [sends(content)]
    live = UKCarbonIntensity(host.service())
    for ask in (live.ahead, live.recent):
        with pytest.raises(LiveUnavailable, match=message):
            ask(NOW)


@pytest.mark.parametrize("hours", [0, 2, 5])
def test_stale_values_do_not_reach_the_present(host: Host, hours: int) -> None:
    newest = NOW.replace(minute=0) - timedelta(hours=hours)
    host.answers = [sends(maps_history(newest))]
    live: LiveIntensity = ElectricityMaps("DE", "x", host.service())
    trace = live.recent(NOW)
    assert trace.covers(NOW, NOW + timedelta(seconds=1)) == (hours == 0)
    assert trace.end == newest + timedelta(hours=1)


def test_values_of_the_future_alone_do_not_reach_the_present(host: Host) -> None:
    host.answers = [sends(maps_history(NOW + timedelta(days=9)))]
    trace = ElectricityMaps("DE", "x", host.service()).recent(NOW)
    assert not trace.covers(NOW, NOW + timedelta(seconds=1))
    assert trace.start > NOW


def test_settings_are_checked() -> None:
    with pytest.raises(UsageError, match=r"base_url: must begin with https:// .* got 'ftp://x'"):
        Service("ftp://x")
    with pytest.raises(UsageError, match=r"attempts and timeout_seconds: .* got 0 and 10"):
        Service("http://x", attempts=0)
    with pytest.raises(UsageError, match="past_days: must be 1 or more, got 0"):
        UKCarbonIntensity(past_days=0)


def test_naive_instants_are_refused() -> None:
    with pytest.raises(UsageError, match="now: must carry a time zone"):
        UKCarbonIntensity().recent(datetime(2026, 1, 1))


def test_importing_and_making_opens_no_socket() -> None:
    """In a fresh process in which any socket is an error."""
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('a socket was opened')\n"
        "socket.socket = refuse\n"
        "from greenfront.objectives.carbon import live, trace_files, forecast, schedule\n"
        "live.UKCarbonIntensity(); live.ElectricityMaps('DE', 'x')\n"
        "assert 'httpx' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""Carbon intensity of the present, from web services.

Nothing here opens a connection before a method is called. Answers are never replaced by averages
here: a service without a usable answer raises :class:`LiveUnavailable`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from greenfront.errors import DataError, GreenfrontError, UsageError
from greenfront.objectives.carbon.trace_json import read_maps, read_uk
from greenfront.objectives.carbon.traces import IntensityStep, Trace, as_instant, instant_seconds

if TYPE_CHECKING:
    import httpx

__all__ = ["ElectricityMaps", "LiveIntensity", "LiveUnavailable", "Service", "UKCarbonIntensity"]

_UK_LONGEST_DAYS = 13
"""Days that one request may span; the service refuses more than 14."""


class LiveUnavailable(GreenfrontError):  # noqa: N818 - a state, not a fault of the user
    """A service gives no usable answer now; a study goes on with the yearly average."""


@dataclass(frozen=True, slots=True)
class Service:
    """Address of a service, and the limits of requests to it.

    Attributes:
        base_url: Without a path.
        timeout_seconds: For connecting, and for each wait for data.
        attempts: Requests in all, where it fails to answer or is busy.
        backoff_seconds: Wait before the second attempt, doubled before each further one; or
            ``Retry-After`` of the answer, in seconds, if that is longer.
        longest_wait_seconds: Longest single wait; a service that asks for more is unavailable.
    """

    base_url: str
    timeout_seconds: float = 10.0
    attempts: int = 3
    backoff_seconds: float = 1.0
    longest_wait_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("https://", "http://")):
            raise UsageError(
                f"base_url: must begin with https:// or http://, got {self.base_url!r}; leave it "
                "out for the service's own"
            )
        if self.attempts < 1 or self.timeout_seconds <= 0:
            raise UsageError(
                f"attempts and timeout_seconds: must be 1 or more and over 0, got {self.attempts} "
                f"and {self.timeout_seconds}; leave them out for the defaults"
            )

    def get(
        self,
        path: str,
        parameters: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Requests a path and parses the JSON of the answer.

        Raises:
            UsageError: The service refuses the token (401, 403).
            LiveUnavailable: It cannot be reached, stays busy, fails, or sends no JSON.
        """
        import httpx

        url = self.base_url.rstrip("/") + path
        problem, wait = "", self.backoff_seconds
        with httpx.Client(timeout=self.timeout_seconds) as client:
            for attempt in range(self.attempts):
                if attempt:
                    time.sleep(wait)
                    wait = min(2 * wait, self.longest_wait_seconds)
                try:
                    answer = client.get(url, params=parameters, headers=headers)
                except httpx.RequestError as error:
                    problem = f"{type(error).__name__}: {error}"
                    continue
                if answer.status_code != 429 and answer.status_code < 500:
                    return _content(answer, url)
                problem = f"status {answer.status_code}"
                asked = answer.headers.get("Retry-After", "")
                wait = max(wait, float(asked)) if asked.isdigit() else wait
                if wait > self.longest_wait_seconds:
                    raise LiveUnavailable(f"{url}: busy, asks to wait {wait:g} s")
        raise LiveUnavailable(f"{url}: no answer in {self.attempts} attempts ({problem})")


def _content(answer: httpx.Response, url: str) -> Any:
    if answer.status_code in (401, 403):
        raise UsageError(
            f"token: {url} refuses it with {answer.status_code}; check the token, and that its "
            "plan includes this zone and this kind of data"
        )
    if answer.status_code != 200:
        raise LiveUnavailable(f"{url}: answers with status {answer.status_code}")
    try:
        return answer.json()
    except ValueError as error:
        raise LiveUnavailable(f"{url}: sends no valid JSON ({error})") from error


class LiveIntensity(Protocol):
    """A source of present intensity."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def recent(self, now: datetime) -> Trace:
        """The past up to now, as far back as the service goes.

        Raises:
            UsageError: The token is refused.
            LiveUnavailable: No usable answer.
        """
        ...

    def ahead(self, now: datetime) -> Trace:
        """The service's own forecast from now on; what is forecast is marked as estimated.

        Raises:
            UsageError: The token is refused.
            LiveUnavailable: No usable answer.
        """
        ...


def _parsed(read: Any, answer: Any, source: str) -> Trace:
    try:
        trace: Trace = read(answer, source)
    except DataError as error:
        raise LiveUnavailable(f"the answer cannot be used: {error}") from error
    return trace


@dataclass(frozen=True, slots=True)
class UKCarbonIntensity:
    """Great Britain, half-hourly, from its National Energy System Operator; no token.

    Attributes:
        service: Where to request it.
        past_days: How much past to fetch; :func:`forecast` uses four weeks.
    """

    service: Service = field(default_factory=lambda: Service("https://api.carbonintensity.org.uk"))
    past_days: int = 28

    def __post_init__(self) -> None:
        if self.past_days < 1:
            raise UsageError(
                f"past_days: must be 1 or more, got {self.past_days}; leave it out for 28"
            )

    @property
    def name(self) -> str:
        """For people."""
        return "UK Carbon Intensity API"

    def recent(self, now: datetime) -> Trace:
        """The past days up to now; the forecast where no actual value is known yet."""
        present = as_instant(instant_seconds("now", now))
        begin = present - timedelta(days=self.past_days)
        steps: dict[float, IntensityStep] = {}
        while begin < present:
            end = min(begin + timedelta(days=_UK_LONGEST_DAYS), present)
            answer = self.service.get(f"/intensity/{_minute(begin)}/{_minute(end)}")
            part = _parsed(read_uk, answer, self.name)
            steps.update({step.start_seconds: step for step in part.steps})
            begin = end
        ordered = tuple(steps[start] for start in sorted(steps))
        return Trace(ordered, part.region, self.name, part.kind, part.basis)

    def ahead(self, now: datetime) -> Trace:
        """The service's forecast of 48 hours."""
        present = as_instant(instant_seconds("now", now))
        answer = self.service.get(f"/intensity/{_minute(present)}/fw48h")
        return _parsed(read_uk, answer, self.name)


def _minute(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%MZ")


@dataclass(frozen=True, slots=True)
class ElectricityMaps:
    """Most grids of the world, hourly, from Electricity Maps; needs a token.

    Attributes:
        zone: The zone's id, such as ``DE`` or ``US-CAL-CISO``.
        token: From the service's portal; sent to ``service`` alone and never shown.
        service: Where to request it.
    """

    zone: str
    token: str = field(repr=False)
    service: Service = field(default_factory=lambda: Service("https://api.electricitymaps.com"))

    @property
    def name(self) -> str:
        """For people."""
        return f"Electricity Maps {self.zone}"

    def recent(self, now: datetime) -> Trace:
        """The last 24 hours."""
        instant_seconds("now", now)
        return self._ask("history")

    def ahead(self, now: datetime) -> Trace:
        """The service's forecast, for tokens whose plan has it."""
        instant_seconds("now", now)
        return self._ask("forecast")

    def _ask(self, kind: str) -> Trace:
        path = f"/v3/carbon-intensity/{kind}"
        answer = self.service.get(path, {"zone": self.zone}, {"auth-token": self.token})
        return _parsed(read_maps, answer, self.name)

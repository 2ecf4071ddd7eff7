"""What a search was expected to cost, beside what it has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenfront.objectives.codec import to_json
from greenfront.studies.analysis.words.quantities import energy, seconds
from greenfront.studies.config.forecast import Expected, Forecast
from greenfront.studies.store.trials import FINISHED

if TYPE_CHECKING:
    from greenfront.studies.analysis.ranked import RankedStudy

__all__ = ["TUNE", "forecast_json", "forecast_lines", "forecast_words"]

TUNE = "tune"
"""Phase of a command that follows a search, of which a forecast says nothing. A run of it has the
phases of a search, too, so that the search alone cannot be told any more."""


def forecast_words(forecast: Forecast) -> str:
    """A forecast in words, without its basis."""
    minutes = forecast.minutes
    time = (
        f"{seconds(60 * minutes.low)} to {seconds(60 * minutes.high)}, most likely some "
        f"{seconds(60 * minutes.likely)}"
    )
    kwh = forecast.kwh
    if kwh is None:
        return time
    return (
        f"{energy(kwh.low)} to {energy(kwh.high)}, most likely some {energy(kwh.likely)}, in {time}"
    )


def forecast_lines(study: RankedStudy) -> list[str]:
    """The forecast and what came; none where there was no forecast."""
    forecast = study.facts.forecast
    if forecast is None:
        return []
    told = f"Forecast at the start (modelled, {forecast.basis}): {forecast_words(forecast)}."
    finished = sum(study.counts[state] for state in FINISHED)
    over = finished >= forecast.trials
    kwh, minutes = _came(study)
    if minutes is None:
        spent = energy(study.spent.shown_kwh[0])
        return [told, f"It came to {spent}, with what tune took after the search."]
    came = (
        f"{energy(kwh)}{_verdict(forecast.kwh, kwh, over)}; "
        f"{seconds(60 * minutes)}{_verdict(forecast.minutes, minutes, over)}"
    )
    if over:
        return [told, f"It came to {came}."]
    return [told, f"So far, {finished} of {forecast.trials} trials came to {came}."]


def _verdict(expected: Expected | None, came: float | None, over: bool) -> str:
    if expected is None or came is None:
        return ""
    if came > expected.high:
        return ", more than foreseen"
    if not over:
        return ""
    return ", as foreseen" if expected.holds(came) else ", less than foreseen"


def _came(study: RankedStudy) -> tuple[float | None, float | None]:
    """Energy in kWh and minutes of the search; ``None`` where they cannot be told from others'."""
    if TUNE in study.spent_by_phase:
        return None, None
    minutes = 0.0 if study.times is None else study.times.ran_seconds / 60
    return study.spent.shown_kwh[0], minutes


def forecast_json(study: RankedStudy) -> dict[str, Any] | None:
    """The same in JSON values; ``None`` where there was no forecast."""
    forecast = study.facts.forecast
    if forecast is None:
        return None
    kwh, minutes = _came(study)
    return {**to_json(forecast), "kind": "modelled", "came_kwh": kwh, "came_minutes": minutes}

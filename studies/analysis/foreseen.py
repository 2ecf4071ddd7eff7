"""What a search was expected to cost, beside what it has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenfront.objectives.codec import to_json
from greenfront.studies.analysis.quantities import energy, seconds
from greenfront.studies.config.forecast import Expected, Forecast
from greenfront.studies.store.trials import FINISHED

if TYPE_CHECKING:
    from greenfront.studies.analysis.view import StudyView

__all__ = ["forecast_words", "foreseen_json", "foreseen_lines"]


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


def foreseen_lines(view: StudyView) -> list[str]:
    """The forecast and what came; none where there was no forecast."""
    forecast = view.facts.forecast
    if forecast is None:
        return []
    told = f"Forecast at the start (modelled, {forecast.basis}): {forecast_words(forecast)}."
    finished = sum(view.counts[state] for state in FINISHED)
    kwh, minutes = view.spent.shown_kwh[0], _minutes(view)
    came = "; ".join(
        f"{words}{_verdict(expected, value, finished >= forecast.trials)}"
        for words, expected, value in (
            (energy(kwh), forecast.kwh, kwh),
            (seconds(60 * minutes), forecast.minutes, minutes),
        )
    )
    if finished >= forecast.trials:
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


def _minutes(view: StudyView) -> float:
    return 0.0 if view.times is None else view.times.ran_seconds / 60


def foreseen_json(view: StudyView) -> dict[str, Any] | None:
    """The same in JSON values; ``None`` where there was no forecast."""
    forecast = view.facts.forecast
    if forecast is None:
        return None
    came = {"came_kwh": view.spent.shown_kwh[0], "came_minutes": _minutes(view)}
    return {**to_json(forecast), "kind": "modelled", **came}

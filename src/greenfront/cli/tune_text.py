"""What people read of the tuning of a picked model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from greenfront.cli.sheet import Sheet
from greenfront.objectives.metering.power_limit import set_command
from greenfront.studies.analysis.machine.runtimes import advice_lines
from greenfront.studies.analysis.words.metric_words import change
from greenfront.studies.analysis.words.quantities import (
    UNAVAILABLE,
    energy,
    joules,
    percent,
    percent_range,
    seconds,
)
from greenfront.studies.analysis.words.wording import sentence

if TYPE_CHECKING:
    from greenfront.cli.options import StorageOptions
    from greenfront.objectives.runtime_options import RuntimeAdvice
    from greenfront.objectives.tuning.plans import PowerAdvice
    from greenfront.search.afterwards.tuning import Tuned
    from greenfront.search.afterwards.tuning_run import TunedModel
    from greenfront.studies.analysis.view import StudyView

__all__ = ["tuned_text"]

TURNS = (
    "Of the model alone, without preprocessing. Of the usual: the median over turns in which both "
    "ways were measured; joules are those of the usual way, times that."
)


def tuned_text(done: Tuned, found: StudyView, storage: StorageOptions) -> RenderableType:
    """How the model is best run, what was made of it, and how to go on."""
    parts: list[RenderableType] = []
    lines: list[str] = []
    if done.runtime is not None:
        parts.append(_ways(done.runtime, f"Ways to run trial {done.row.trial}, by measured joules"))
        lines += [TURNS, *advice_lines(done.runtime)]
    if done.power is not None:
        parts.append(
            _limits(done.power, f"Power limits of the GPU, under which trial {done.row.trial} ran")
        )
        lines += _power_lines(done.power)
    for made in done.made:
        lines += _made(made, found, storage)
    lines += map(sentence, done.remarks)
    lines.append(f"All of that took {energy(done.kwh)}, which the study's ledger holds.")
    return Group(*parts, Text("\n".join(lines)))


def _ways(advice: RuntimeAdvice, title: str) -> Sheet:
    sheet = Sheet(title, ("way", "J/Model", "Of the Usual", "95 % Interval", "Latency"))
    for tried in advice.tried:
        interval = UNAVAILABLE
        if tried.low is not None and tried.high is not None:
            interval = f"{percent(tried.low)} to {percent(tried.high)}"
        usual = tried is advice.tried[0]
        sheet.add(
            tried.describe(),
            joules(tried.joules),
            "usual" if usual else UNAVAILABLE if tried.ratio is None else percent(tried.ratio),
            "" if usual else interval,
            seconds(tried.latency_seconds),
            style="bold green" if tried.saves else "",
        )
    return sheet


def _limits(advice: PowerAdvice, title: str) -> Sheet:
    columns = ("limit", "J/Model", "Of Its Joules", "95 % Interval", "Latency", "Of Its Latency")
    sheet = Sheet(title, columns)
    for tried in advice.tried:
        ratio, found = tried.ratio, tried is advice.tried[0]
        told = (UNAVAILABLE, UNAVAILABLE)
        if ratio is not None:
            told = (percent(ratio.value), f"{percent(ratio.low)} to {percent(ratio.high)}")
        sheet.add(
            f"{tried.watts:g} W",
            joules(tried.joules),
            *(("as found", "") if found else told),
            seconds(tried.latency_seconds),
            "" if found else percent(tried.slower),
            style="bold green" if tried.saves else "",
        )
    return sheet


def _power_lines(advice: PowerAdvice) -> list[str]:
    """The limit of least energy, what it costs and how it is set."""
    found, best = f"{advice.card.found_watts:g} W", advice.best
    restored = f"The limit is {found} again, as it was found"
    if best is None or best.ratio is None:
        return [f"No power limit takes clearly less energy. {restored}."]
    ratio = best.ratio
    return [
        f"Least energy at {best.watts:g} W: {percent_range(ratio.value, ratio.low, ratio.high)} of "
        f"the joules at {found}, at {percent(best.slower)} of the latency.",
        f"{restored}; to set the other, as root: {set_command(advice.card.uuid, best.watts)}",
        "It holds for all that runs on that card until its driver is loaded again; no export "
        "carries it, and nothing that is credited was measured under it.",
    ]


def _made(made: TunedModel, found: StudyView, storage: StorageOptions) -> list[str]:
    what = {"bits": "Bits by layer", "cascade": "Cascade"}.get(made.part, made.part)
    head = f"{what}: trial {made.trial}, {made.description}"
    if not made.accepted or made.derived is None:
        return [f"{head}: {made.told}."]
    told = made.derived
    interval = (told.least_gain, told.most_gain)
    sign = 1.0 if found.metric.maximise else -1.0
    ends = [None if each is None else sign * each for each in interval]
    low, high = ends if sign > 0 else reversed(ends)
    command = storage.follow_up("export", found.name, f" --trial {made.trial} -o DIR")
    return [
        f"{head}: {percent_range(told.ratio, told.low, told.high)} of the "
        f"joules of trial {told.beside}, the best by itself, measured in turns in plain sessions; "
        f"{found.metric.name} {change(found.metric, sign * told.gain, low, high)} on validation, "
        "where it was chosen; the test split was not looked at.",
        f"To take it along: {command}",
    ]

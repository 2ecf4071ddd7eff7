"""Under which power limit of a GPU a file takes least, by measured joules."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import replace

from greenfront.objectives.metering.power_limit import PowerRange
from greenfront.objectives.runtime_options import RuntimeOptions
from greenfront.objectives.stages.evaluate import predictions
from greenfront.objectives.stages.metered import Work
from greenfront.objectives.stages.session import open_session, session_options
from greenfront.objectives.stages.turns import Turned, in_turns
from greenfront.objectives.tuning.plans import TUNE, PowerAdvice, TriedLimit
from greenfront.objectives.tuning.runtime_sweep import Sweep

__all__ = ["power_advice", "tried_watts"]

LIMITS = 5
"""From the lowest to the highest that is allowed, beside the one as found."""

SETTLED = 0.5
"""Blocks of work under a new limit before one counts: clocks follow a limit with delay."""


def power_advice(sweep: Sweep, card: PowerRange) -> PowerAdvice:
    """Measures a file, run as the study measures it, under several limits in turns.

    The one of least energy is measured once more beside the limit as found, since the best of
    several is partly luck, and counts only where the interval is clear again. In the end the limit
    is as found.
    """
    measuring = sweep.measuring
    options = session_options(RuntimeOptions(measuring.threads))
    session = open_session(sweep.path, options, measuring.device)
    work = predictions(session, sweep.inputs, measuring.batch, sweep.padding)
    watts = tried_watts(card)
    try:
        first, *found = _measured(sweep, work, watts)
        best = min(
            (each for each in found if each.saves),
            key=lambda each: each.ratio.value if each.ratio else math.inf,
            default=None,
        )
        if best is not None:
            _, again = _measured(sweep, work, [card.found_watts, best.watts])
            again = _joined(again, first)
            found = [again if each is best else each for each in found]
            best = again if again.saves else None
    finally:
        sweep.context.limit_power(card.found_watts)
    return PowerAdvice(card, (first, *(_joined(each, first) for each in found)), best)


def tried_watts(card: PowerRange) -> list[float]:
    """The limit as found, then others in whole watts from the lowest to the highest allowed."""
    step = (card.most_watts - card.least_watts) / (LIMITS - 1)
    even = [card.least_watts + place * step for place in range(LIMITS)]
    least, most = math.ceil(card.least_watts), math.floor(card.most_watts)
    whole = dict.fromkeys(float(min(max(round(each), least), most)) for each in even)
    return [card.found_watts, *(each for each in whole if abs(each - card.found_watts) >= 1)]


def _measured(sweep: Sweep, work: Work, watts: Sequence[float]) -> list[TriedLimit]:
    """Under each limit in turns; the first is what the others are compared with."""
    context, measuring = sweep.context, sweep.measuring
    context.progress(f"measuring under {len(watts)} power limits in turns")

    def settle(place: int) -> None:
        context.limit_power(watts[place])
        with context.phase(TUNE):
            until = time.monotonic() + SETTLED * measuring.block_seconds
            for call in itertools.cycle(work.calls):
                call()
                if time.monotonic() > until:
                    return

    works = [work] * len(watts)
    found = in_turns(works, context, phase=TUNE, measuring=measuring, before=settle)
    usual = found[0].cost.latency_seconds
    return [_tried(each, turned, usual) for each, turned in zip(watts, found, strict=True)]


def _tried(watts: float, turned: Turned, usual_seconds: float) -> TriedLimit:
    cost = turned.cost
    slower = cost.latency_seconds / usual_seconds
    return TriedLimit(watts, cost.reading.joules, cost.latency_seconds, turned.ratio, slower)


def _joined(each: TriedLimit, usual: TriedLimit) -> TriedLimit:
    """A limit whose joules are those under the one as found times their ratio."""
    if each.ratio is None or usual.joules is None:
        return each
    return replace(each, joules=each.ratio.value * usual.joules)

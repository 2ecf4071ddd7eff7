"""How to run a file: threads, graph optimization and batch, by measured joules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from greenfront.objectives.context import StageContext
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.runtime_options import RuntimeAdvice, RuntimeOptions, TriedRuntime
from greenfront.objectives.stages.evaluate import predictions
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.stages.session import open_session, session_options
from greenfront.objectives.stages.turns import Turned, in_turns

__all__ = ["Sweep", "runtime_advice"]

BATCHES = (8, 32, 128)
"""Examples a call, beside the usual size."""

MOST_THREADS = 8
"""More than that pays, if at all, for networks that no processor of this size should run."""

Way = tuple[RuntimeOptions, int]
"""Options and batch."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is swept.

    Attributes:
        path: The file.
        inputs: Real examples that predictions are measured on, ``[n, …]``.
        padding: What fills short texts up; ``None`` for other inputs.
        context: Meters it.
        measuring: As the study measures: the usual way to run a file.
        phase: That it is charged to.
    """

    path: Path
    inputs: NDArray[Any]
    padding: int | None
    context: StageContext
    measuring: Measuring
    phase: str = "tune"


def runtime_advice(sweep: Sweep) -> RuntimeAdvice:
    """Measures ways to run a file in turns with the usual one.

    First each option by itself, then all together that saved something; they are measured once
    more, since the best of several is partly luck, and count only where the interval is clear
    again. Then larger calls with these options. A file takes no more than it did: where nothing
    is clearly cheaper, the usual way is the advice.
    """
    measuring = sweep.measuring
    usual: Way = (RuntimeOptions(measuring.threads), measuring.batch)
    alone = [(options, measuring.batch) for options in _alternatives(usual[0])]
    first, *found = _measured(sweep, [usual, *alone])
    winners = sorted((way for way in found if way.saves), key=lambda way: way.ratio or 1.0)
    options, best, tried = usual[0], None, [first, *found]
    if winners:
        together = _together(usual[0], [way.options for way in winners])
        again = list(dict.fromkeys([winners[0].options, together]))
        _, *confirmed = _measured(sweep, [usual, *((each, measuring.batch) for each in again)])
        tried += confirmed
        clear = [way for way in confirmed if way.saves]
        best = min(clear, key=lambda way: way.ratio or 1.0, default=None)
        options = usual[0] if best is None else best.options
    sizes = [size for size in BATCHES if measuring.batch < size <= len(sweep.inputs)]
    larger = _measured(sweep, [usual, *((options, size) for size in sizes)])[1:] if sizes else []
    return RuntimeAdvice(
        usual=first,
        options=options,
        best=_joined(best, first),
        batched=_joined(_smallest(larger), first),
        tried=_once([*tried, *larger], first),
        processor=describe_cpu().name,
    )


def _once(tried: Sequence[TriedRuntime], usual: TriedRuntime) -> tuple[TriedRuntime, ...]:
    """Each way once, as it was measured last, in the order in which they were first."""
    found = {(way.options, way.batch): way for way in tried}
    found[usual.options, usual.batch] = usual
    return tuple(way for each in found.values() if (way := _joined(each, usual)))


def _joined(way: TriedRuntime | None, usual: TriedRuntime) -> TriedRuntime | None:
    """A way whose joules are the usual one's times their ratio: other turns, another pace."""
    if way is None or way is usual or way.ratio is None or usual.joules is None:
        return way
    return replace(way, joules=way.ratio * usual.joules)


def _smallest(larger: Sequence[TriedRuntime]) -> TriedRuntime | None:
    """The smallest calls that cannot be told from the cheapest ones; ``None`` if none saves."""
    saving = [way for way in larger if way.saves]
    least = min((way.high for way in saving if way.high is not None), default=None)
    return next((way for way in saving if least is not None and (way.low or 0) <= least), None)


def _alternatives(usual: RuntimeOptions) -> list[RuntimeOptions]:
    """Each differs from the usual options in one."""
    cores = min(os.cpu_count() or 1, MOST_THREADS)
    counts = sorted({1, 2, 4, cores} - {usual.threads})
    return [
        *(replace(usual, threads=count) for count in counts if count <= cores),
        *(replace(usual, optimization=level) for level in ("extended", "basic", "none")),
        replace(usual, parallel=True),
        replace(usual, prepacking=False),
    ]


def _together(usual: RuntimeOptions, winners: Sequence[RuntimeOptions]) -> RuntimeOptions:
    """All that differs from the usual in some, of each kind what the earliest says."""
    changed = usual
    for options in reversed(winners):
        if options.threads != usual.threads:
            changed = replace(changed, threads=options.threads)
        if options.optimization != usual.optimization:
            changed = replace(changed, optimization=options.optimization)
        if options.parallel != usual.parallel:
            changed = replace(changed, parallel=options.parallel)
        if options.prepacking != usual.prepacking:
            changed = replace(changed, prepacking=options.prepacking)
    return changed


def _measured(sweep: Sweep, ways: Sequence[Way]) -> list[TriedRuntime]:
    """All of them in turns; the first is what the others are compared with."""
    sweep.context.progress(f"measuring {len(ways)} ways to run it in turns")
    works = [
        predictions(
            open_session(sweep.path, session_options(options)), sweep.inputs, size, sweep.padding
        )
        for options, size in ways
    ]
    found = in_turns(works, sweep.context, phase=sweep.phase, measuring=sweep.measuring)
    return [_tried(way, turned) for way, turned in zip(ways, found, strict=True)]


def _tried(way: Way, turned: Turned) -> TriedRuntime:
    cost, ratio = turned.cost, turned.ratio
    told = (None, None, None) if ratio is None else (ratio.value, ratio.low, ratio.high)
    return TriedRuntime(*way, cost.reading.joules, cost.latency_seconds, *told)

"""How to run a file: threads, graph optimization, TensorRT and batch, by measured joules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from numpy.typing import NDArray

from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.context import StageContext
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.runtime_options import RuntimeAdvice, RuntimeOptions, TriedRuntime
from greenfront.objectives.stages.evaluate import answers_of, predictions
from greenfront.objectives.stages.fingerprint import TOLERANCES, largest_difference
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.stages.session import open_session, session_options
from greenfront.objectives.stages.tensorrt import Engine, open_tensorrt
from greenfront.objectives.stages.turns import Turned, in_turns
from greenfront.objectives.tuning.plans import TUNE

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
        engines: Folder in which TensorRT keeps what it has compiled.
    """

    path: Path
    inputs: NDArray[Any]
    padding: int | None
    context: StageContext
    measuring: Measuring
    engines: Path


def runtime_advice(sweep: Sweep) -> RuntimeAdvice:
    """Measures ways to run a file in turns with the usual one.

    First each option by itself, then all together that saved something; they are measured once
    more, since the best of several is partly luck, and count only where the interval is clear
    again. Then larger calls with these options. A file takes no more than it did: where nothing
    is clearly cheaper, the usual way is the advice.
    """
    measuring = sweep.measuring
    usual: Way = (RuntimeOptions(measuring.threads), measuring.batch)
    alone = [(options, measuring.batch) for options in _alternatives(sweep, usual[0])]
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


def _alternatives(sweep: Sweep, usual: RuntimeOptions) -> list[RuntimeOptions]:
    """Each differs from the usual options in one; on a GPU those of the CPU's kernels are moot."""
    levels = [replace(usual, optimization=level) for level in ("extended", "basic", "none")]
    if sweep.measuring.device == "cuda":
        compiled = replace(usual, tensorrt=True)
        return [*levels, compiled] if _compiles(sweep, usual, compiled) else levels
    cores = min(os.cpu_count() or 1, MOST_THREADS)
    counts = sorted({1, 2, 4, cores} - {usual.threads})
    return [
        *(replace(usual, threads=count) for count in counts if count <= cores),
        *levels,
        replace(usual, parallel=True),
        replace(usual, prepacking=False),
    ]


def _together(usual: RuntimeOptions, winners: Sequence[RuntimeOptions]) -> RuntimeOptions:
    """All that differs from the usual in some, of each kind what the earliest says."""
    changes: dict[str, Any] = {}
    for options in reversed(winners):
        changes |= {k: v for k, v in asdict(options).items() if v != getattr(usual, k)}
    return replace(usual, **changes)


def _opened(sweep: Sweep, options: RuntimeOptions, batch: int) -> onnxruntime.InferenceSession:
    chosen, shape = session_options(options), sweep.inputs.shape[1:]
    if options.tensorrt:
        engine = Engine(sweep.engines, batch, shape, texts=sweep.padding is not None)
        return open_tensorrt(sweep.path, chosen, engine)
    return open_session(sweep.path, chosen, sweep.measuring.device)


def _compiles(sweep: Sweep, usual: RuntimeOptions, compiled: RuntimeOptions) -> bool:
    """Whether TensorRT takes the file here, and answers what is answered without it."""
    sweep.context.progress("compiling it with TensorRT")
    try:
        with sweep.context.phase(TUNE):
            given, wanted = (_answers(sweep, options) for options in (compiled, usual))
    except (UsageError, TrialFailed) as failure:
        sweep.context.progress(f"without TensorRT: {failure}")
        return False
    off = largest_difference(given, wanted)
    if off > TOLERANCES["cuda"]:
        sweep.context.progress(f"without TensorRT: its answers are off by {off:.2g} of the largest")
    return off <= TOLERANCES["cuda"]


def _answers(sweep: Sweep, options: RuntimeOptions) -> torch.Tensor:
    opened = _opened(sweep, options, sweep.measuring.batch)
    return torch.from_numpy(answers_of(opened, sweep.inputs, sweep.padding))


def _measured(sweep: Sweep, ways: Sequence[Way]) -> list[TriedRuntime]:
    """All of them in turns; the first is what the others are compared with."""
    sweep.context.progress(f"measuring {len(ways)} ways to run it in turns")
    with sweep.context.phase(TUNE):  # compiling takes long
        works = [
            predictions(_opened(sweep, options, size), sweep.inputs, size, sweep.padding)
            for options, size in ways
        ]
    found = in_turns(works, sweep.context, phase=TUNE, measuring=sweep.measuring)
    return [_tried(way, turned) for way, turned in zip(ways, found, strict=True)]


def _tried(way: Way, turned: Turned) -> TriedRuntime:
    cost, ratio = turned.cost, turned.ratio
    told = (None, None, None) if ratio is None else (ratio.value, ratio.low, ratio.high)
    return TriedRuntime(*way, cost.reading.joules, cost.latency_seconds, *told)

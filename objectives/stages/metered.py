"""What work costs that is repeated: metered blocks of it, and their median."""

from __future__ import annotations

import functools
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from greenfront.objectives.context import StageContext, Window
from greenfront.objectives.metering.settings import BLOCK_SECONDS
from greenfront.objectives.metering.throttle import cooldown_seconds, is_hot
from greenfront.objectives.readings import Component, Reading, total
from greenfront.objectives.runtime_options import Device

__all__ = [
    "PRECISION",
    "Block",
    "Blocks",
    "Enough",
    "InferenceCost",
    "Measuring",
    "Work",
    "median_interval",
    "median_spread",
    "repeated_cost",
]

WARM_UP = 20
FEWEST_TEXTS = 32
"""Texts a block at least, so that their lengths are those of the data."""

CONFIDENCE = 0.95

SPINNING_BLOCK = 5
"""Blocks of a session whose threads spin are so many times as long: in short ones it weighs that
these wake first."""

PRECISION = 0.05
"""As a share of the median: a confidence interval that is narrower to either side is narrow enough
for any decision."""

CALM_SECONDS, CALM_SHARE, CALM_LOOKS = 0.02, 0.1, 2
"""Threads are quiet when this process takes less than that share of a core, so often in a row."""
LONGEST_SPIN_SECONDS = 2.0

LENGTHS = (1, 2, 4)
"""Blocks are so many times as long where shorter ones are lost in what the idle machine draws."""

NOT_ABOVE_IDLE = "not above idle energy"
"""Flag of a prediction whose cost is unavailable for that."""


@dataclass(frozen=True, slots=True)
class Measuring:
    """How inference is measured.

    Attributes:
        batch: Examples a call.
        threads: Threads of the runtime.
        block_seconds: Length of one metered repetition.
        least_blocks: Repetitions at least.
        most_blocks: Repetitions at most.
        entire: Whether each block makes every call equally often: where what is asked decides what
            is done, a part of the examples would not stand for all.
        device: What predictions run on.
    """

    batch: int = 1
    threads: int = 1
    block_seconds: float = BLOCK_SECONDS
    least_blocks: int = 9
    most_blocks: int = 45
    entire: bool = False
    device: Device = "cpu"


@dataclass(frozen=True, slots=True)
class InferenceCost:
    """Cost of one prediction.

    Attributes:
        reading: Its energy, that of memory included where it is metered.
        latency_seconds: Median wall time.
        spread: Half of the 95 % confidence interval of the median energy, as a share of it; the
            constants of a model are not in it. ``None`` where energy is unavailable or where too
            few blocks were taken to tell.
    """

    reading: Reading
    latency_seconds: float
    spread: float | None = None


Block = tuple[Window, float]
"""A metered block and its seconds."""

Enough = Callable[[InferenceCost], bool]
"""Says of a cost, as it is known so far, whether it is known well enough."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is done over and over while it is metered.

    Attributes:
        calls: Taken in turn.
        examples: That each call works on.
        least: Calls a block at least.
        spins: Whether threads wait actively between the calls, and some time after the last one.
        on_card: Whether a GPU does it, whose energy is then part of its cost.
    """

    calls: Sequence[Callable[[], object]]
    examples: int
    least: int = 1
    spins: bool = False
    on_card: bool = False

    @classmethod
    def over(
        cls,
        examples: int,
        batch: int,
        call: Callable[[slice], Callable[[], object]],
        *,
        texts: bool,
        spins: bool = False,
        on_card: bool = False,
    ) -> Self:
        """Work on whole batches of some examples, or on all at once where these are fewer.

        Args:
            examples: How many there are.
            batch: Examples a call.
            call: Makes the call for the examples in some places.
            texts: Whether they differ in length.
            spins: See :class:`Work`.
            on_card: See :class:`Work`.
        """
        size = min(batch, examples)
        starts = range(0, examples - size + 1, size)
        calls = [call(slice(start, start + size)) for start in starts]
        return cls(calls, size, FEWEST_TEXTS if texts else 1, spins, on_card)


def repeated_cost(
    work: Work,
    context: StageContext,
    *,
    phase: str,
    measuring: Measuring,
    enough: Enough | None = None,
) -> InferenceCost:
    """The cost of any work on one example, measured as :func:`inference_cost` says."""
    stops = enough or (lambda cost: (cost.spread or 0.0) <= PRECISION)

    blocks = Blocks.of(work, context, phase=phase, measuring=measuring)
    for length in LENGTHS:
        cost = blocks.longer(length).settled(measuring, stops)
        if NOT_ABOVE_IDLE not in cost.reading.flags:
            break
    return cost


@dataclass(frozen=True, slots=True)
class Blocks:
    """Equal metered blocks of so many predictions.

    Attributes:
        context: Meters them.
        phase: That they are charged to.
        run: Makes so many calls; returns their seconds.
        calls: In one block.
        examples: That each call works on.
        spins: See :class:`Work`.
        on_card: See :class:`Work`.
    """

    context: StageContext
    phase: str
    run: Callable[[int], float]
    calls: int
    examples: int
    spins: bool = False
    on_card: bool = False

    @classmethod
    def of(
        cls,
        work: Work,
        context: StageContext,
        *,
        phase: str,
        measuring: Measuring,
    ) -> Self:
        """Blocks of some work, about as long as ``measuring`` says.

        Every block, of every candidate, begins with the same examples: texts differ in length.
        """

        def run(count: int) -> float:
            began = time.perf_counter()
            for call in itertools.islice(itertools.cycle(work.calls), count):
                call()
            return time.perf_counter() - began

        if work.spins:  # as threads do from the moment at which they start
            _until_calm()
        seconds = measuring.block_seconds * (SPINNING_BLOCK if work.spins else 1)
        count = max(work.least, _calls_for(run, seconds))
        if measuring.entire:
            count = len(work.calls) * math.ceil(count / len(work.calls))
        if work.spins:
            _until_calm()
        return cls(context, phase, run, count, work.examples, work.spins, work.on_card)

    def longer(self, times: int) -> Self:
        """Blocks of so many times as many calls."""
        return replace(self, calls=times * self.calls)

    def taken(self, before: Sequence[Block] = ()) -> Block:
        """One block, taken again after a pause where heat slowed the hardware down.

        Heat that no pause has cooled is not waited for again, block by block: it stays a flag.
        What threads spin after its last call belongs neither to it, whose calls follow each other,
        nor to the block of something else that comes next.

        Args:
            before: What was taken of the same measurement.
        """
        work = functools.partial(self.run, self.calls)
        lasting = bool(before) and _was_hot(before[-1])
        block = _cool_block(self.context, self.phase, work, waits=not lasting)
        if self.spins:
            _until_calm()
        return block

    def cost(self, blocks: Sequence[Block]) -> InferenceCost:
        """Of one prediction, by the median of some blocks."""
        return _median_cost(blocks, self.calls * self.examples, self.on_card)

    def settled(self, measuring: Measuring, enough: Enough) -> InferenceCost:
        """Takes blocks until their median is known well enough."""
        blocks: list[Block] = []
        while True:
            blocks.append(self.taken(blocks))
            if len(blocks) < measuring.least_blocks:
                continue
            cost = self.cost(blocks)
            # What is unavailable does not become available by more blocks.
            untold = cost.reading.joules is None
            if len(blocks) >= measuring.most_blocks or untold or enough(cost):
                return cost


def _median_cost(blocks: Sequence[Block], predictions: int, on_card: bool) -> InferenceCost:
    metered: set[Component] = {part for window, _ in blocks for part in window.readings}
    metered = metered | {"gpu"} if on_card else metered - {"gpu"}
    components = sorted(metered)
    readings = [_together(window, components).scaled(1 / predictions) for window, _ in blocks]
    latency = statistics.median(seconds / predictions for _, seconds in blocks)
    untold = next((reading for reading in readings if reading.joules is None), None)
    if untold is not None:
        return InferenceCost(untold, latency)
    order = sorted(range(len(blocks)), key=lambda i: readings[i].joules or 0.0)
    middle = order[len(order) // 2]
    worker: Component = "gpu" if on_card else "cpu"
    if blocks[middle][0].readings[worker].joules == 0:
        return InferenceCost(_unavailable(readings[middle], NOT_ABOVE_IDLE), latency)
    spread = median_spread([reading.joules for reading in readings])
    return InferenceCost(readings[middle], latency, spread)


def _together(window: Window, components: Sequence[Component]) -> Reading:
    """What all of them drew; they ran side by side, so that the seconds are the CPU's.

    Counters may be too slow for a block and tell its energy with that of the next: blocks like
    that cannot be compared with the others.
    """
    cpu = window.readings["cpu"]
    for component in components:
        if component not in window.readings:
            return _unavailable(cpu, f"block too short for the counter of {component}")
    parts = [window.readings[component] for component in components]
    return replace(
        total(parts),
        cpu_seconds=cpu.cpu_seconds,
        wall_seconds=cpu.wall_seconds,
        throttled_seconds=max(part.throttled_seconds for part in parts),
    )


def _unavailable(reading: Reading, why: str) -> Reading:
    return replace(
        reading,
        joules=None,
        low_joules=None,
        high_joules=None,
        kind="unavailable",
        flags=tuple(sorted({*reading.flags, why})),
        reserved_joules=None,
    )


def _was_hot(block: Block) -> bool:
    window, _ = block
    return any(is_hot(reading) for reading in window.readings.values())


def _cool_block(
    context: StageContext, phase: str, work: Callable[[], float], *, waits: bool
) -> Block:
    """One metered block, taken again after a pause where heat slowed the hardware down."""
    for repeats in itertools.count():
        with context.phase(phase) as window:
            seconds = work()
        pause = cooldown_seconds(window.readings.values(), repeats) if waits else None
        if pause is None:
            break
        context.progress(f"too hot: measuring again after {pause:.0f} s")
        time.sleep(pause)
    return window, seconds


def _until_calm() -> None:
    """Waits until no thread of this process spins any more; those of ONNX Runtime do for 50 ms."""
    calm, end = 0, time.monotonic() + LONGEST_SPIN_SECONDS
    while calm < CALM_LOOKS and time.monotonic() < end:
        before = time.process_time()
        time.sleep(CALM_SECONDS)
        taken = time.process_time() - before
        calm = calm + 1 if taken < CALM_SHARE * CALM_SECONDS else 0


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of a median, free of distributions.

    Of n sorted values the k-th from either end enclose the true median with a probability of
    ``1 − 2·P(Binomial(n, ½) < k)`` (Conover, Practical Nonparametric Statistics, 3.2); the largest
    k that leaves 95 % is taken.

    Args:
        values: Independent measurements of the same.

    Returns:
        ``None`` for fewer than six values.
    """
    known, cut, outside = sorted(values), 0, 0.0
    while outside <= (1 - CONFIDENCE) / 2:
        outside += math.comb(len(known), cut) / 2 ** len(known)
        cut += 1
    cut -= 1  # the last step went too far
    return (known[cut - 1], known[-cut]) if cut else None


def median_spread(values: Sequence[float | None]) -> float | None:
    """Half the confidence interval of a median, as a share of it; see :func:`median_interval`.

    Args:
        values: Of equal blocks; ``None`` where one is unavailable.

    Returns:
        ``None`` for fewer than six values, where one is unavailable, or where the median is 0.
    """
    known = [value for value in values if value is not None]
    middle = statistics.median(known) if known else 0.0
    interval = median_interval(known)
    if len(known) < len(values) or interval is None or middle == 0:
        return None
    low, high = interval
    return (high - low) / (2 * middle)


def _calls_for(run: Callable[[int], float], seconds: float) -> int:
    probe = 1
    run(probe)
    taken = run(probe)
    if taken < seconds / 10:
        run(WARM_UP)
        probe = WARM_UP
        taken = run(probe)
    while taken < seconds / 10:
        probe *= 4
        taken = run(probe)
    return max(1, round(probe * seconds / taken))

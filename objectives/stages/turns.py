"""Several pieces of work measured in turns, so that a busier moment comes upon all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from greenfront.objectives.context import StageContext
from greenfront.objectives.stages.metered import (
    Block,
    Blocks,
    InferenceCost,
    Measuring,
    Work,
    median_interval,
)

__all__ = ["Ratio", "Turned", "in_turns", "paired_ratio"]

ROUNDS = 9
"""Turns by default: the interval of a median leaves out the outermost of nine on either side."""


LOOKS = 3
"""At each piece of work, before its blocks: how many calls they are to hold."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Joules over those of another piece of work, measured beside it.

    Attributes:
        value: The median of the turns.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Turned:
    """What one of several pieces of work cost.

    Attributes:
        cost: Of one prediction.
        ratio: Over the first piece of work, turn by turn; ``None`` where a reading is unavailable.
        joules: Of one prediction in each turn; ``None`` where a reading is unavailable.
    """

    cost: InferenceCost
    ratio: Ratio | None
    joules: tuple[float | None, ...]


def in_turns(
    works: Sequence[Work],
    context: StageContext,
    *,
    phase: str,
    measuring: Measuring,
    rounds: int = ROUNDS,
    before: Callable[[int], None] = lambda _place: None,
) -> list[Turned]:
    """Takes a metered block of each piece of work in turn.

    Ratios of neighbouring blocks are compared: what disturbs the machine for longer than a turn
    disturbs both sides of a ratio.

    Args:
        works: The first is what the others are compared with.
        context: Meters them.
        phase: That they are charged to.
        measuring: How long a block is, and whether it takes all examples.
        rounds: Blocks of each; fewer than six give no interval, and so no ratio.
        before: Called before the looks and each block with the place of the piece of work.
    """
    # Blocks whose length was judged in a disturbed moment would be short, and mostly overhead.
    looks: list[list[Blocks]] = []
    for place, work in enumerate(works):
        before(place)
        looks.append(
            [Blocks.of(work, context, phase=phase, measuring=measuring) for _ in range(LOOKS)]
        )
    rows = [max(each, key=lambda blocks: blocks.calls) for each in looks]
    taken: list[list[Block]] = [[] for _ in works]
    for _ in range(rounds):
        for place, (blocks, mine) in enumerate(zip(rows, taken, strict=True)):
            before(place)
            mine.append(blocks.taken(mine))
    costs = [blocks.cost(mine) for blocks, mine in zip(rows, taken, strict=True)]
    each = [_joules(blocks, mine) for blocks, mine in zip(rows, taken, strict=True)]
    return [
        Turned(cost, paired_ratio(mine, each[0]), tuple(mine))
        for cost, mine in zip(costs, each, strict=True)
    ]


def _joules(blocks: Blocks, taken: Sequence[Block]) -> list[float | None]:
    return [blocks.cost([block]).reading.joules for block in taken]


def paired_ratio(mine: Sequence[float | None], other: Sequence[float | None]) -> Ratio | None:
    """The median of what one took over what the other took in the same turn.

    Returns:
        ``None`` where a turn is unavailable, or where too few were taken for an interval.
    """
    ratios = [one / two for one, two in zip(mine, other, strict=True) if one is not None and two]
    interval = median_interval(ratios)
    if len(ratios) < len(mine) or interval is None:
        return None
    return Ratio(statistics.median(ratios), *interval)

"""Networks in numbers that mean the same in all families, and cost nothing to know."""

from __future__ import annotations

import math
from collections.abc import Callable

from greenfront.objectives.tasks.task import TaskFacts
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.knobs import Categorical
from greenfront.spaces.space import SearchSpace

__all__ = ["network_description"]

TENFOLD = 1 / 3
"""A distance of 1 is far: a thousand times as many weights or products."""


def network_description(
    space: SearchSpace[Candidate], facts: TaskFacts
) -> Callable[[Candidate, tuple[float, ...]], tuple[float, ...]]:
    """What describes candidates: see :meth:`Problem.describe`.

    Where a family knows how large its networks are, their weights, products and bytes, after what
    pruning and rounding leave of them, stand for the widths and depths that are knobs of it alone.

    Args:
        space: Of the study.
        facts: Of its data.
    """
    kept = [keep for knob in space.knobs for keep in _kept(knob, facts)]

    def describe(candidate: Candidate, knobs: tuple[float, ...]) -> tuple[float, ...]:
        choice = candidate.architecture
        extent = architecture(choice.family).extent(
            dict(choice.shape), facts.input_shape, facts.outputs
        )
        size = (0.0, 0.0, 0.0)
        if extent is not None:
            # Channels go at both ends of a layer.
            left = max(1 - candidate.pruning.ratio, 0.01) ** 2
            weights, products = left * extent.weights, left * extent.products
            size = (_tens(weights), _tens(products), _tens(weights * candidate.precision.bits / 8))
        own = [number for number, keep in zip(knobs, kept, strict=True) if keep]
        return (*own, *size)

    return describe


def _tens(number: float) -> float:
    return TENFOLD * math.log10(max(number, 1.0))


def _kept(knob: object, facts: TaskFacts) -> list[bool]:
    """For each number of a knob, whether the extent says nothing of it."""
    count = len(knob.choices) if isinstance(knob, Categorical) else 1
    family, dot, _ = str(getattr(knob, "name", "")).rpartition(".")
    if not dot:
        return [True] * count
    words = isinstance(knob, Categorical) and any(isinstance(c, str) for c in knob.choices)
    owner = architecture(family)
    if owner.foreign:  # its baseline is in code of the user's, which runs in evaluators alone
        return [True] * count
    known = owner.extent(dict(owner.baseline()), facts.input_shape, facts.outputs) is not None
    return [words or not known] * count

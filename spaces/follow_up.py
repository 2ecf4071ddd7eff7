"""One step from a network towards a cheaper or a more accurate one, by all that techniques know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from greenfront.spaces.candidate import Candidate
from greenfront.spaces.knobs import Point, Value
from greenfront.spaces.options import NetworkOptions
from greenfront.spaces.space import SearchSpace
from greenfront.spaces.techniques.registry import techniques
from greenfront.spaces.techniques.technique import Surroundings, neighbour

__all__ = ["Move", "moved"]


@dataclass(frozen=True, slots=True)
class Move:
    """A network made from another one.

    Attributes:
        point: Whole, of the space.
        told: What was changed, in words.
    """

    point: dict[str, Value]
    told: str


def moved(
    options: NetworkOptions,
    space: SearchSpace[Candidate],
    point: Point,
    *,
    stricter: bool,
    far: bool,
    bytes_count: bool = False,
) -> Move | None:
    """A network one step stricter or looser.

    Args:
        options: Of the space.
        space: The search space.
        point: Whole, of the space.
        stricter: Towards a cheaper network; else towards a more accurate one.
        far: One step in every technique and in the shape; else in the first that has one left:
            techniques that can share the trained parent come before another shape.
        bytes_count: Whether a smaller file is stricter, too, that takes no less to run.

    Returns:
        ``None`` where everything is at its end.
    """
    knobs = {knob.name: knob for knob in space.knobs}
    before = space.decode(point)
    wanted: dict[str, Value] = {}
    family = str(point.get("architecture", options.scope.families[0]))
    around = Surroundings(family, options.scope, knobs, bytes_count=bytes_count)
    for change in _changes(point, around, stricter=stricter):
        kept = {
            name: value
            for name, value in change.items()
            if name in point and knobs[name].contains(value) and value != point[name]
        }
        wanted |= kept
        if kept and not far:
            break
    if not wanted:
        return None
    rng = np.random.default_rng(int(before.key, 16))  # for knobs that are only asked now
    new = space.complete({**point, **wanted}, rng)
    if space.decode(new).key == before.key:
        return None
    told = ", ".join(f"{_word(name)} {point[name]} → {value}" for name, value in wanted.items())
    return Move(new, told)


def _changes(point: Point, around: Surroundings, *, stricter: bool) -> Iterator[Point]:
    for technique in sorted(techniques(), key=lambda each: each.turn or each.order):
        step = technique.stricter if stricter else technique.looser
        yield step(point, around)
    family, knobs = around.family, around.knobs
    facts = around.scope.family(family)
    shape: dict[str, Value] = {}
    # What a family changes for its smaller shape is what its costs depend on, and the direction is
    # told, too: fewer channels, but a longer stride.
    for setting, small in facts.smaller.items():
        name, usual = f"{family}.{setting}", facts.baseline[setting]
        if name in point and not any(isinstance(value, (str, bool)) for value in (small, usual)):
            higher = (small > usual) == stricter  # type: ignore[operator]  # both are numbers
            value = neighbour(knobs[name], point[name], higher=higher)
            shape |= {} if value is None else {name: value}
    yield shape


def _word(knob: str) -> str:
    return knob.replace("_", " ").replace(".", " ")

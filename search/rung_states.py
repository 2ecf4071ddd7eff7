"""What is stored of a race, as its sampler takes it: a pure function of rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean

from greenfront.search.samplers.green.state import Objectives, RungState, RungStatus
from greenfront.spaces.knobs import Point
from greenfront.studies.store.rungs import Rung
from greenfront.studies.store.trials import Slot

__all__ = ["RungBook", "StepCosts", "decisions_made", "rung_states"]

STATUS: Mapping[str, RungStatus] = {
    "running": "running",
    "paused": "paused",
    "requeued": "paused",
    "dropped": "paused",
    "complete": "complete",
}
"""All other trials have no values and never will."""


@dataclass
class RungBook:
    """The finished rungs of each candidate; where one was done again, the newest counts.

    Attributes:
        orders: How many rungs were finished before each, by key and rung.
    """

    orders: dict[tuple[str, int], int] = field(default_factory=dict)
    _by_key: dict[str, dict[int, Rung]] = field(default_factory=lambda: defaultdict(dict))
    _added: Counter[str] = field(default_factory=Counter)
    _states: dict[int, tuple[Slot, int, RungState]] = field(default_factory=dict)

    def add(self, rungs: Iterable[Rung]) -> None:
        """Takes in finished rungs, in the order in which they were finished."""
        for rung in rungs:
            self.orders.setdefault((rung.key, rung.rung), len(self.orders))
            self._by_key[rung.key][rung.rung] = rung
            self._added[rung.key] += 1

    def of(self, key: str) -> Mapping[int, Rung]:
        """The rungs of one candidate, by their index."""
        return self._by_key.get(key, {})

    def state(self, slot: Slot, made: Callable[[], RungState]) -> RungState:
        """What is made of a slot and its rungs; made again only where one of them has changed."""
        kept, added = self._states.get(slot.slot), self._added[slot.key]
        if kept is None or kept[0] is not slot or kept[1] != added:
            kept = self._states[slot.slot] = (slot, added, made())
        return kept[2]


def rung_states(
    slots: Sequence[Slot],
    book: RungBook,
    *,
    maximise: Sequence[bool],
    last: int,
    numbers: Callable[[Point], tuple[tuple[float, ...], tuple[float, ...]]],
) -> list[RungState]:
    """The states of all candidates that were raced, in the order in which they were begun.

    Args:
        slots: All that were begun; those outside of the space have no point.
        book: What they have finished; remembers states, so it belongs to one problem.
        maximise: For each objective, whether more is better.
        last: Index of the whole effort.
        numbers: Description and settings of a point, see :class:`RungState`.
    """
    signs = [-1.0 if more else 1.0 for more in maximise]

    def made(slot: Slot, point: Point) -> RungState:
        return _state(slot, point, book, signs, last, numbers(point))

    return [
        book.state(slot, partial(made, slot, slot.point))
        for slot in slots
        if slot.point is not None
    ]


def decisions_made(states: Iterable[RungState]) -> int:
    """How many steps were begun, as far as it is stored."""
    return sum(len(state.kwh) + (state.status in ("running", "failed")) for state in states)


def _state(
    slot: Slot,
    point: Point,
    book: RungBook,
    signs: Sequence[float],
    last: int,
    numbers: tuple[tuple[float, ...], tuple[float, ...]],
) -> RungState:
    rungs = book.of(slot.key)
    status = STATUS.get(slot.state, "failed")
    values = _signed(slot.values, signs) if slot.values is not None else None
    measured: list[Objectives] = []
    kwh: list[float] = []
    finished: list[int] = []
    highest = last if values is not None else max(rungs, default=-1)
    for index in range(highest + 1):
        # One that is whole at once stands at each rung as it ends, and has paid at the first.
        at = next((at for at in range(index, last + 1) if at in rungs), None)
        above = None if at is None else rungs[at]
        finished.append(book.orders.get((slot.key, index if at is None else at), slot.slot))
        reached = values if above is None else _signed(above.values, signs)
        measured.append(() if reached is None else reached)
        kwh.append(rungs[index].kwh if index in rungs else 0.0)
    if rungs and min(rungs) > 0:
        kwh[0] = rungs[min(rungs)].kwh
        kwh[min(rungs)] = 0.0
    known = rungs[max(rungs)].known if rungs else ()
    target = last if slot.rung is None else slot.rung
    return RungState(
        key=slot.key,
        point=point,
        description=numbers[0],
        settings=numbers[1],
        losses=tuple(float(each[0] or 0.0) for each in measured),
        kwh=tuple(kwh),
        known=_partly_signed(known, signs),
        measured=tuple(measured),
        finished=tuple(finished),
        values=values if status == "complete" else None,
        status=status,
        running_rung=target if status == "running" else None,
    )


def _signed(values: Sequence[float], signs: Sequence[float]) -> tuple[float, ...]:
    return tuple(sign * value for sign, value in zip(signs, values, strict=True))


def _partly_signed(values: Sequence[float | None], signs: Sequence[float]) -> Objectives:
    return tuple(
        None if value is None else sign * value for sign, value in zip(signs, values, strict=False)
    )


@dataclass
class StepCosts:
    """What the next step of a candidate costs, where it shares the rungs of others.

    Attributes:
        parents: Identity of the rungs that each key shares with others; ``None``: of none.
        done: Rungs that some candidate of a parent has finished.
        shared_kwh: What each rung has cost those for whom another had finished it before.
        least_kwh: The least that each rung has cost anyone.
    """

    parents: Mapping[str, str | None]
    done: set[tuple[str, int]] = field(default_factory=set)
    shared_kwh: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    least_kwh: dict[int, float] = field(default_factory=dict)

    def add(self, rungs: Iterable[Rung]) -> None:
        """Takes in finished rungs, in the order in which they were finished."""
        for rung in rungs:
            parent = self.parents[rung.key]
            least = self.least_kwh.get(rung.rung, rung.kwh)
            self.least_kwh[rung.rung] = min(least, rung.kwh)
            if parent is None:
                continue
            if (parent, rung.rung) in self.done:
                self.shared_kwh[rung.rung].append(rung.kwh)
            self.done.add((parent, rung.rung))

    def of(self, parent: str | None, rung: int, last: int) -> float | None:
        """Energy in kWh of a step to a rung; ``None`` where nothing of it is shared.

        Args:
            parent: What the candidate shares; ``None``: nothing.
            rung: To which it would be trained.
            last: Index of the whole effort, which is more than what is shared.
        """
        if parent is None or (parent, rung) not in self.done:
            return None
        seen = self.shared_kwh.get(rung)
        if seen:
            return fmean(seen)
        return self.least_kwh[rung] if rung == last else 0.0

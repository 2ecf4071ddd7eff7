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

__all__ = ["RungBook", "SharedRungs", "decisions_made", "rung_states"]

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
    shared: SharedRungs,
    *,
    maximise: Sequence[bool],
    last: int,
    numbers: Callable[[Point], tuple[tuple[float, ...], tuple[float, ...]]],
) -> list[RungState]:
    """The states of all candidates that were raced, in the order in which they were begun.

    Args:
        slots: All that were begun; those outside of the space have no point.
        book: What they have finished; remembers states, so it belongs to one problem.
        shared: The same, by what candidates share: what others of its parent have finished below
            counts as finished by a candidate, too.
        maximise: For each objective, whether more is better.
        last: Index of the whole effort.
        numbers: Description and settings of a point, see :class:`RungState`.
    """
    signs = [-1.0 if more else 1.0 for more in maximise]

    def made(slot: Slot, point: Point) -> RungState:
        return _state(slot, point, _Rungs(slot.key, book, shared, last), signs, numbers(point))

    return [
        book.state(slot, partial(made, slot, slot.point))
        for slot in slots
        if slot.point is not None
    ]


def decisions_made(states: Iterable[RungState]) -> int:
    """How many steps were begun, as far as it is stored."""
    return sum(len(state.kwh) + (state.status in ("running", "failed")) for state in states)


@dataclass(frozen=True)
class _Rungs:
    """The rungs of one candidate, its own and those that it shares."""

    key: str
    book: RungBook
    shared: SharedRungs
    last: int

    @property
    def own(self) -> Mapping[int, Rung]:
        return self.book.of(self.key)

    def others(self, index: int) -> Rung | None:
        """What the first of its parent has paid for; ``None`` where it was itself the first."""
        first = self.shared.first(self.key, index)
        return None if first is None or first.key == self.key else first

    def above(self, index: int) -> int | None:
        """Its own next rung from there on."""
        return next((at for at in range(index, self.last + 1) if at in self.own), None)

    def measured(self, index: int, values: Objectives | None, signs: Sequence[float]) -> Objectives:
        others = self.others(index)
        if others is not None and index < self.last and index not in self.own:
            # The training is the same, what is made of it is not.
            return (signs[0] * others.values[0], *[None] * (len(signs) - 1))
        # One that is whole at once stands at each rung as it ends.
        at = self.above(index)
        reached = values if at is None else _signed(self.own[at].values, signs)
        return () if reached is None else reached

    def kwh(self, index: int) -> float:
        """What it takes to get there from the rung below, whoever has paid for it."""
        first, others = min(self.own, default=0), self.others(index)
        least = 0.0 if others is None else others.kwh
        if first and self.shared.first(self.key, 0) is None:
            # One that is whole at once has paid at the first.
            return self.own[first].kwh if index == 0 else 0.0 if index == first else least
        return max(least, self.own[index].kwh if index in self.own else 0.0)


def _state(
    slot: Slot,
    point: Point,
    rungs: _Rungs,
    signs: Sequence[float],
    numbers: tuple[tuple[float, ...], tuple[float, ...]],
) -> RungState:
    own, last = rungs.own, rungs.last
    status = STATUS.get(slot.state, "failed")
    values = _signed(slot.values, signs) if slot.values is not None else None
    highest = last if values is not None else max(own, default=-1)
    reached = range(highest + 1)
    measured = [rungs.measured(index, values, signs) for index in reached]
    kwh = [rungs.kwh(index) for index in reached]
    finished = []
    for index in reached:
        at = rungs.above(index)
        order = (slot.key, index if at is None else at)
        finished.append(rungs.book.orders.get(order, slot.slot))
    known = own[max(own)].known if own else ()
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
class SharedRungs:
    """What candidates of one parent share, and what the next step costs one of them.

    Attributes:
        parents: Identity of the rungs that each key shares with others; ``None``: of none.
        done: For each parent and rung the first candidate that has finished it.
        shared_kwh: What each rung has cost those for whom another had finished it before.
        least_kwh: The least that each rung has cost anyone.
    """

    parents: Mapping[str, str | None]
    done: dict[tuple[str, int], Rung] = field(default_factory=dict)
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
            self.done.setdefault((parent, rung.rung), rung)

    def first(self, key: str, rung: int) -> Rung | None:
        """The first that a candidate's parent has finished of a rung; ``None`` if none did."""
        parent = self.parents.get(key)
        return None if parent is None else self.done.get((parent, rung))

    def reached(self, parent: str | None, last: int) -> int:
        """The highest rung below the last that the candidates of a parent need not do; -1: none."""
        if parent is None:
            return -1
        return next((r for r in range(last - 1, -1, -1) if (parent, r) in self.done), -1)

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

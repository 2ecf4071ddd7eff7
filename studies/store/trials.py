"""The trials of a study: each slot of the total is given out once, and each choice tried once.

A trial's life here: ``running`` → ``complete`` | ``stopped`` | ``failed``; when its run has died,
``requeued`` → ``running`` again, by whoever picks its choice up. One that is raced against others
is ``paused`` after each rung below the whole effort and then ``running`` again, by whichever run
promotes it; what nobody has promoted when a search ends is ``dropped``, until a later run does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import sqlalchemy as sa

from greenfront.errors import StudyError
from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.tables import trials_table

if TYPE_CHECKING:  # who only counts trials reads none
    from greenfront.objectives.outcome import Outcome
    from greenfront.spaces.candidate import Candidate

__all__ = [
    "FINISHED",
    "WITHOUT_RESULT",
    "Claim",
    "NetworkTrial",
    "PlainTrial",
    "Slot",
    "Start",
    "Trial",
    "TrialState",
    "Trials",
    "given_out",
]

TrialState = Literal[
    "running", "requeued", "paused", "complete", "infeasible", "stopped", "failed", "dropped"
]

FINISHED: tuple[TrialState, ...] = ("complete", "infeasible", "stopped", "failed")
"""Over for good, and counted by a budget of trials."""

WITHOUT_RESULT: tuple[TrialState, ...] = (*FINISHED[1:], "dropped")
"""Over, but not on any front; ``infeasible``: what is claimed for the model is not there;
``dropped``: raced, and not promoted."""

WAITING: tuple[TrialState, ...] = ("paused", "requeued", "dropped")
"""Nobody works on it, but somebody may go on with it."""

Claim = Literal["granted", "duplicate", "full"]
"""Answer to a run that wants to begin a trial."""

RACES = 20
"""Lost races for a slot before giving up: each means that another run got on."""


C = TypeVar("C")
D = TypeVar("D")


class Slot(NamedTuple):
    """What every worker has to know of a trial.

    Attributes:
        slot: See :class:`Trial`.
        key: See :class:`Trial`.
        number: See :class:`Trial`.
        state: See :class:`Trial`.
        values: See :class:`Trial`.
        rung: The rung below the whole effort that it is trained to or waits at; ``None``: whole.
        point: The knobs that led to it, where it is raced.
        afterwards: Whether it was made after a search, and counts in no budget of trials.
    """

    slot: int
    key: str
    number: int
    state: TrialState
    values: tuple[float, ...] | None
    rung: int | None
    point: dict[str, Any] | None
    afterwards: bool = False


MADE_OTHERWISE = "interrupted, and of its settings a choice is made now that was tried already"


@dataclass(frozen=True, slots=True)
class Start:
    """How a raced trial begins, or one that was interrupted.

    Attributes:
        rung: To which it is to be trained; ``None``: at once with the whole effort.
        point: The knobs that led to it; ``None`` outside of the space.
        slot: Of the interrupted trial that it takes up. Another version, or a changed ``decode``,
            may make another choice of the same settings, which then takes its place.
    """

    rung: int | None
    point: dict[str, Any] | None
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Trial(Generic[C, D]):
    """One trial as it stands.

    Attributes:
        slot: Position in the study's total, from 0.
        number: Optuna's number of the present attempt.
        key: Identity of the candidate.
        state: See the module.
        candidate: What was chosen.
        values: Objective values in the study's order; ``None`` unless complete.
        outcome: What the problem reported beside them.
        reason: Why it was stopped or failed.
        started_at: Unix seconds.
        finished_at: Unix seconds; ``None`` while unfinished.
        afterwards: Whether it was made after a search, and counts in no budget of trials.
    """

    slot: int
    number: int
    key: str
    state: TrialState
    candidate: C
    values: tuple[float, ...] | None
    outcome: D | None
    reason: str | None
    started_at: float
    finished_at: float | None
    afterwards: bool = False


NetworkTrial: TypeAlias = "Trial[Candidate, Outcome]"
"""A trial of a study of networks."""

PlainTrial = Trial[dict[str, Any], dict[str, Any]]
"""A trial of a problem from Python: candidate and outcome are the JSON values that it gave."""


class Trials(StudyPart):
    """Gives out the trials of one study; safe for any number of runs at once.

    Args:
        storage: The database.
        study_id: Optuna's number of the study.
        of_networks: Whether they are read as :data:`NetworkTrial`, else as :data:`PlainTrial`.
    """

    def __init__(self, storage: Storage, study_id: int, *, of_networks: bool = False) -> None:
        super().__init__(storage, study_id)
        self._read = _network_trial if of_networks else _plain_trial
        self._mine = trials_table.c.study_id == study_id

    def claim(
        self,
        run_id: str,
        number: int,
        key: str,
        choice: dict[str, Any],
        limit: int | None,
        start: Start = Start(None, None),
    ) -> Claim:
        """Asks to begin the trial that Optuna numbered ``number``.

        Args:
            run_id: Who asks.
            number: Optuna's number.
            key: Identity of the choice.
            choice: The choice in JSON values.
            limit: The study's total number of trials of the whole effort; ``None`` without one.
                What is raced below it counts when it is promoted to it.
            start: Of one that is raced.

        Returns:
            ``"granted"``; ``"duplicate"`` when the choice was or is being tried; ``"full"`` when
            every slot is given out.
        """
        for _ in range(RACES):
            try:
                return self._claim(run_id, number, key, choice, limit, start)
            except sa.exc.IntegrityError:
                continue  # another run took the slot or the choice in the same moment
        return "full"

    def _claim(
        self,
        run_id: str,
        number: int,
        key: str,
        choice: dict[str, Any],
        limit: int | None,
        start: Start,
    ) -> Claim:
        table = trials_table
        started = {"run_id": run_id, "number": number, "started_at": time.time()}

        def granted(connection: sa.Connection) -> Claim:
            def replaced(slot: int | None, **values: Any) -> bool:
                """Whether the slot's trial was interrupted, and is what is given here now."""
                mine = (self._mine, table.c.slot == slot, table.c.state == "requeued")
                change = sa.update(table).where(*mine).values(values)
                return slot is not None and connection.execute(change).rowcount != 0

            same = sa.select(table.c.slot, table.c.state).where(self._mine, table.c.key == key)
            known = connection.execute(same).one_or_none()
            if known is not None:
                interrupted = known.slot if known.state == "requeued" else None
                if replaced(interrupted, state="running", **started):
                    return "granted"
                over = {"state": "failed", "reason": MADE_OTHERWISE}
                replaced(start.slot, finished_at=time.time(), **over)
                return "duplicate"
            if replaced(start.slot, key=key, choice=choice, state="running", **started):
                return "granted"
            slot, whole = given_out(connection, self.study_id)
            if start.rung is None and limit is not None and whole >= limit:
                return "full"
            connection.execute(
                sa.insert(table).values(
                    study_id=self.study_id,
                    slot=slot,
                    key=key,
                    state="running",
                    choice=choice,
                    rung=start.rung,
                    point=start.point,
                    **started,
                )
            )
            return "granted"

        def held(connection: sa.Connection) -> Claim | None:
            mine = (table.c.key == key, table.c.run_id == run_id, table.c.number == number)
            found = connection.scalar(sa.select(table.c.slot).where(self._mine, *mine))
            return None if found is None else "granted"

        return self.storage.write(granted, done=held)

    def finish(
        self,
        run_id: str,
        number: int,
        state: TrialState,
        *,
        values: Sequence[float] | None = None,
        detail: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> bool:
        """Records the end of a trial.

        Returns:
            Whether it was still this run's to end: a run that was taken for dead has lost it.
        """
        table = trials_table
        mine = (self._mine, table.c.number == number, table.c.run_id == run_id)
        change = (
            sa.update(table)
            .where(*mine, table.c.state == "running")
            .values(
                state=state,
                values=None if values is None else list(values),
                detail=detail,
                reason=reason,
                rung=None,
                finished_at=time.time(),
            )
        )
        ended = sa.select(table.c.slot).where(*mine, table.c.state == state)
        return self.storage.change(change, done=ended)

    def requeue(self, dead_runs: Sequence[str]) -> list[Trial[Any, Any]]:
        """Takes the running trials of dead runs away from them, each exactly once.

        Returns:
            The trials that this call took; but those for which the answer was lost.
        """
        table, taken = trials_table, []
        for row in self.all(states=("running",), runs=dead_runs):
            mine = (self._mine, table.c.slot == row.slot, table.c.number == row.number)
            change = sa.update(table).where(*mine, table.c.state == "running")
            if self.storage.change(change.values(state="requeued")):
                taken.append(row)
        return taken

    def all(
        self,
        *,
        states: Sequence[TrialState] | None = None,
        runs: Sequence[str] | None = None,
    ) -> list[Trial[Any, Any]]:
        """Trials in the order of their numbers.

        Args:
            states: Only these.
            runs: Only of these runs.
        """
        c = trials_table.c
        query = sa.select(trials_table).where(self._mine).order_by(c.number)
        if states is not None:
            query = query.where(c.state.in_(states))
        if runs is not None:
            query = query.where(c.run_id.in_(runs))
        rows = self.storage.rows(query)
        return [self._read(row) for row in rows]

    def get(self, number: int) -> Trial[Any, Any]:
        """The trial whose present attempt Optuna numbered ``number``.

        Raises:
            StudyError: There is none.
        """
        query = sa.select(trials_table).where(self._mine, trials_table.c.number == number)
        row = self.storage.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise StudyError(f"trial {number} does not exist: greenfront front lists those that do")
        return self._read(row)

    def progress(self, from_slot: int, also: Collection[int] = ()) -> list[Slot]:
        """What is known of the trials in some slots, in their order, without the rest of them.

        Every worker asks before every trial, so it asks for what may have changed.

        Args:
            from_slot: Slots from this one on.
            also: And these.
        """
        c = trials_table.c
        kept = (c.slot, c.key, c.number, c.state, c["values"], c.rung, c.point)
        query = sa.select(*kept, sa.func.coalesce(c.afterwards, sa.false())).where(
            self._mine, (c.slot >= from_slot) | c.slot.in_(also)
        )
        query = query.order_by(c.slot)
        found = self.storage.rows(query)
        rows = (Slot(*row) for row in found)
        return [
            row if row.values is None else row._replace(values=tuple(row.values)) for row in rows
        ]

    def counts(self) -> Counter[str]:
        """Number of trials by state; what was made after a search is none of them."""
        c = trials_table.c
        query = sa.select(c.state, sa.func.count()).where(self._mine, c.afterwards.is_not(True))
        query = query.group_by(c.state)
        rows = self.storage.rows(query)
        return Counter(dict(tuple(row) for row in rows))


def given_out(connection: sa.Connection, study_id: int) -> tuple[int, int]:
    """Slots of a study in all, and those of the whole effort: finished, or trained to it now.

    What was made after a search takes a slot and none of the search's effort.
    """
    c, count = trials_table.c, sa.func.count
    outside = count(sa.case((c.rung.is_not(None) | c.afterwards.is_(True), 1)))
    query = sa.select(count(), outside).where(c.study_id == study_id)
    slots, apart = connection.execute(query).one()
    return slots, slots - apart


def _network_trial(row: sa.Row[Any]) -> NetworkTrial:
    from greenfront.objectives.codec import from_json
    from greenfront.objectives.outcome import Outcome
    from greenfront.objectives.paths import is_below
    from greenfront.spaces.candidate import Candidate

    outcome = None if row.detail is None else from_json(Outcome, row.detail)
    if outcome is not None and not is_below(outcome.artefact):
        raise ValueError(f"the file of trial {row.number} lies outside of the cache")
    return _trial(row, Candidate.from_json(row.choice), outcome)


def _plain_trial(row: sa.Row[Any]) -> PlainTrial:
    return _trial(row, row.choice, row.detail)


def _trial(row: sa.Row[Any], candidate: C, outcome: D | None) -> Trial[C, D]:
    return Trial(
        slot=row.slot,
        number=row.number,
        key=row.key,
        state=row.state,
        candidate=candidate,
        values=None if row.values is None else tuple(row.values),
        outcome=outcome,
        reason=row.reason,
        started_at=row.started_at,
        finished_at=row.finished_at,
        afterwards=bool(row.afterwards),
    )

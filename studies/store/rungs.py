"""What raced candidates have reached at each rung, and what it has cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.tables import rungs_table, trials_table
from greenfront.studies.store.trials import WAITING, Claim, Slot, Trials, given_out

__all__ = ["Rung", "Rungs"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung that a candidate has finished.

    Attributes:
        key: Identity of the candidate.
        rung: Which one, from 0; the last is the whole effort.
        values: Its objectives there, in the study's order and directions.
        known: Those of the whole effort, ``None`` where they are not known yet; empty: none is.
        kwh: What this rung has cost beyond the one below.
        checkpoint: What the next one starts from, in JSON values; ``None``: nothing is needed.
    """

    key: str
    rung: int
    values: tuple[float, ...]
    known: tuple[float | None, ...]
    kwh: float
    checkpoint: Any = None


class Rungs(StudyPart):
    """The rungs of one study; safe for any number of runs at once."""

    def finish(self, run_id: str, number: int, rung: Rung, *, pause: bool) -> bool:
        """Keeps what a rung has come to; one that was interrupted and done again counts once.

        Args:
            run_id: Who has trained it.
            number: Optuna's number of the trial.
            rung: What came of it.
            pause: Whether the trial then waits; else its run goes on with it.

        Returns:
            Whether it was still this run's: one that was taken for dead has lost it.
        """
        c, trials = rungs_table.c, trials_table.c
        mine = (
            (trials.study_id == self.study_id)
            & (trials.number == number)
            & (trials.run_id == run_id)
            & (trials.state == "running")
        )
        changed = {"state": "paused", "rung": rung.rung} if pause else {"state": "running"}
        known = sa.select(c.entry_id).where(
            c.study_id == self.study_id,
            c.key == rung.key,
            c.rung == rung.rung,
            c.run_id == run_id,
        )

        def kept(connection: sa.Connection) -> bool:
            held = connection.execute(sa.update(trials_table).where(mine).values(**changed))
            if held.rowcount != 1:
                return False
            connection.execute(
                sa.delete(rungs_table).where(
                    c.study_id == self.study_id, c.key == rung.key, c.rung == rung.rung
                )
            )
            connection.execute(
                sa.insert(rungs_table).values(
                    study_id=self.study_id,
                    key=rung.key,
                    rung=rung.rung,
                    run_id=run_id,
                    values=list(rung.values),
                    known=list(rung.known),
                    kwh=rung.kwh,
                    checkpoint=rung.checkpoint,
                    finished_at=time.time(),
                )
            )
            return True

        return self.storage.write(
            kept, done=lambda connection: connection.scalar(known) is not None or None
        )

    def promote(
        self, run_id: str, row: Slot, number: int, rung: int | None, limit: int | None
    ) -> Claim:
        """Asks to go on with a raced trial that waits.

        Args:
            run_id: Who asks.
            row: As it was seen.
            number: Optuna's number from now on.
            rung: To which it is to be trained; ``None``: with the whole effort.
            limit: See :meth:`Trials.claim`.

        Returns:
            ``"granted"``; ``"duplicate"`` when another run has changed it in the meantime;
            ``"full"`` when every slot of the whole effort is given out.
        """
        c = trials_table.c

        def promoted(connection: sa.Connection) -> Claim:
            if rung is None and row.rung is not None and limit is not None:
                _, whole = given_out(connection, self.study_id)
                if whole >= limit:
                    return "full"
            taken = connection.execute(
                sa.update(trials_table)
                .where(
                    c.study_id == self.study_id,
                    c.slot == row.slot,
                    c.number == row.number,
                    c.state == row.state,
                    c.state.in_(WAITING),
                )
                .values(
                    state="running",
                    run_id=run_id,
                    number=number,
                    rung=rung,
                    reason=None,
                    finished_at=None,
                )
            )
            return "granted" if taken.rowcount else "duplicate"

        # Its own earlier change: one process promotes one trial after the other.
        held = sa.select(c.slot).where(
            c.study_id == self.study_id,
            c.slot == row.slot,
            c.number == number,
            c.run_id == run_id,
            c.state == "running",
        )
        return self.storage.write(
            promoted,
            done=lambda connection: None if connection.scalar(held) is None else "granted",
        )

    def drop(self, reason: str) -> list[Slot]:
        """Ends what waits below the whole effort: nobody promotes it now.

        Returns:
            The trials that this call ended.
        """
        c, ended = trials_table.c, []
        for row in Trials(self.storage, self.study_id).progress(0):
            if row.state not in ("paused", "requeued") or row.rung is None:
                continue
            now, mine = time.time(), (c.study_id == self.study_id) & (c.slot == row.slot)
            change = sa.update(trials_table).where(mine, c.state == row.state)
            change = change.values(state="dropped", reason=reason, finished_at=now)
            dropped = sa.select(c.slot).where(mine, c.state == "dropped", c.finished_at == now)
            if self.storage.change(change, done=dropped):
                ended.append(row)
        return ended

    def since(self, entry: int) -> tuple[int, list[Rung]]:
        """The rungs that were finished after an entry, and the number of the last one.

        Args:
            entry: From an earlier call; 0 for all.
        """
        c = rungs_table.c
        query = (
            sa.select(c.entry_id, c.key, c.rung, c["values"], c.known, c.kwh, c.checkpoint)
            .where(c.study_id == self.study_id, c.entry_id > entry)
            .order_by(c.entry_id)
        )
        rows = self.storage.rows(query)
        return (rows[-1][0] if rows else entry), [_rung(row[1:]) for row in rows]


def _rung(row: Sequence[Any]) -> Rung:
    key, rung, values, known, kwh, checkpoint = row
    return Rung(key, rung, tuple(values), tuple(known), kwh, checkpoint)

"""Further measurements of finished trials."""

from __future__ import annotations

import time

import sqlalchemy as sa

from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.outcome import Repeat
from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.tables import repeats_table

__all__ = ["Repeats"]


class Repeats(StudyPart):
    """The repeats of one study; safe for any number of runs at once."""

    def add(self, run_id: str, key: str, position: int, repeat: Repeat) -> bool:
        """Keeps one measurement.

        Args:
            run_id: Who measured.
            key: Identity of the candidate.
            position: Which repeat it is, from 1.
            repeat: What was measured.

        Returns:
            Whether it was the first in this position: another run may have been quicker.
        """
        row = {
            "study_id": self.study_id,
            "key": key,
            "position": position,
            "run_id": run_id,
            "detail": to_json(repeat),
            "measured_at": time.time(),
        }
        c = repeats_table.c
        known = sa.select(c.run_id).where(
            c.study_id == self.study_id,
            c.key == key,
            c.position == position,
            c.run_id == run_id,
        )
        try:
            return self.storage.change(sa.insert(repeats_table).values(row), done=known)
        except sa.exc.IntegrityError:
            return False

    def count(self) -> int:
        """How many there are."""
        c = repeats_table.c
        query = sa.select(sa.func.count()).where(c.study_id == self.study_id)
        return int(self.storage.read(lambda connection: connection.scalar(query)) or 0)

    def all(self) -> dict[str, tuple[Repeat, ...]]:
        """From a candidate's key to its repeats, in their order."""
        c = repeats_table.c
        query = (
            sa.select(c.key, c.detail)
            .where(c.study_id == self.study_id)
            .order_by(c.key, c.position)
        )
        found: dict[str, tuple[Repeat, ...]] = {}
        rows = self.storage.rows(query)
        for key, detail in rows:
            found[key] = (*found.get(key, ()), from_json(Repeat, detail))
        return found

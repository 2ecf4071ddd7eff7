"""Which trials follow others up, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from greenfront.studies.store.part import StudyPart
from greenfront.studies.store.tables import follow_ups_table

__all__ = ["FollowUp", "FollowUps"]


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A candidate that was queued because of what another one has reached.

    Attributes:
        key: Of the candidate.
        origin: Key of the one that it follows.
        stricter: Whether it should be cheaper; else it should be more accurate.
        reason: What the other one lacked and what was changed, in words.
        point: Its settings.
    """

    key: str
    origin: str
    stricter: bool
    reason: str
    point: Mapping[str, Any]


class FollowUps(StudyPart):
    """The follow-ups of one study, in the order in which they were queued."""

    def add(self, found: FollowUp) -> bool:
        """Keeps one; returns whether its candidate follows nothing yet."""
        row = {
            "study_id": self.study_id,
            "key": found.key,
            "origin": found.origin,
            "stricter": found.stricter,
            "reason": found.reason,
            "point": dict(found.point),
        }
        c = follow_ups_table.c
        known = sa.select(c.entry_id).where(
            c.study_id == self.study_id, c.key == found.key, c.origin == found.origin
        )
        try:
            return self.storage.change(sa.insert(follow_ups_table).values(row), done=known)
        except sa.exc.IntegrityError:
            return False

    def all(self) -> list[FollowUp]:
        """All of them."""
        c = follow_ups_table.c
        query = (
            sa.select(c.key, c.origin, c.stricter, c.reason, c.point)
            .where(c.study_id == self.study_id)
            .order_by(c.entry_id)
        )
        rows = self.storage.rows(query)
        return [FollowUp(*row) for row in rows]

"""Runs are timed by the clock that never jumps, too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Brings the tables from the version before to this one."""
    op.add_column("greenfront_runs", sa.Column("monotonic_start", sa.Float))
    op.add_column("greenfront_runs", sa.Column("monotonic_heartbeat", sa.Float))

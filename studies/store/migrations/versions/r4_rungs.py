"""Rungs of raced trials: a table of their results, and where a trial waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Brings the tables from the version before to this one."""
    op.add_column("greenfront_trials", sa.Column("rung", sa.Integer))
    op.add_column("greenfront_trials", sa.Column("point", sa.JSON(none_as_null=True)))
    op.create_table(
        "greenfront_rungs",
        sa.Column("entry_id", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("values", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("known", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("kwh", sa.Float, nullable=False),
        sa.Column("checkpoint", sa.JSON(none_as_null=True)),
        sa.Column("finished_at", sa.Float, nullable=False),
        sa.UniqueConstraint("study_id", "key", "rung"),
    )

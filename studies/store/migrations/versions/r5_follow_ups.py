"""A table of the candidates that follow others up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Brings the tables from the version before to this one."""
    op.create_table(
        "greenfront_follow_ups",
        sa.Column("entry_id", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(64), nullable=False),
        sa.Column("stricter", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("point", sa.JSON(none_as_null=True), nullable=False),
        sa.UniqueConstraint("study_id", "key"),
    )

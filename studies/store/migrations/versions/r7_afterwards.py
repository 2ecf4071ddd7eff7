"""Trials that were made after a search, which count in no budget of trials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7"
down_revision = "6"


def upgrade() -> None:
    """Brings the tables from the version before to this one."""
    op.add_column("greenfront_trials", sa.Column("afterwards", sa.Boolean))

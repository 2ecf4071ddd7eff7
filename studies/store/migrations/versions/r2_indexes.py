"""Indexes for what is asked of studies with thousands of trials."""

from __future__ import annotations

from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Brings the tables from the version before to this one."""
    op.create_index("greenfront_trials_by_number", "greenfront_trials", ["study_id", "number"])
    op.create_index("greenfront_trials_by_state", "greenfront_trials", ["study_id", "state"])
    op.drop_index("ix_greenfront_ledger_study_id", "greenfront_ledger")
    op.create_index("greenfront_ledger_by_number", "greenfront_ledger", ["study_id", "number"])

"""What a worker waited for: cleaner electricity, as all did until then, or a cooler machine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8"
down_revision = "7"


def upgrade() -> None:
    """Brings the tables from the version before to this one."""
    op.add_column(
        "greenfront_pauses",
        sa.Column("kind", sa.String(16), nullable=False, server_default="electricity"),
    )

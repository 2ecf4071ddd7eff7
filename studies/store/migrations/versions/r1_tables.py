"""The tables of the releases that had no versions; what one of them lacks is made here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

metadata = sa.MetaData()

sa.Table(
    "greenfront_studies",
    metadata,
    sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(512), nullable=False, unique=True),
    sa.Column("identity", sa.String(64), nullable=False),
    sa.Column("configuration", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("meters", sa.JSON(none_as_null=True)),
    sa.Column("facts", sa.JSON(none_as_null=True)),
    sa.Column("queued", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

sa.Table(
    "greenfront_runs",
    metadata,
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("study_id", sa.Integer, nullable=False, index=True),
    sa.Column("host", sa.String(256), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("pid_started_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("heartbeat_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
)

sa.Table(
    "greenfront_trials",
    metadata,
    sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("choice", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("values", sa.JSON(none_as_null=True)),
    sa.Column("detail", sa.JSON(none_as_null=True)),
    sa.Column("reason", sa.Text),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("finished_at", sa.Float),
    sa.UniqueConstraint("study_id", "key"),
)

sa.Table(
    "greenfront_ledger",
    metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.Integer, nullable=False, index=True),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("worker", sa.Integer),
    sa.Column("number", sa.Integer),
    sa.Column("phase", sa.String(64), nullable=False),
    sa.Column("component", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("joules", sa.Float),
    sa.Column("low_joules", sa.Float),
    sa.Column("high_joules", sa.Float),
    sa.Column("cpu_seconds", sa.Float, nullable=False),
    sa.Column("wall_seconds", sa.Float, nullable=False),
    sa.Column("co2_kg", sa.Float),
    sa.Column("g_per_kwh", sa.Float),
    sa.Column("flags", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float, nullable=False),
)

sa.Table(
    "greenfront_moments",
    metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("study_id", sa.Integer, nullable=False, index=True),
    sa.Column("basis", sa.String(16), nullable=False),
    sa.Column("unpaused_co2_kg", sa.Float),
)

sa.Table(
    "greenfront_pauses",
    metadata,
    sa.Column("pause_id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.Integer, nullable=False, index=True),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("clock_started_at", sa.Float, nullable=False),
    sa.Column("clock_ended_at", sa.Float),
)

sa.Table(
    "greenfront_repeats",
    metadata,
    sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("measured_at", sa.Float, nullable=False),
)


def upgrade() -> None:
    """Brings the tables from the version before to this one."""
    connection = op.get_bind()
    metadata.create_all(connection)
    columns = sa.inspect(connection).get_columns("greenfront_ledger")
    if "worker" not in {column["name"] for column in columns}:
        op.add_column("greenfront_ledger", sa.Column("worker", sa.Integer))

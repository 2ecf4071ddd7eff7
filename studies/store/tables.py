"""Our tables beside Optuna's, as the newest migration leaves them.

Every change here needs a migration in :mod:`greenfront.studies.store.migrations`.
"""

from __future__ import annotations

import sqlalchemy as sa

__all__ = [
    "follow_ups_table",
    "ledger_table",
    "metadata",
    "moments_table",
    "pauses_table",
    "repeats_table",
    "runs_table",
    "studies_table",
    "trials_table",
]

metadata = sa.MetaData()

studies_table = sa.Table(
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
"""One row a study: ``identity`` hashes what must never change, ``meters`` pins the instruments."""

runs_table = sa.Table(
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
    sa.Column("monotonic_start", sa.Float),
    sa.Column("monotonic_heartbeat", sa.Float),
)
"""One row for each process that worked on a study. Times are Unix seconds, which are shown and may
jump; monotonic ones are seconds of the host's clock that never does, by which time is budgeted."""

trials_table = sa.Table(
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
    sa.Column("rung", sa.Integer),
    sa.Column("point", sa.JSON(none_as_null=True)),
    sa.Column("afterwards", sa.Boolean),
    sa.UniqueConstraint("study_id", "key"),
    sa.Index("greenfront_trials_by_number", "study_id", "number"),
    sa.Index("greenfront_trials_by_state", "study_id", "state"),
)
"""One row a trial of the study's total: ``slot`` counts them, ``key`` keeps them distinct. ``rung``
is the one below the whole effort that a raced trial is trained to or waits at, ``point`` the knobs
that led to it; ``afterwards`` is true of what was made after a search and counts in no budget."""

rungs_table = sa.Table(
    "greenfront_rungs",
    metadata,
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
"""One row for each rung that a raced candidate has finished, counted from 0: its objectives there,
those of the whole effort as far as they are known, and what the rung has cost."""

ledger_table = sa.Table(
    "greenfront_ledger",
    metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.Integer, nullable=False),
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
    sa.Index("greenfront_ledger_by_number", "study_id", "number"),
)
"""What was spent, on which trial and phase, by which worker of a run, and when: pieces while a
trial goes on, one row a phase and component when it is over."""

moments_table = sa.Table(
    "greenfront_moments",
    metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("study_id", sa.Integer, nullable=False, index=True),
    sa.Column("basis", sa.String(16), nullable=False),
    sa.Column("unpaused_co2_kg", sa.Float),
)
"""Append only, beside the ledger's entries where intensity is known over time: who told that of the
entry's moment, and what the entry would have emitted without the pauses before it."""

pauses_table = sa.Table(
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
    sa.Column("kind", sa.String(16), nullable=False, server_default="electricity"),
)
"""One row for each wait of a worker, for cleaner electricity or a cooler machine as ``kind`` says;
``number`` is the trial that waited between two epochs, if one did. The clock is the grid's: another
than the wall's where a past is replayed."""

repeats_table = sa.Table(
    "greenfront_repeats",
    metadata,
    sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.String(32), nullable=False),
    sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("measured_at", sa.Float, nullable=False),
)
"""Append only: further measurements of finished trials' files, counted from 1."""

follow_ups_table = sa.Table(
    "greenfront_follow_ups",
    metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.Integer, nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("origin", sa.String(64), nullable=False),
    sa.Column("stricter", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("point", sa.JSON(none_as_null=True), nullable=False),
    sa.UniqueConstraint("study_id", "key"),
)
"""Append only: candidates that were queued because of what another one, ``origin``, has reached."""

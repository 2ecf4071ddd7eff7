"""What is particular to database servers: connections that break, and those they leave behind."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

__all__ = ["backend", "engine_settings", "outlive"]

# A server whose machine is gone sends no word of it: without these a connection would wait for
# hours. In seconds; the last is in milliseconds.
POSTGRES_LIMITS = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

CONNECTIONS = 15
"""Of one engine, at once: as many as SQLAlchemy's default allows."""

OUTLIVED_SECONDS = 10.0
LOOK_SECONDS = 0.05

_ACTIVITY = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(:pids) AND pid <> pg_backend_pid()"
)


def engine_settings(url: sa.URL) -> dict[str, Any]:
    """Arguments of SQLAlchemy's engine for a server; what its URL says goes before."""
    # All of those that it may open are kept: by default it closes and opens most of them each time.
    pool = {"pool_size": CONNECTIONS, "max_overflow": 0}
    settings: dict[str, Any] = {"pool_pre_ping": True, **pool}
    if url.get_backend_name() == "postgresql" and url.get_driver_name() in ("psycopg", "psycopg2"):
        settings["use_native_hstore"] = False  # a question at each connection for a type of no use
        settings["connect_args"] = {
            name: value for name, value in POSTGRES_LIMITS.items() if name not in url.query
        }
    return settings


def backend(connection: Connection) -> int:
    """The number of the server's process behind a connection; 0 where there is none."""
    driver = connection.connection.driver_connection
    return int(getattr(getattr(driver, "info", None), "backend_pid", 0))


def outlive(connection: Connection, backends: list[int]) -> None:
    """Waits until processes whose connections were lost have ended.

    One of them may still be committing: only then is it clear what it has done. Their numbers may
    have been given to others since, so the wait has an end.

    Args:
        connection: A new one.
        backends: See :func:`backend`.
    """
    pids = [pid for pid in backends if pid]
    until = monotonic() + OUTLIVED_SECONDS
    while pids and connection.scalar(_ACTIVITY, {"pids": pids}) and monotonic() < until:
        sleep(LOOK_SECONDS)

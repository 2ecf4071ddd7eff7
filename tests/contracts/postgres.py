"""PostgreSQL servers of the tests' own: small, on a socket in a folder, and trusting everybody."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest


@dataclass(frozen=True)
class Server:
    """A server that can be stopped and started again."""

    folder: Path
    pg_ctl: str
    unprivileged: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def url(self, database: str = "postgres") -> str:
        return postgres_url(self.folder, database)

    def start(self) -> None:
        options = f"-c fsync=off -c listen_addresses= -c unix_socket_directories={self.folder}"
        self.run(self.pg_ctl, "-D", self.data, "-o", options, "-w", "-t", "240", "start")

    def stop(self) -> None:
        """Stops it as a crash would: connections are cut, what was not committed is lost."""
        self.run(self.pg_ctl, "-D", self.data, "-m", "immediate", "-t", "240", "stop")

    def run(self, *command: str) -> None:
        log = self.folder / "log"
        # To a file: the server inherits the stream, and a pipe would never end.
        with log.open("a") as output:
            done = subprocess.run(
                command, cwd=self.folder, stdout=output, stderr=output, **self.unprivileged
            )
        if done.returncode:
            _without_postgres(f"{command[0]} failed: {log.read_text()}")


@contextlib.contextmanager
def postgres_server() -> Iterator[Server]:
    """A running server, until it is over; skips the test where PostgreSQL is not installed."""
    initdb, pg_ctl = _binary("initdb"), _binary("pg_ctl")
    with tempfile.TemporaryDirectory(prefix="greenfront-postgres-", dir=_in_memory()) as name:
        server = Server(Path(name), pg_ctl)
        if os.geteuid() == 0:  # PostgreSQL refuses root
            user = _user("postgres") or _user("nobody")
            if user is None:
                _without_postgres("there is no user 'postgres' or 'nobody' to run it as")
            os.chown(name, user.pw_uid, user.pw_gid)
            server.unprivileged.update(user=user.pw_uid, group=user.pw_gid, extra_groups=[])
        (server.folder / "log").touch()
        options = ("-A", "trust", "-U", "greenfront", "-E", "UTF8", "--locale=C", "-N")
        server.run(initdb, "-D", server.data, *options)
        server.start()
        try:
            yield server
        finally:
            if Path(server.data, "postmaster.pid").exists():
                server.stop()


def postgres_url(folder: Path, database: str) -> str:
    """The URL of a database of the server in a folder."""
    return f"postgresql+psycopg://greenfront@/{database}?host={folder}"


def _binary(name: str) -> str:
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, homes)]))
    return found or _without_postgres(f"{name} is not installed")


def _in_memory() -> Path | None:
    """Where a database is copied faster than on a disk; None where there is no room."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and shutil.disk_usage(folder).free > 2**30 else None


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _without_postgres(reason: str) -> NoReturn:
    if os.environ.get("GREENFRONT_REQUIRE_POSTGRES") == "1":
        pytest.fail(f"PostgreSQL is required: {reason}")
    pytest.skip(f"no PostgreSQL: {reason}")

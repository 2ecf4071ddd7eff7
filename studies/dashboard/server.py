"""The dashboard as a server on this machine alone, refreshed while searches run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
import optuna_dashboard

from greenfront.errors import GreenfrontError, StudyError, UsageError
from greenfront.studies.analysis.report_data import report_data
from greenfront.studies.dashboard.content import Artefacts, cover
from greenfront.studies.dashboard.overlay import Overlay
from greenfront.studies.store.ledger_writer import CROSS_VALIDATION
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study, study_names

__all__ = ["Dashboard"]

HOST = "127.0.0.1"
"""Nobody else may look: the dashboard asks for no password."""

LOOK_SECONDS = 2.0
"""Between two looks at whether a study has moved."""

REST = 10
"""A refresh is followed by so many times its own length of rest: the machine is for searching."""

READING = ("GET", "HEAD", "OPTIONS")

_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

logger = logging.getLogger(__name__)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: each look of a browser would be a line."""


class Dashboard:
    """One server on one storage.

    Args:
        storage: An open database; it is read and never written to.
        port: To listen on; 0 takes a free one.

    Raises:
        UsageError: The port cannot be had.
    """

    def __init__(self, storage: Storage, port: int) -> None:
        self._storage = storage
        # It would tell of each study in memory that notes and figures are made in.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._overlay, self._artefacts = (
            Overlay(optuna.storages.get_storage(storage.optuna)),
            Artefacts(),
        )
        self._seen: dict[str, object] = {}
        self._ended = threading.Event()
        self._serving = False
        app = optuna_dashboard.wsgi(self._overlay, artifact_store=self._artefacts)
        try:
            self._server = make_server(HOST, port, _guarded(app), _Server, _Quiet)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--port: {port} cannot be listened on ({error}): name another one, or 0 for any "
                "that is free"
            ) from error

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self._server.server_port}/dashboard"

    def serve(self) -> None:
        """Serves until :meth:`close`, or an interrupt."""
        self._serving = True
        threading.Thread(target=self._refresh_always, daemon=True).start()
        self._server.serve_forever()

    def close(self) -> None:
        """Ends the server and gives its port back."""
        self._ended.set()
        if self._serving:  # else it would wait for an end that never comes
            self._server.shutdown()
        self._server.server_close()

    def refresh(self) -> None:
        """Draws the studies that have moved since the last time."""
        for name in study_names(self._storage):
            try:
                moved = _state(Study.open(self._storage, name))
                if self._seen.get(name) != moved:
                    cover(self._overlay, report_data(self._storage, name), self._artefacts)
                    self._seen[name] = moved
            except StudyError:
                # Begun from Python, damaged, or deleted a moment ago: Optuna's own views stay.
                self._seen[name] = None

    def _refresh_always(self) -> None:
        while not self._ended.is_set():
            begun = time.monotonic()
            try:
                self.refresh()
            except (GreenfrontError, OSError) as error:
                logger.warning("the dashboard could not be refreshed: %s", error)
            except Exception:  # a fault of ours must not end the refreshing
                logger.exception("the dashboard could not be refreshed")
            self._ended.wait(max(LOOK_SECONDS, REST * (time.monotonic() - begun)))


def _state(study: Study) -> tuple[object, ...]:
    """What changes when there is something new to draw."""
    crossed = study.ledger.of_phase(CROSS_VALIDATION).kwh
    return tuple(sorted(study.trials.counts().items())), study.repeats.count(), crossed


def _guarded(app: _Wsgi) -> _Wsgi:
    """Lets requests through that look, from this machine's own names."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
        # A page elsewhere may have its own name lead here; its name stands in the request.
        if host not in (HOST, "localhost"):
            return _said(start, "403 Forbidden", f"this dashboard answers to {HOST} alone")
        if environ["REQUEST_METHOD"] not in READING:
            return _said(start, "405 Method Not Allowed", "greenfront's dashboard only shows")
        return app(environ, start)

    return answer


def _said(start: Callable[..., Any], status: str, reason: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "application/json")])
    return [b'{"reason": "%s"}' % reason.encode()]

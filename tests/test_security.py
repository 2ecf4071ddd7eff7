"""What is read is never executed, and what it names stays where it belongs."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contracts.command import Command
from greenfront.objectives.paths import is_below
from greenfront.objectives.pipeline.lineage import LineageStore, Made
from greenfront.studies.dashboard import server
from greenfront.studies.export.folder import SUMS, broken_sums

ROOT = Path(__file__).parents[1]
PRODUCT = ("spaces", "objectives", "studies", "search", "src", "benchmarks", "examples")

LOADERS = {
    "pickle": {"load", "loads", "Unpickler"},
    "marshal": {"load", "loads"},
    "shelve": {"open"},
    "joblib": {"load"},
    "yaml": {"load", "load_all", "unsafe_load", "full_load"},
    "os": {"system", "popen"},
    "shutil": {"unpack_archive"},
}
"""Functions that execute, or may execute, what they read; never to be called."""

IMPORTERS = {
    "search/evaluator/child.py": "the job that the supervisor names, which is ours",
    "spaces/architectures/checkpoint.py": "a package of weights that the study file names",
    "spaces/techniques/registry.py": "our own techniques, by their files",
    "spaces/user_code.py": "functions that a study file of the user's names",
    "objectives/pipeline/stage.py": "our own stages, by their files",
    "src/greenfront/__init__.py": "our own names, when they are asked for",
}
"""Who imports by name, and what."""


def files() -> Iterator[tuple[str, Path]]:
    for folder in PRODUCT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path


def faults(source: str) -> list[str]:
    """What a piece of code does that may execute what it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        keywords = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
        if isinstance(node.func, ast.Name):
            if node.func.id in {"eval", "exec", "compile", "__import__"}:
                found.append(node.func.id)
        elif isinstance(node.func, ast.Attribute):
            name = node.func.attr
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if name in LOADERS.get(owner, ()):
                found.append(f"{owner}.{name}")
            if (owner, name) == ("torch", "load") and keywords.get("weights_only") is not True:
                found.append("torch.load without weights_only")
            arrays = owner in {"np", "numpy"} and name == "load"
            if arrays and keywords.get("allow_pickle") is not False:
                found.append("np.load without allow_pickle=False")
            if name in {"extractall", "extract"}:
                found.append(name)
        if keywords.get("shell") or keywords.get("trust_remote_code"):
            found.append("shell or trust_remote_code")
    return found


def test_nothing_that_is_read_is_executed() -> None:
    found = {name: each for name, path in files() if (each := faults(path.read_text()))}
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "pickle.load(f)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "numpy.load(f, allow_pickle=True)",
        "eval(text)",
        "exec(text)",
        "yaml.load(text)",
        "subprocess.run(text, shell=True)",
        "archive.extractall()",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_each_way_of_executing_it_would_be_seen(code: str) -> None:
    assert len(faults(code)) == 1
    assert faults("torch.load(f, weights_only=True); model.eval(); yaml.safe_load(t)") == []


def test_modules_are_imported_by_name_in_few_known_places() -> None:
    found = {
        name
        for name, path in files()
        for node in ast.walk(ast.parse(path.read_text()))
        if (
            (isinstance(node, ast.ImportFrom) and node.module == "importlib")
            and any(alias.name == "import_module" for alias in node.names)
        )
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == "importlib.import_module")
    }
    assert {name for name in found if not name.startswith("benchmarks/")} == IMPORTERS.keys()


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "..", "", "a/..", "//x", "./../x"]
)
def test_a_name_that_leads_out_of_its_folder_is_seen(name: str) -> None:
    assert not is_below(name)
    assert is_below("ab/cdef/model.onnx")


def test_checksums_name_no_file_outside_of_their_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / SUMS).write_text("0  ../secret\n0  /etc/passwd\n")
    told = broken_sums(folder)
    assert told == [
        "../secret lies outside of the folder",
        "/etc/passwd lies outside of the folder",
    ]


def test_a_manifest_names_no_file_outside_of_its_folder(tmp_path: Path) -> None:
    store = LineageStore(tmp_path)
    output = store.output("a" * 16, lambda folder: Made({}))
    assert store.holds(output.key)
    (output.folder / "about.json").write_text(
        json.dumps({"readings": {}, "files": {"../../../secret": [6, 0]}})
    )
    assert not LineageStore(tmp_path).holds(output.key)


@pytest.mark.parametrize("place", ["../secret.bin", "{}/secret.bin"])
def test_a_model_reads_no_weights_outside_of_its_folder(tmp_path: Path, place: str) -> None:
    np.arange(4, dtype=np.float32).tofile(tmp_path / "secret.bin")
    weights = TensorProto(name="w", data_type=1, dims=[4], data_location=1)
    entry = weights.external_data.add()
    entry.key, entry.value = "location", place.format(tmp_path)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [weights],
    )
    folder = tmp_path / "model"
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    told = Command(tmp_path).read("predict", "model", "secret.bin", code=2)
    assert "External data path" in told
    with pytest.raises(onnx.checker.ValidationError):
        onnx.load(folder / "model.onnx")


def test_arrays_that_hold_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.array([{}], dtype=object), y=np.array([1]))
    command = Command(tmp_path)
    command.write_study(task='kind = "arrays"\npath = "data.npz"')
    assert "pickled" in command.read("run", "study.toml", code=2)
    assert command.contents() == {"data.npz", "study.toml"}


@pytest.mark.parametrize(
    ("place", "words"),
    [("claims.json", ("verify", "model")), ("record.json", ("compare", "model", "model"))],
)
def test_json_nested_without_end_is_one_message(
    tmp_path: Path, place: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / place).write_text("[" * 100_000)
    told = Command(tmp_path).read(*words, code=2)
    assert place in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("name", ["trace.json", "study.toml", "texts.json", "texts.jsonl"])
def test_study_files_and_data_nested_without_end_are_one_message(tmp_path: Path, name: str) -> None:
    command = Command(tmp_path)
    deep = '{"a":' * 100_000
    match name.partition(".")[0]:
        case "trace":
            command.write_study(carbon='trace = "trace.json"')
        case "texts":
            command.write_study(task=f'kind = "text"\npath = "{name}"\ntarget = "mood"')
        case _:
            deep = "x = " + "[" * 100_000
    (tmp_path / name).write_text(deep)
    told = command.read("run", "study.toml", code=2)
    assert name in told
    assert told.count("\n") == 1


def test_a_lineage_nested_without_end_is_made_again(tmp_path: Path) -> None:
    store = LineageStore(tmp_path)
    output = store.output("a" * 16, lambda folder: Made({}))
    (output.folder / "about.json").write_text("[" * 100_000)
    assert LineageStore(tmp_path).find(output.key) is None


def test_servers_listen_on_this_machine_alone() -> None:
    assert server.HOST == "127.0.0.1"
    found = [name for name, path in files() if "0.0.0.0" in path.read_text()]
    assert found == []

"""One small study, exported and verified as a user does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.card import measured_on
from contracts.command import FAST, Command
from contracts.shipped import alone, predictions, table
from greenfront.search.afterwards.exporting import ON_CARD
from greenfront.studies.export.folder import broken_sums


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, evaluators: None) -> Command:
    command = Command(tmp_path_factory.mktemp("export"))
    table(command.folder)
    command.write_study(
        study='name = "t"',
        task='kind = "csv"\npath = "table.csv"\ntarget = "goal"',
        space='architectures = ["mlp"]\nbits = [32, 4]',
        training=FAST["training"],
        budget="trials = 2",
    )
    command.read("run", "study.toml")
    return command


@pytest.fixture(scope="module")
def exported(study: Command) -> dict[str, object]:
    words = ("export", "t", "--most-accurate", "-o", "out/deep", "--license", "MIT")
    told: dict[str, object] = study.read_json(*words)
    return told


def test_one_folder_with_all_that_it_takes(study: Command, exported: dict[str, object]) -> None:
    folder = study.folder / "out" / "deep"
    wanted = {"README.md", "SHA256SUMS", "candidate.json", "claims.json", "model.onnx"}
    wanted |= {"model.safetensors", "predict.py", "record.json", "requirements.txt"}
    assert wanted <= set(exported["files"])  # type: ignore[call-overload]
    assert broken_sums(folder) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == ["deep"]
    pins = (folder / "requirements.txt").read_text().split()
    assert [pin.partition("==")[0] for pin in pins] == ["numpy", "onnxruntime"]
    record, claims = (json.loads((folder / f"{n}.json").read_text()) for n in ("record", "claims"))
    assert record["model"]["test"]["value"] == claims["test"]["score"]
    assert record["test_difference"] is not None
    made, plain = record["model"]["training"]["reading"], record["model"]["plain"]["reading"]
    life = made["joules"] + record["scoring"]["predictions"] * plain["joules"]
    assert record["model"]["energy_kwh"] == pytest.approx(life / 3.6e6)
    assert plain == claims["plain_cost"]["energy"]
    card = (folder / "README.md").read_text()
    assert "license: mit\n" in card
    assert record["licence"]["identifier"] == "MIT"
    assert "What the study counts for a prediction was measured once more at the export" in card
    assert "From raw input to label predict.py takes" in card
    assert "Of when the file takes its parts as numbers, which predict.py makes of the" in card
    assert "predict.py runs it with 1 thread that does not spin while waiting" in card
    assert len(predictions(alone(folder, str(study.folder / "table.csv"), "--json"))) == 160


def test_it_is_what_it_claims_to_be(study: Command, exported: dict[str, object]) -> None:
    # Other tests run beside this one: joules are not looked at.
    told = study.read_json("verify", "out/deep", codes=(0, 1))
    broken = [c for c in told["checks"] if c["holds"] is False and "label" not in c["name"]]
    assert [c for c in broken if "session" not in c["name"]] == []
    assert told["checks"][0]["name"] == "checksums"
    assert told["spent"]["joules"] > 0


def test_of_a_study_on_a_gpu_the_folder_is_of_the_cpu(study: Command, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(study.folder, folder)
    measured_on(folder, "cuda")
    command = Command(folder)
    command.read("export", "t", "--most-accurate", "-o", "gpu")
    claims = json.loads((folder / "gpu" / "claims.json").read_text())
    assert claims["model_alone"] == claims["parts"]["model"]
    assert ON_CARD in (folder / "gpu" / "README.md").read_text()
    told = command.read("tune", "t", code=2)
    assert "'cuda' needs an ONNX Runtime with the CUDAExecutionProvider" in told


def test_what_an_export_takes_is_in_the_ledger(study: Command, exported: dict[str, object]) -> None:
    spent = exported["spent"]
    assert isinstance(spent, dict)
    told = study.read_json("ledger", "t")
    packaged_kwh = told["parts"]["package"]["kwh"]
    assert packaged_kwh >= 0.99 * spent["joules"] / 3.6e6 > 0
    # It is none of what the search has to pay back, before and after.
    shown = study.read_json("front", "t")
    assert shown["spent_kwh"] == pytest.approx(told["total"]["kwh"] - packaged_kwh)
    record = json.loads((study.folder / "out" / "deep" / "record.json").read_text())
    assert record["search"]["kwh"] == shown["spent_kwh"]
    assert "package" not in record["search"]["phases_kwh"]


def test_it_predicts_what_its_own_script_predicts(
    study: Command, exported: dict[str, object]
) -> None:
    folder = study.folder / "out" / "deep"
    wanted = alone(folder, str(study.folder / "table.csv"))
    assert study.read("predict", "out/deep", "table.csv") == wanted
    told = study.read("predict", "out/deep", "table.csv", "--json", "-o", "said.jsonl", "--meter")
    assert told.startswith("160 predictions in ")
    assert "(modelled, between " in told or "(measured, between " in told
    said = predictions((study.folder / "said.jsonl").read_text())
    assert [each["label"] for each in said] == [x.split(",")[1] for x in wanted.splitlines()[1:]]
    told = study.read("predict", "out/deep", "nowhere.csv", code=2)
    assert "nowhere.csv: this cannot be read (No such file or directory)" in told
    assert "'.' is no exported model: it has no model.onnx" in study.read(
        "predict", ".", "table.csv", code=2
    )


def test_a_flipped_byte(study: Command, exported: dict[str, object]) -> None:
    shutil.copytree(study.folder / "out" / "deep", study.folder / "flipped")
    with (study.folder / "flipped" / "model.onnx").open("r+b") as file:
        file.seek(900)
        byte = file.read(1)
        file.seek(900)
        file.write(bytes([byte[0] ^ 1]))
    told = study.read("verify", "flipped", code=1)
    assert "model.onnx is not what was exported: its SHA-256 is another" in told
    assert "is not what it claims to be" in told
    told = study.read("predict", "flipped", "table.csv", code=2)
    assert "model.onnx is not what was exported (its SHA-256 is another)" in told
    script = [sys.executable, "predict.py", str(study.folder / "table.csv")]
    done = subprocess.run(script, cwd=study.folder / "flipped", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("predict.py: ")
    assert len(done.stderr.splitlines()) == 1


def test_other_data_are_told(study: Command, exported: dict[str, object]) -> None:
    text = (study.folder / "table.csv").read_text().splitlines()
    (study.folder / "other.csv").write_text("\n".join([*text[:20], *text[30:]]) + "\n")
    told = study.read("verify", "out/deep", "--data", "other.csv", code=1)
    assert "these are other data, or another test split" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("export", "t", "-o", "out/deep"), "'out/deep' exists: give another folder with -o, or"),
        (("export", "t", "-o", ".", "--force"), "'.' exists and is no exported model, which --for"),
        (("export", "t", "-o", "x", "--trial", "9"), "has no trial 9; its trials are 0 to 1"),
        (("export", "t", "-o", "x", "--knee", "--trial", "1"), "give one of --trial, --greenest"),
        (("export", "u", "-o", "x"), "study 'u' does not exist"),
        (("export", "t", "-o", "x", "--license", "my own"), "must be one identifier of SPDX"),
        (("verify", "nowhere"), "'nowhere' is no exported model: it has no claims.json"),
    ],
    ids=range(7),
)
def test_wrong_usage(
    study: Command, exported: dict[str, object], words: tuple[str, ...], told: str
) -> None:
    before = study.contents()
    assert told in study.read(*words, code=2)
    assert study.contents() == before


def test_a_cache_that_lost_everything(
    study: Command, exported: dict[str, object], tmp_path: Path
) -> None:
    cache = study.folder / ".greenfront" / "lineage"
    cache.rename(tmp_path / "lineage")
    told = study.read("export", "t", "--trial", "0", "-o", "gone", code=1)
    assert "trial 0 of study 't' cannot be exported: neither its file nor its weights are" in told
    shutil.rmtree(cache, ignore_errors=True)
    (tmp_path / "lineage").rename(cache)
    assert not (study.folder / "gone").exists()
    assert not [path for path in study.folder.iterdir() if path.name.endswith(".draft")]

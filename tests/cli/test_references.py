"""A study with references, as a user sees it: tried first, on the front, in plan and report."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from contracts.command import Command

NAMES = ["sklearn:logistic", "sklearn:extra_trees"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Command:
    command = Command(tmp_path_factory.mktemp("references"))
    command.write_study(
        study='name = "small"',
        space='architectures = ["cnn"]\nreferences = true',
        training="epochs = 1\nfine_tune_epochs = 1",
        budget="trials = 3",
    )
    command.read("run", "study.toml")
    return command


def test_they_come_first_and_count_as_trials(study: Command) -> None:
    told = study.read_json("front", "small")
    rows = {row["trial"]: row for row in [*told["rows"], told["baseline"]]}
    families = {number: row["candidate"]["architecture"]["family"] for number, row in rows.items()}
    assert families.items() <= {0: NAMES[0], 1: NAMES[1], 2: "cnn"}.items()
    assert families[told["baseline"]["trial"]] == "cnn"
    for number, row in rows.items():
        if number < 2:
            assert row["candidate"]["training"] is None
            assert row["phases"]["making_kwh"].keys() == {"train", "export"}


def test_a_network_that_has_learnt_nothing_is_not_needed(study: Command) -> None:
    """One epoch leaves a network far behind a linear model, which costs a fraction."""
    told = study.read_json("front", "small")
    assert told["no_network_needed"] in (0, 1)
    said = " ".join(study.read("front", "small").split())
    assert said.startswith("You do not need a network here: sklearn:")
    study.read("report", "small", "-o", "report.html")
    page = (study.folder / "report.html").read_text()
    assert "You do not need a network here: sklearn:" in page


def test_a_plan_names_them(study: Command) -> None:
    told = study.read_json("plan", "study.toml")
    assert [sample["candidate"].split()[0] for sample in told["samples"][:3]] == [*NAMES, "cnn"]
    assert [sample["reference"] for sample in told["samples"][:3]] == [True, True, False]
    remarks = " ".join(told["remarks"])
    assert "references are tried first" in remarks
    assert "3 trials: 2 references, 1 set beforehand (1 untouched baseline), 0 of the" in remarks
    assert "none of 3 trials are left to the sampler" in remarks


def test_their_files_run_in_a_plain_session(study: Command) -> None:
    files = list(Path(study.folder).rglob("model.onnx"))
    assert len(files) >= 3
    for file in files:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        assert session.get_outputs()[0].shape[-1] == 10

"""The main job, small: a search over both families on real data, then everything that shows it."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from contracts.command import FAST, Command

FORBID_SOCKETS = '''
"""Forbids every connection that leaves this process's own machine-local pipes."""
import socket

def refuse(self, address):
    raise AssertionError(f"a connection to {address!r} was tried")

socket.socket.connect = refuse
socket.socket.connect_ex = refuse
'''


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A finished study of 18 trials, searched with every socket closed."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "sitecustomize.py").write_text(FORBID_SOCKETS)
    command = Command(folder)
    command.write_study(
        study='name = "small"',
        space="temperature = [1.0, 8.0]",
        training="epochs = 3\nfine_tune_epochs = 1",
        carbon='region = "FRA"\npue = 1.2',
        objectives="repeats = 3",
        budget="trials = 18",
    )
    (folder / "said").write_text(command.run("run", "study.toml", PYTHONPATH=str(folder)))
    return command


def rows_of(folder: Path) -> list[Any]:
    engine = sa.create_engine(f"sqlite:///{folder}/greenfront.db")
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM greenfront_trials ORDER BY number"))
        found = list(rows.mappings())
    engine.dispose()
    return found


def medians(folder: Path) -> dict[int, list[float]]:
    """Objectives of each trial by hand, from all measurements of the graph of its file."""
    engine = sa.create_engine(f"sqlite:///{folder}/greenfront.db")
    with engine.connect() as connection:
        taken = connection.execute(sa.text("SELECT key, detail FROM greenfront_repeats")).all()
    engine.dispose()
    rows, found = rows_of(folder), {}
    measured: dict[str, dict[str, float]] = {}
    for row in rows:
        first = json.loads(row["detail"])
        more = [json.loads(detail) for key, detail in taken if key == row["key"]]
        for reading in (*first["measured"], *more):
            graph = measured.setdefault(first["graph"], {})
            graph[reading["id"]] = reading["inference"]["joules"]
    for row in rows:
        first = json.loads(row["detail"])
        joules = statistics.median(measured[first["graph"]].values())
        making = sum(phase["joules"] for phase in first["phases"].values())
        joules += first["preprocessing"]["joules"]
        kwh = (making + 1e6 * joules) / 3.6e6
        found[row["number"]] = [first["score"], kwh, kwh * 1.2 * 56.039 / 1000]
    return found


def test_all_techniques_and_families_are_tried(study: Command) -> None:
    choices = [json.loads(row["choice"]) for row in rows_of(study.folder)]
    assert len(choices) == 18
    assert {choice["architecture"]["family"] for choice in choices} == {"mlp", "cnn", "lenet"}
    assert {choice["precision"]["bits"] for choice in choices} == {32, 16, 8}
    assert any(choice["pruning"]["ratio"] > 0 for choice in choices)
    assert any(choice["distillation"] for choice in choices)


def test_the_screen_without_a_terminal_is_plain_lines(study: Command) -> None:
    said = (study.folder / "said").read_text()
    assert said.count("/prediction  ") == 18
    assert "18/18 done" in said
    assert "hypervolume" in said
    assert "mg CO₂ spent" in said or "µg CO₂ spent" in said
    assert "memory at most" in said
    assert "\x1b" not in said


def test_front_json_is_the_set_that_an_independent_computation_finds(study: Command) -> None:
    found = study.json("front", "small")
    assert {"study", "objectives", "rank_by", "floor", "rows"} <= set(found)
    assert found["objectives"] == ["accuracy", "energy_kwh", "co2_kg"]
    assert found["rank_by"] == "green_score"
    assert (found["max_drop"], found["floor"]) == (0.01, None)
    values = medians(study.folder)
    numbers = list(values)
    losses = np.array([values[number] for number in numbers]) * [-1, 1, 1]
    keep = moocore.is_nondominated(losses, keep_weakly=True)
    assert {row["trial"] for row in found["rows"]} == {
        number for number, kept in zip(numbers, keep, strict=True) if kept
    }
    assert [row["rank"] for row in found["rows"]] == list(range(1, len(found["rows"]) + 1))
    best = max(vector[0] for vector in values.values())
    for row in found["rows"]:
        assert set(row) >= {
            "rank",
            "trial",
            "accuracy",
            "energy_kwh",
            "co2_kg",
            "green_score",
            "eligible",
            "front_probability",
            "candidate",
            "phases",
        }
        shown = [row["accuracy"], row["energy_kwh"], row["co2_kg"]]
        assert shown == pytest.approx(values[row["trial"]])
        assert row["green_score"] == pytest.approx(100 * row["accuracy"] / row["co2_kg"])
        assert row["eligible"] == (row["accuracy"] >= best - 0.01 - 1e-9)
        phases = row["phases"]
        assert row["energy_kwh"] == pytest.approx(
            phases["training_kwh"]
            + 1e6 * (phases["inference_joules"] + phases["preprocessing_joules"]) / 3.6e6
        )
        # Pixels are standardised, once measured and the same for all.
        assert phases["preprocessing_joules"] == found["rows"][0]["phases"]["preprocessing_joules"]
        assert phases["preprocessing_joules"] > 0
        # France by CodeCarbon's table, times the PUE.
        assert row["co2_kg"] == pytest.approx(row["energy_kwh"] * 1.2 * 56.039 / 1000)
    rows = {row["trial"]: row for row in found["rows"]}
    assert rows[found["most_accurate"]]["accuracy"] == best
    assert found["greenest"] == found["rows"][0]["trial"]
    assert found["knee"] is None or found["knee"] in rows
    eligible = [row["eligible"] for row in found["rows"]]
    assert eligible == sorted(eligible, reverse=True)
    scores = [row["green_score"] for row in found["rows"] if row["eligible"]]
    assert scores == sorted(scores, reverse=True)


def test_the_ledger_adds_up_and_holds_every_phase(study: Command) -> None:
    total = study.read_json("ledger", "small")["total"]
    for part in ("phase", "state", "trial", "kind", "component", "run"):
        found = study.read_json("ledger", "small", "--by", part)
        assert sum(p["kwh"] for p in found["parts"].values()) == pytest.approx(total["kwh"])
        assert sum(p["co2_kg"] for p in found["parts"].values()) == pytest.approx(total["co2_kg"])
    assert total["co2_kg"] == pytest.approx(total["kwh"] * 1.2 * 56.039 / 1000)
    assert total["low_kwh"] < total["kwh"] < total["high_kwh"]
    assert total["unmetered"] == 0
    phases = study.read_json("ledger", "small")["parts"]
    # Not always "inference": what sizing has told precisely enough is not measured again.
    wanted = {"train", "size", "prune", "fine-tune", "export", "quantize", "evaluate"}
    assert wanted | {"search", "overhead", "data"} <= set(phases)
    assert "train" in study.read("ledger", "small")


def test_a_teacher_is_trained_once_and_shared_parents_too(study: Command) -> None:
    trained: dict[str, int] = {}
    engine = sa.create_engine(f"sqlite:///{study.folder}/greenfront.db")
    with engine.connect() as connection:
        for number, phase in connection.execute(
            sa.text(
                "SELECT DISTINCT number, phase FROM greenfront_ledger "
                "WHERE phase IN ('train', 'teacher')"
            )
        ):
            trained[number] = trained.get(number, 0) + (phase == "train")
    engine.dispose()
    rows = rows_of(study.folder)
    keys = set()
    for row in rows:
        choice = json.loads(row["choice"])
        keys.add(json.dumps([choice["architecture"], choice["training"], choice["distillation"]]))
    assert sum(trained.values()) == len(keys) < len(rows)
    for row in rows:
        # Whoever paid for it: making the model alone includes its whole chain.
        phases = json.loads(row["detail"])["phases"]
        assert phases["train"]["joules"] > 0
        assert ("teacher" in phases) == bool(json.loads(row["choice"])["distillation"])


def test_artefacts_are_there_and_as_small_as_claimed(study: Command) -> None:
    for row in rows_of(study.folder):
        detail = json.loads(row["detail"])
        path = study.folder / ".greenfront" / "lineage" / detail["artefact"]
        assert path.stat().st_size == detail["artefact_bytes"]


def test_tables_for_people(study: Command) -> None:
    said = study.read("front", "small")
    assert "Pareto front of small" in said
    assert "modelled" in said or "measured" in said
    assert "base" in said
    assert "small" in study.read("studies")
    listed = study.read_json("studies")["studies"]
    assert [entry["name"] for entry in listed] == ["small"]
    assert listed[0]["finished"] == listed[0]["trials"] == 18


def test_report_is_one_file(study: Command) -> None:
    found = study.read_json("report", "small", "-o", "report.html")
    page = study.folder / found["report"]
    assert page.stat().st_size == found["bytes"] > 1_000_000
    assert "small" in page.read_text()


def test_plan_forecasts_and_writes_nothing(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.write_study(
        budget="trials = 20\nkwh = 1e-9", limits="artefact_bytes = 10", study='name = "p"'
    )
    found = command.read_json("plan", "study.toml")
    assert command.contents() == {"study.toml"}
    assert found["trials"] == 20
    assert 0 < found["low_kwh"] < found["kwh"] < found["high_kwh"]
    assert found["co2_kg"] == pytest.approx(found["kwh"] * 0.475)
    assert found["minutes"] > 0
    assert sum(sample["baseline"] for sample in found["samples"]) == 3
    remarks = " ".join(found["remarks"])
    assert "energy budget" in remarks
    assert "artefact_bytes 10 B: met by 0 of" in remarks
    assert "constant multiple" in remarks


class TestOwnData:
    """Data that no preset knows, with nothing but a study file."""

    @pytest.fixture
    def command(self, tmp_path: Path) -> Command:
        return Command(tmp_path)

    @staticmethod
    def search(command: Command, task: str, trials: int = 4) -> list[Any]:
        command.write_study(
            task=task,
            budget=f"trials = {trials}",
            space="temperature = 3.0",
            training=FAST["training"],
        )
        found = command.read_json("run", "study.toml")
        assert f"all {trials} trials are finished" in found["reason"]
        assert found["front"]["rows"]
        rows = rows_of(command.folder)
        assert {row["state"] for row in rows} <= {"complete", "stopped"}
        return rows

    def test_a_table(self, command: Command) -> None:
        rng = np.random.default_rng(0)
        lines = ["length,colour,note,species"]
        for index in range(120):
            kind = index % 3
            colour = ["red", "green", "blue"][(kind + int(rng.random() < 0.1)) % 3]
            lines.append(f"{kind + rng.normal(0, 0.3):.3f},{colour},row {index},kind {kind}")
        (command.folder / "flowers.csv").write_text("\n".join(lines) + "\n")
        rows = self.search(
            command,
            'kind = "csv"\npath = "flowers.csv"\ntarget = "species"\ndrop_columns = ["note"]',
        )
        assert {json.loads(row["choice"])["architecture"]["family"] for row in rows} == {
            "mlp",
            "tabular",
        }

    def test_a_folder_of_images(self, command: Command) -> None:
        rng = np.random.default_rng(0)
        for label, shade in (("dark", 60), ("light", 180)):
            folder = command.folder / "pictures" / label
            folder.mkdir(parents=True)
            for index in range(30):
                pixels = np.clip(rng.normal(shade, 40, (12, 12, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
        rows = self.search(command, 'kind = "images"\npath = "pictures"')
        assert {json.loads(row["choice"])["architecture"]["family"] for row in rows} == {
            "mlp",
            "cnn",
            "lenet",
        }

    def test_arrays(self, command: Command) -> None:
        rng = np.random.default_rng(0)
        labels = np.arange(90) % 3
        inputs = rng.normal(labels[:, None, None], 0.5, (90, 10, 10)).astype(np.float32)
        np.savez(command.folder / "data.npz", inputs=inputs, labels=labels)
        self.search(command, 'kind = "arrays"\npath = "data.npz"')

    def test_a_function(self, command: Command) -> None:
        (command.folder / "my_data.py").write_text(
            "import numpy as np\n"
            "def load():\n"
            "    labels = np.arange(80) % 2\n"
            "    inputs = np.random.default_rng(0).normal(labels[:, None], 0.5, (80, 6))\n"
            "    return inputs, labels\n"
        )
        self.search(command, 'kind = "my_data:load"')

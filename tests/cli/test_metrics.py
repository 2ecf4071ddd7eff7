"""Two small studies from begin to end: a rare class judged by ROC AUC, and a number by its RMSE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import sklearn.metrics as sk

from contracts.command import Command
from greenfront.objectives.codec import from_json
from greenfront.objectives.pipeline.answers import load_answers
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import NetworkTrial

RARE = 0.07


def table(folder: Path, name: str, header: str, rows: list[str]) -> None:
    (folder / name).write_text("\n".join([header, *rows]) + "\n")


def trials_of(study: Command, name: str) -> tuple[list[NetworkTrial], StudyFacts]:
    storage = Storage(f"sqlite:///{study.folder}/greenfront.db", create=False)
    opened = Study.open(storage, name)
    trials, facts = opened.trials.all(states=("complete",)), from_json(StudyFacts, opened.facts)
    storage.close()
    return trials, facts


def answers_of(study: Command, trial: NetworkTrial) -> tuple[np.ndarray, np.ndarray, Path]:
    assert trial.outcome is not None
    file = study.folder / ".greenfront" / "lineage" / trial.outcome.artefact
    kept = load_answers(file.parent / "answers.npz")
    assert kept is not None
    return *kept, file


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """700 rows, of which 7 % are fraud."""
    command = Command(tmp_path_factory.mktemp("rare"))
    random = np.random.default_rng(0)
    inputs = random.normal(size=(700, 4))
    sums = inputs[:, 0] + inputs[:, 1] + 0.5 * random.normal(size=700)
    names = np.where(sums > np.quantile(sums, 1 - RARE), "fraud", "fine")
    lines = [",".join([*map(str, x.round(4)), y]) for x, y in zip(inputs, names, strict=True)]
    table(command.folder, "rare.csv", "a,b,c,d,kind", lines)
    command.write_study(
        study='name = "rare"',
        task='kind = "csv"\npath = "rare.csv"\ntarget = "kind"',
        space='architectures = ["mlp"]\nbits = [32, 8]',
        training='epochs = 4\nfine_tune_epochs = 1\nclass_weights = "balanced"',
        objectives='metric = "roc_auc"\nrepeats = 2',
        budget="trials = 4",
    )
    (command.folder / "said").write_text(command.read("run", "study.toml"))
    return command


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """200 rows with a number around 1,000."""
    command = Command(tmp_path_factory.mktemp("numbers"))
    random = np.random.default_rng(0)
    inputs = random.normal(size=(200, 3))
    doses = 1000 + 40 * inputs[:, 0] - 20 * inputs[:, 1] + 5 * random.normal(size=200)
    lines = [",".join(map(str, [*x.round(4), y])) for x, y in zip(inputs, doses, strict=True)]
    table(command.folder, "doses.csv", "a,b,c,dose", lines)
    command.write_study(
        study='name = "doses"',
        task='kind = "csv"\npath = "doses.csv"\ntarget = "dose"',
        space='architectures = ["mlp"]\nbits = [32, 8]\ntemperature = 4.0\npruning = 0.3',
        training="epochs = 20\nfine_tune_epochs = 4",
        objectives='metric = "rmse"\nrepeats = 2',
        budget="trials = 5",
    )
    (command.folder / "said").write_text(command.read("run", "study.toml"))
    return command


def test_a_rare_class_ends_with_a_best_model_and_its_threshold(rare: Command) -> None:
    said = (rare.folder / "said").read_text()
    shown = rare.read("front", "rare")
    for text in (said, shown):
        assert "decides for 'fraud' from a probability of" in text
        assert "tuned on validation for balanced accuracy" in " ".join(text.split())
    assert "ROC AUC ↑" in shown
    assert "Threshold" in shown
    told: dict[str, Any] = rare.read_json("front", "rare")
    best = next(row for row in told["rows"] if row["trial"] == told["greenest"])
    assert told["metric"]["name"] == best["metric"] == "roc_auc"
    assert best["eligible"]
    assert best["score"] > 0.7
    assert 0 < best["threshold"] < 1
    assert "accuracy" not in best


def test_its_scores_follow_from_the_answers_beside_the_files(rare: Command) -> None:
    trials, facts = trials_of(rare, "rare")
    assert facts.task.class_names == ("fine", "fraud")
    for trial in trials:
        answers, labels, file = answers_of(rare, trial)
        assert trial.outcome is not None
        odds = answers[:, 1] - answers[:, 0]
        assert trial.outcome.score == pytest.approx(sk.roc_auc_score(labels, odds))
        decisions = trial.outcome.decisions
        assert decisions is not None
        assert decisions.threshold is not None
        given = (1 / (1 + np.exp(-odds.astype(np.float64))) >= decisions.threshold).astype(int)
        confusion = sk.confusion_matrix(labels, given)
        np.testing.assert_array_equal(np.array(decisions.confusion), confusion)
        assert file.is_file()


def test_errors_are_minimised_and_in_the_unit_of_the_target(numbers: Command) -> None:
    trials, facts = trials_of(numbers, "doses")
    scale = facts.task.target
    assert scale is not None
    assert scale.mean == pytest.approx(1000, abs=20)
    scores = {trial.number: trial.outcome.score for trial in trials if trial.outcome is not None}
    assert min(scores.values()) < 0.5 * scale.constant_rmse
    told: dict[str, Any] = numbers.read_json("front", "doses")
    assert told["metric"]["direction"] == "minimize"
    assert told["objectives"][0] == "rmse"
    assert scores[told["most_accurate"]] == min(scores.values())
    assert "RMSE ↓" in numbers.read("front", "doses")
    for trial in trials:
        answers, labels, _ = answers_of(numbers, trial)
        assert trial.outcome is not None
        error = sk.root_mean_squared_error(labels, answers[:, 0])
        assert trial.outcome.score == pytest.approx(error)
        assert trial.outcome.relative_error is not None
        bits = trial.candidate.precision.bits
        assert trial.outcome.relative_error < (1e-3 if bits == 32 else 0.5)
        assert trial.outcome.agreement is None


def test_the_exported_file_answers_in_the_unit_of_the_target(numbers: Command) -> None:
    trials, _ = trials_of(numbers, "doses")
    trial = next(trial for trial in trials if trial.candidate.precision.bits == 32)
    _, labels, file = answers_of(numbers, trial)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3), np.float32)})
    assert given.shape == (1, 1)
    assert abs(float(given[0, 0]) - labels.mean()) < 3 * labels.std()


def test_students_learn_numbers_from_a_teacher(numbers: Command) -> None:
    trials, _ = trials_of(numbers, "doses")
    taught = [trial for trial in trials if trial.candidate.distillation is not None]
    assert taught
    assert {trial.candidate.distillation.temperature for trial in taught} == {1.0}


@pytest.mark.parametrize("name", ["rare", "doses"])
def test_the_report_tells_the_metric(
    name: str, rare: Command, numbers: Command, request: pytest.FixtureRequest
) -> None:
    study = rare if name == "rare" else numbers
    study.read("report", name, "-o", "report.html")
    page = (study.folder / "report.html").read_text()
    title = "ROC AUC" if name == "rare" else "RMSE"
    assert f"{title} over energy" in page
    assert "Accuracy" not in page.split("<script")[0]
    wanted = "decides for 'fraud', the positive class" if name == "rare" else "in units of 'dose'"
    assert wanted.replace("'", "&#x27;") in page


def test_a_metric_that_does_not_fit_is_refused_before_anything_is_written(rare: Command) -> None:
    text = (rare.folder / "study.toml").read_text().replace('"roc_auc"', '"rmse"')
    (rare.folder / "wrong.toml").write_text(text.replace('name = "rare"', 'name = "wrong"'))
    said = rare.read("run", "wrong.toml", code=2)
    assert "metric 'rmse' does not fit task 'rare'" in " ".join(said.split())
    assert "wrong" not in rare.read("studies")

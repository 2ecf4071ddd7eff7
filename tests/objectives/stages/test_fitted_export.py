"""The files of fitted models: they answer as scikit-learn does, to 1e-5, in one plain session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from contracts.fitted import CASES, fitted, numbers
from greenfront.errors import TrialFailed
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, OUTPUT
from greenfront.objectives.stages.fit import fit_estimator, fitted_parity, iterations, rows
from greenfront.objectives.stages.fitted_export import fitted_to_onnx
from greenfront.objectives.stages.reality import TREES
from greenfront.objectives.stages.trees import (
    MOST_TREES,
    Tree,
    single_precision,
    trees_of_forest,
)
from greenfront.objectives.tasks.task import Labelled
from greenfront.spaces.architectures.estimator import Target
from greenfront.spaces.architectures.sklearn import ExtraTrees, HistGradientBoosting


def answers(path: Path, inputs: np.ndarray) -> np.ndarray:
    (found,) = open_artefact(path, threads=1).run([OUTPUT], {INPUT: inputs})
    return np.asarray(found)


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_the_file_answers_as_the_model_does(name: str, classes: int, tmp_path: Path) -> None:
    model, examples, shape = fitted(name, classes)
    path = tmp_path / "model.onnx"
    size = fitted_to_onnx(model, shape, classes or 1, path)
    given = answers(path, examples.inputs)
    assert given.dtype == np.float32
    assert given.shape == (len(examples), classes or 1)
    if classes:
        probabilities = model.predict_proba(rows(examples.inputs))
        assert np.abs(softmax(given, axis=-1) - probabilities).max() < 1e-5
        assert (given.argmax(-1) == model.predict(rows(examples.inputs))).all()
        right = float(model.score(rows(examples.inputs), examples.labels))
        assert right > 1.2 / classes  # or there was nothing to compare
        assert (given.argmax(-1) == examples.labels).mean() == pytest.approx(right)
    else:
        wanted = np.ravel(model.predict(rows(examples.inputs)))
        assert np.abs(given[:, 0] - wanted).max() < 1e-5
    likeness = fitted_parity(model, open_artefact(path, 1), examples.inputs)
    assert likeness.max_error < 1e-5
    assert likeness.agreement == (1 if classes else None)
    assert size.parameters > 0
    assert size.flops > 0
    assert iterations(model) >= 1


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_the_batch_does_not_matter(name: str, classes: int, tmp_path: Path) -> None:
    model, examples, shape = fitted(name, classes)
    fitted_to_onnx(model, shape, classes or 1, tmp_path / "model.onnx")
    inputs = examples.inputs[:5]
    alone = [answers(tmp_path / "model.onnx", inputs[i : i + 1]) for i in range(5)]
    together = answers(tmp_path / "model.onnx", inputs)
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-5)


def test_images_are_flattened_in_the_file(tmp_path: Path) -> None:
    model, examples, _ = fitted("sklearn:logistic", 3, (2, 3, 4))
    fitted_to_onnx(model, (2, 3, 4), 3, tmp_path / "model.onnx")
    given = softmax(answers(tmp_path / "model.onnx", examples.inputs), axis=-1)
    assert np.abs(given - model.predict_proba(rows(examples.inputs))).max() < 1e-5


def test_a_text_without_a_known_word_gets_an_answer(tmp_path: Path) -> None:
    model, examples, _ = fitted("sklearn:tfidf_logistic", 3)
    fitted_to_onnx(model, (), 3, tmp_path / "model.onnx")
    nothing = np.zeros((1, examples.inputs.shape[1]), dtype=np.int64)
    given = softmax(answers(tmp_path / "model.onnx", nothing), axis=-1)
    np.testing.assert_allclose(given, model.predict_proba(nothing), atol=1e-6)


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_it_runs_in_a_plain_session_and_holds_nothing_but_its_graph(
    name: str, classes: int, tmp_path: Path
) -> None:
    model, examples, shape = fitted(name, classes)
    path = tmp_path / "model.onnx"
    fitted_to_onnx(model, shape, classes or 1, path)
    onnx.checker.check_model(path)
    assert {each.domain for each in onnx.load(path).opset_import} == {"", "ai.onnx.ml"}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: examples.inputs[:2]})
    np.testing.assert_allclose(found, answers(path, examples.inputs[:2]), atol=1e-6)
    assert [each.name for each in session.get_outputs()] == [OUTPUT]


LARGEST = 2.0**100


@given(
    threshold=st.floats(-LARGEST, LARGEST, allow_subnormal=False),
    number=st.floats(-LARGEST, LARGEST, width=32, allow_subnormal=False),
    near=st.booleans(),
)
def test_each_number_goes_the_way_that_it_went_before(
    threshold: float, number: float, near: bool
) -> None:
    if near:  # where rounding matters
        threshold = float(np.nextafter(np.float64(np.float32(number)), threshold))
    rounded = single_precision(np.array([threshold]))[0]
    assert rounded.dtype == np.float32
    assert (np.float32(number) <= rounded) == (float(np.float32(number)) <= threshold)


def test_the_depth_of_a_tree_is_that_of_scikit_learn() -> None:
    model, _, _ = fitted("sklearn:extra_trees", 3)
    for tree, member in zip(trees_of_forest(model), model.estimators_, strict=True):
        assert tree.depth == member.get_depth()


def test_a_tree_of_one_leaf_has_no_depth() -> None:
    nothing = np.zeros(1, dtype=np.int64)
    leaf = Tree(
        nothing, nothing.astype(np.float32), nothing, nothing, np.ones(1, bool), np.ones((1, 2))
    )
    assert leaf.depth == 0


def test_a_linear_model_is_one_matrix_product(tmp_path: Path) -> None:
    model, _, _ = fitted("sklearn:logistic", 3)
    size = fitted_to_onnx(model, (6,), 3, tmp_path / "model.onnx")
    assert (size.parameters, size.flops) == (18, 36)
    assert [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node] == ["Gemm"]


def test_few_trees_are_one_operator(tmp_path: Path) -> None:
    model, _, _ = fitted("sklearn:hist_gradient_boosting", 3)
    size = fitted_to_onnx(model, (6,), 3, tmp_path / "model.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert kinds == ["TreeEnsembleRegressor"]
    nodes = sum(len(tree.nodes) for turn in model._predictors for tree in turn)
    assert size.parameters == nodes  # a threshold a branch, a number a leaf


def forest(count: int, classes: int) -> tuple[Any, np.ndarray]:
    """Of so many trees, and examples that it has not seen."""
    family, few = ExtraTrees(), numbers(200, classes, (6,), 0)
    target: Target = "classes" if classes else "numbers"
    model = family.estimator({**family.baseline(), "trees": count}, target, 3)
    fit_estimator(model, few, None, classes=classes or None, threads=1)
    return model, numbers(150, classes, (6,), 1).inputs


@pytest.mark.parametrize(("count", "operators"), [(75, 1), (80, 2), (150, 2), (200, 3)])
@pytest.mark.parametrize("classes", [0, 3])
def test_many_trees_are_several_operators_and_their_sum(
    count: int, operators: int, classes: int, tmp_path: Path
) -> None:
    model, inputs = forest(count, classes)
    fitted_to_onnx(model, (6,), classes or 1, tmp_path / "model.onnx")
    nodes = [n for n in onnx.load(tmp_path / "model.onnx").graph.node if n.op_type in TREES]
    trees = [len(set(trees_of(node))) for node in nodes]
    assert (len(trees), sum(trees)) == (operators, count)
    assert max(trees) <= min(MOST_TREES, min(trees) + 1)
    likeness = fitted_parity(model, open_artefact(tmp_path / "model.onnx", 1), inputs)
    assert likeness.max_error < 1e-5


def trees_of(node: onnx.NodeProto) -> list[int]:
    return next(list(each.ints) for each in node.attribute if each.name == "nodes_treeids")


def test_boosting_begins_once(tmp_path: Path) -> None:
    """What boosting begins with is added by one of the operators alone."""
    family, few = HistGradientBoosting(), numbers(200, 3, (6,), 0)
    model = family.estimator({**family.baseline(), "rounds": 60}, "classes", 0)
    model.set_params(early_stopping=False).fit(few.inputs, few.labels)
    fitted_to_onnx(model, (6,), 3, tmp_path / "model.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert kinds == ["TreeEnsembleRegressor"] * 3 + ["Sum"]
    assert np.abs(model._baseline_prediction).max() > 0
    given = answers(tmp_path / "model.onnx", few.inputs)
    assert np.abs(given - model.decision_function(few.inputs)).max() < 1e-5


def test_no_session_shares_out_the_trees_of_one_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads add up trees in another order, which shows in the last bits of the sums."""
    model, inputs = forest(200, 3)

    def alike() -> bool:
        fitted_to_onnx(model, (6,), 3, tmp_path / "model.onnx")
        one, four = (open_artefact(tmp_path / "model.onnx", threads) for threads in (1, 4))
        feeds = [{INPUT: inputs[i : i + 1]} for i in range(len(inputs))]
        return all(
            np.array_equal(one.run(None, feed)[0], four.run(None, feed)[0]) for feed in feeds
        )

    assert alike()
    monkeypatch.setattr("greenfront.objectives.stages.trees.MOST_TREES", 200)
    assert not alike()


def test_boosting_that_finds_nothing_to_split_still_answers(tmp_path: Path) -> None:
    family, few = HistGradientBoosting(), numbers(12, 2, (3,), 0)
    model = family.estimator(family.baseline(), "classes", 0)
    fit_estimator(model, few, few, classes=2, threads=1)
    fitted_to_onnx(model, (3,), 2, tmp_path / "model.onnx")
    likeness = fitted_parity(model, open_artefact(tmp_path / "model.onnx", 1), few.inputs)
    assert likeness.max_error < 1e-6


def test_what_boosting_begins_with_is_added_to_outputs_that_no_tree_changes(
    tmp_path: Path,
) -> None:
    family, few = HistGradientBoosting(), numbers(12, 3, (3,), 0)
    few = Labelled(few.inputs, np.array([0] * 6 + [1] * 4 + [2] * 2))
    model = family.estimator(family.baseline(), "classes", 0)
    model.set_params(early_stopping=False).fit(few.inputs, few.labels)
    fitted_to_onnx(model, (3,), 3, tmp_path / "model.onnx")
    given = softmax(answers(tmp_path / "model.onnx", few.inputs), axis=-1)
    np.testing.assert_allclose(given, np.tile([6 / 12, 4 / 12, 2 / 12], (12, 1)), atol=1e-6)


def test_boosting_stops_where_more_rounds_bring_nothing() -> None:
    rng = np.random.default_rng(0)
    noise = Labelled(rng.standard_normal((80, 4)).astype(np.float32), rng.integers(0, 2, 80))
    family = HistGradientBoosting()
    model = family.estimator({**family.baseline(), "rounds": 300}, "classes", 0)
    fit_estimator(model, noise, noise_like(rng), classes=2, threads=1)
    assert iterations(model) < 60


def noise_like(rng: np.random.Generator) -> Labelled:
    return Labelled(rng.standard_normal((80, 4)).astype(np.float32), rng.integers(0, 2, 80))


def test_a_class_without_a_training_example_is_told() -> None:
    model: Any = object()
    train = Labelled(np.zeros((4, 2), np.float32), np.array([0, 0, 2, 2]))
    with pytest.raises(TrialFailed, match="2 of 3 have one"):
        fit_estimator(model, train, None, classes=3, threads=1)

"""Families of fitted models: what they take, what may be chosen of them, what they are made of."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from greenfront.errors import UsageError
from greenfront.spaces.architectures.registry import architecture, estimator, is_fitted, network
from greenfront.spaces.architectures.sklearn import ESTIMATORS, ngrams, references
from greenfront.spaces.space import PlainChoice, SearchSpace

NAMES = tuple(ESTIMATORS)


@pytest.mark.parametrize("name", NAMES)
def test_the_baseline_is_a_whole_point_and_a_smaller_one_is_on_offer(name: str) -> None:
    family = estimator(name)
    space = SearchSpace(family.knobs(), decode=PlainChoice)
    baseline = dict(family.baseline())
    assert space.complete(baseline, np.random.default_rng(0)) == baseline
    smaller = {**baseline, **family.smaller()}
    assert space.complete(smaller, np.random.default_rng(0)) == smaller


@pytest.mark.parametrize("name", NAMES)
def test_every_sampled_shape_makes_an_estimator(name: str) -> None:
    family = estimator(name)
    space = SearchSpace(family.knobs(), decode=PlainChoice)
    for target in family.targets:
        for seed in range(5):
            shape = space.sample(np.random.default_rng(seed))
            assert hasattr(family.estimator(shape, target, seed), "fit")


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_for_some_and_numbers_for_the_others(name: str) -> None:
    for_texts = "tfidf" in name
    for shape, taken in (((), for_texts), ((4,), not for_texts), ((1, 8, 8), not for_texts)):
        objection = estimator(name).objection(shape)
        assert (objection is None) == taken
        assert taken or str(objection).startswith("it needs")


@pytest.mark.parametrize(
    ("shape", "target", "names"),
    [
        ((13,), "classes", "logistic hist_gradient_boosting extra_trees"),
        ((13,), "numbers", "ridge hist_gradient_boosting extra_trees"),
        ((1, 8, 8), "classes", "logistic extra_trees"),
        ((3, 32, 32), "classes", "logistic"),
        ((3, 224, 224), "classes", ""),
        ((), "classes", "tfidf_logistic"),
        ((), "numbers", "tfidf_ridge"),
    ],
)
def test_references_suit_the_data(shape: tuple[int, ...], target: str, names: str) -> None:
    wanted = tuple(f"sklearn:{name}" for name in names.split())
    assert references(shape, target) == wanted  # type: ignore[arg-type]


def test_the_registry_tells_them_from_networks() -> None:
    assert architecture("sklearn:ridge").name == "sklearn:ridge"
    assert is_fitted("sklearn:ridge")
    assert not is_fitted("mlp")
    with pytest.raises(TypeError, match="no family of networks"):
        network("sklearn:ridge")
    with pytest.raises(TypeError, match="no family of fitted models"):
        estimator("mlp")
    with pytest.raises(UsageError, match=r"'sklearn:rigde' is unknown \(did you mean 'sklearn:r"):
        architecture("sklearn:rigde")


def test_pairs_do_not_reach_over_what_stands_for_no_word() -> None:
    assert ngrams([2, 7, 8, 1, 9, 3, 0]) == [(7,), (8,), (9,), (7, 8)]


def test_a_search_names_them_without_importing_scikit_learn() -> None:
    code = (
        "import sys; from greenfront.spaces.architectures.sklearn import *;"
        "references((4,), 'classes'); assert 'sklearn' not in sys.modules;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

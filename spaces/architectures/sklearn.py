"""Families of scikit-learn: linear models, trees, and TF-IDF of texts."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from greenfront.spaces.architectures.estimator import Estimator, Target
from greenfront.spaces.architectures.token_family import TokenFamily
from greenfront.spaces.architectures.tokens import SPECIAL
from greenfront.spaces.knobs import Categorical, Integer, Knob, Real, Value

__all__ = ["ESTIMATORS", "ngrams", "references"]

MOST_ITERATIONS = 1000
"""Of a linear fit that does not settle."""

MOST_INPUTS = 4096
"""Numbers an example up to which a study is compared with what it does not name."""


class _OfNumbers(Estimator):
    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes numbers of any shape: they are flattened."""
        return None if input_shape else "it needs numbers, not texts"


class Logistic(_OfNumbers):
    """Logistic regression with an L2 penalty, of the numbers as they are: of images, the pixels."""

    name = "sklearn:logistic"
    targets = ("classes",)

    def knobs(self) -> tuple[Knob, ...]:
        """Inverse strength of the penalty."""
        return (Real("c", 1e-3, 100.0, log=True),)

    def baseline(self) -> Mapping[str, Value]:
        """That of scikit-learn."""
        return {"c": 1.0}

    def estimator(self, shape: Mapping[str, Value], target: Target, seed: int) -> Any:
        """See :meth:`Estimator.estimator`."""
        del target, seed  # there is nothing random
        return _logistic(float(shape["c"]))


class Ridge(_OfNumbers):
    """Linear regression with an L2 penalty."""

    name = "sklearn:ridge"
    targets = ("numbers",)

    def knobs(self) -> tuple[Knob, ...]:
        """Strength of the penalty."""
        return (Real("alpha", 1e-3, 1000.0, log=True),)

    def baseline(self) -> Mapping[str, Value]:
        """That of scikit-learn."""
        return {"alpha": 1.0}

    def estimator(self, shape: Mapping[str, Value], target: Target, seed: int) -> Any:
        """See :meth:`Estimator.estimator`."""
        from sklearn.linear_model import Ridge as Fitted

        del target, seed
        return Fitted(alpha=float(shape["alpha"]))


class HistGradientBoosting(_OfNumbers):
    """Boosted trees over binned features, until the validation loss no longer falls."""

    name = "sklearn:hist_gradient_boosting"
    stops_early = True
    most_pixels = 0
    of_trees = True
    on_card = False

    def knobs(self) -> tuple[Knob, ...]:
        """Rounds at most, their learning rate, and leaves of a tree at most."""
        return (
            Integer("rounds", 25, 300, step=25),
            Real("rate", 0.02, 0.3, log=True),
            Categorical("leaves", (7, 15, 31, 63)),
        )

    def baseline(self) -> Mapping[str, Value]:
        """That of scikit-learn."""
        return {"rounds": 100, "rate": 0.1, "leaves": 31}

    def smaller(self) -> Mapping[str, Value]:
        """Half of the leaves."""
        return {"leaves": 15}

    def estimator(self, shape: Mapping[str, Value], target: Target, seed: int) -> Any:
        """See :meth:`Estimator.estimator`."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        of = (
            HistGradientBoostingClassifier if target == "classes" else HistGradientBoostingRegressor
        )
        return of(
            learning_rate=float(shape["rate"]),
            max_iter=int(shape["rounds"]),
            max_leaf_nodes=int(shape["leaves"]),
            early_stopping=True,
            random_state=seed,
        )


class ExtraTrees(_OfNumbers):
    """Extremely randomised trees."""

    name = "sklearn:extra_trees"
    most_pixels = 1024
    of_trees = True
    on_card = False

    def knobs(self) -> tuple[Knob, ...]:
        """Number of trees, and examples of a leaf at least."""
        return (Integer("trees", 10, 200, step=10), Categorical("leaf", (1, 2, 4, 8)))

    def baseline(self) -> Mapping[str, Value]:
        """That of scikit-learn."""
        return {"trees": 100, "leaf": 1}

    def smaller(self) -> Mapping[str, Value]:
        """Half of the trees."""
        return {"trees": 50}

    def estimator(self, shape: Mapping[str, Value], target: Target, seed: int) -> Any:
        """See :meth:`Estimator.estimator`."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        of = ExtraTreesClassifier if target == "classes" else ExtraTreesRegressor
        trees, leaf = int(shape["trees"]), int(shape["leaf"])
        return of(trees, min_samples_leaf=leaf, n_jobs=1, random_state=seed)


class _Tfidf(TokenFamily, Estimator):
    """A linear model of how often tokens and pairs of them stand in a text.

    Weighted by how few texts they stand in, and divided by the length of the vector. The tokens are
    word pieces learnt from the training texts, as those of networks without pretrained weights.
    """

    on_card = False

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes texts alone."""
        if input_shape:
            return "it needs texts"
        if importlib.util.find_spec("tokenizers") is None:
            return "it needs the package 'tokenizers': pip install greenfront[text]"
        return None

    def smaller(self) -> Mapping[str, Value]:
        """Half of the terms."""
        return {"terms": 5000}

    def _pipeline(self, shape: Mapping[str, Value], model: Any) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline

        return make_pipeline(
            TfidfVectorizer(analyzer=ngrams, min_df=2, max_features=int(shape["terms"])), model
        )


_TEXT_KNOBS = (
    Categorical("terms", (2500, 5000, 10_000, 20_000)),
    Categorical("length", (128, 256, 512)),
)


class TfidfLogistic(_Tfidf):
    """Logistic regression over TF-IDF; see :class:`_Tfidf`."""

    name = "sklearn:tfidf_logistic"
    targets = ("classes",)

    def knobs(self) -> tuple[Knob, ...]:
        """Inverse strength of the penalty, terms at most, and length of texts."""
        return (Real("c", 0.1, 1000.0, log=True), *_TEXT_KNOBS)

    def baseline(self) -> Mapping[str, Value]:
        """A weaker penalty than scikit-learn's, whose vectors of length 1 would hardly count."""
        return {"c": 10.0, "terms": 10_000, "length": 512}

    def estimator(self, shape: Mapping[str, Value], target: Target, seed: int) -> Any:
        """See :meth:`Estimator.estimator`."""
        del target, seed
        return self._pipeline(shape, _logistic(float(shape["c"])))


class TfidfRidge(_Tfidf):
    """Linear regression over TF-IDF; see :class:`_Tfidf`."""

    name = "sklearn:tfidf_ridge"
    targets = ("numbers",)

    def knobs(self) -> tuple[Knob, ...]:
        """Strength of the penalty, terms at most, and length of texts."""
        return (Real("alpha", 1e-3, 100.0, log=True), *_TEXT_KNOBS)

    def baseline(self) -> Mapping[str, Value]:
        """The penalty of scikit-learn."""
        return {"alpha": 1.0, "terms": 10_000, "length": 512}

    def estimator(self, shape: Mapping[str, Value], target: Target, seed: int) -> Any:
        """See :meth:`Estimator.estimator`."""
        from sklearn.linear_model import Ridge as Fitted

        del target, seed
        return self._pipeline(shape, Fitted(alpha=float(shape["alpha"])))


ESTIMATORS: Mapping[str, type[Estimator]] = {
    family.name: family
    for family in (
        Logistic,
        Ridge,
        HistGradientBoosting,
        ExtraTrees,
        TfidfLogistic,
        TfidfRidge,
    )
}
"""All families by name, the cheapest first."""


@functools.cache
def references(
    input_shape: tuple[int, ...], target: Target, device: str = "cpu"
) -> tuple[str, ...]:
    """Names of the families that a study of such data is compared with.

    A linear model and trees for tables, a linear model of TF-IDF for texts, and one of the pixels
    for images; trees of pixels where these are few. On a GPU the linear models of numbers alone.

    Args:
        input_shape: Of one input, without the batch axis; ``()`` for a text.
        target: What is predicted.
        device: What predictions are measured on.
    """
    numbers, is_image = math.prod(input_shape), len(input_shape) == 3
    return tuple(
        name
        for name, family in ESTIMATORS.items()
        if target in family.targets
        and (family.on_card or device == "cpu")
        and family().objection(input_shape) is None
        and numbers <= (family.most_pixels if is_image else MOST_INPUTS)
    )


def ngrams(tokens: Sequence[int]) -> list[tuple[int, ...]]:
    """Tokens and pairs of neighbours, without those that stand for no piece of a word."""
    row = [int(token) for token in tokens]
    found: list[tuple[int, ...]] = [(token,) for token in row if token >= SPECIAL]
    found += [pair for pair in itertools.pairwise(row) if min(pair) >= SPECIAL]
    return found


def _logistic(c: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, max_iter=MOST_ITERATIONS)

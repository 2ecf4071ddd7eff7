"""Fitting a model of scikit-learn, and comparing its exported file with it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.export import INPUT
from greenfront.objectives.stages.parity import Parity, compared
from greenfront.objectives.tasks.task import Labelled

__all__ = ["fit_estimator", "fitted_parity", "iterations"]


def fit_estimator(
    model: Any, train: Labelled, stop_by: Labelled | None, *, classes: int | None, threads: int
) -> None:
    """Fits an estimator in place.

    Args:
        model: From :meth:`greenfront.spaces.architectures.estimator.Estimator.estimator`.
        train: Inputs as the family encodes them; numbers in their own unit.
        stop_by: The validation split, for an estimator that stops early.
        classes: That there are; ``None`` for numbers.
        threads: Of its own kernels.

    Raises:
        TrialFailed: A class has no training example (cause ``"cannot fit"``).
    """
    seen = len(np.unique(train.labels))
    if classes is not None and seen < classes:
        raise TrialFailed(
            "cannot fit",
            f"each class needs a training example, but {seen} of {classes} have one: add some",
        )
    more = {} if stop_by is None else {"X_val": rows(stop_by.inputs), "y_val": stop_by.labels}
    with threadpool_limits(threads), warnings.catch_warnings():
        # One that has not settled is judged by its accuracy, as a network is.
        warnings.simplefilter("ignore")
        model.fit(rows(train.inputs), train.labels, **more)


def iterations(model: Any) -> int:
    """Rounds of boosting, or passes of a solver over the training split; 1 where it has none."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    taken = getattr(last, "n_iter_", None)
    return 1 if taken is None else int(np.max(taken))


def rows(inputs: NDArray[Any]) -> NDArray[Any]:
    """Inputs with one row an example."""
    return inputs.reshape(len(inputs), -1)


def fitted_parity(
    model: Any, session: onnxruntime.InferenceSession, inputs: NDArray[Any]
) -> Parity:
    """Compares a fitted model with a file of it, of classes by their probabilities.

    Raises:
        TrialFailed: The file answers NaN or infinity (cause ``"not finite"``).
    """
    (given,) = session.run(None, {INPUT: inputs})
    if not np.isfinite(given).all():
        raise TrialFailed("not finite", "the exported file must answer finite numbers")
    numbers = not hasattr(model, "predict_proba")
    if numbers:
        wanted = model.predict(rows(inputs)).reshape(-1, 1)
    else:
        from scipy.special import softmax  # a network's evaluator has no use for it

        wanted, given = model.predict_proba(rows(inputs)), softmax(given, axis=-1)
    return compared(torch.from_numpy(given), torch.from_numpy(wanted), numbers=numbers)

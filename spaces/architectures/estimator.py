"""The interface of models that are fitted by scikit-learn, and the limits of what they take."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, Literal

from greenfront.spaces.architectures.architecture import ModelFamily
from greenfront.spaces.knobs import Value

__all__ = ["Estimator", "Target"]

Target = Literal["classes", "numbers"]
"""What is predicted: one of several classes, or a number."""


class Estimator(ModelFamily):
    """A family of models that are fitted at once, without gradients, by scikit-learn.

    There is nothing to prune, to round or to distil: their own few knobs are all that is searched.
    They stand beside networks as references: what needs no network is found out, not assumed.

    Attributes:
        targets: What they can predict.
        stops_early: Whether a fit takes the validation split, and ends where more of it brings
            nothing, as the training of a network does.
        most_pixels: Numbers of an image up to which a study is compared with them unasked.
        of_trees: Whether their files are sums of trees.
        on_card: Whether ONNX Runtime has kernels of theirs on a GPU.
    """

    targets: tuple[Target, ...] = ("classes", "numbers")
    stops_early: bool = False
    most_pixels: int = 4096
    of_trees: bool = False
    on_card: bool = True

    @abc.abstractmethod
    def estimator(self, shape: Mapping[str, Value], target: Target, seed: int) -> Any:
        """A fresh estimator of scikit-learn; imports that.

        Args:
            shape: Settings of the knobs.
            target: What it will predict.
            seed: Of its random numbers, below 2³².

        Returns:
            An estimator whose ``fit`` takes what :meth:`encode` gives, one row an example.
        """

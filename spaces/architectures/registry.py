"""Families by name."""

from __future__ import annotations

import functools

from greenfront.spaces.architectures.architecture import Architecture, ModelFamily, unknown_family
from greenfront.spaces.architectures.bag import Bag
from greenfront.spaces.architectures.cnn import CNN
from greenfront.spaces.architectures.estimator import Estimator
from greenfront.spaces.architectures.lenet import LeNet
from greenfront.spaces.architectures.mlp import MLP
from greenfront.spaces.architectures.sklearn import ESTIMATORS
from greenfront.spaces.architectures.tabular import Tabular
from greenfront.spaces.architectures.transformers import Bert, DistilBert

__all__ = ["architecture", "architecture_names", "estimator", "is_fitted", "network"]

_FAMILIES: dict[str, type[Architecture]] = {
    family.name: family for family in (MLP, Tabular, CNN, LeNet, Bag, DistilBert, Bert)
}
_FIRST = ("mlp", "cnn", "distilbert", "bert")
_SEARCHED = ("mlp", "tabular", "cnn", "lenet", "bag")
_FORMS = (
    "sklearn:NAME",
    "timm:NAME",
    "hf:NAME-OR-PATH",
    "frozen:NAME-OR-PATH",
    "nni:SPACE",
    "module:function",
)


def architecture_names(defaults: int = 3) -> tuple[str, ...]:
    """The families that a study without a choice searches, from the simplest to the most capable.

    Transformers of random weights are not among them: on thousands of texts they cost a hundred
    times what a bag of words does, and are less accurate.

    Args:
        defaults: 1 for those of the first release.
    """
    return _FIRST if defaults == 1 else _SEARCHED


@functools.cache
def architecture(name: str) -> ModelFamily:
    """The family of this name.

    Args:
        name: Such as ``"mlp"``, ``timm:NAME``, ``hf:NAME-OR-PATH``,
            ``nni:SPACE``, ``sklearn:NAME``, or ``module:function`` for the user's own.

    Raises:
        UsageError: There is none; the message lists the nearest names.
    """
    prefix, colon, _ = name.partition(":")
    if colon:
        return _of_library(prefix, name)
    if name not in _FAMILIES:
        raise unknown_family(name, _FAMILIES, _FORMS)
    return _FAMILIES[name]()


def network(name: str) -> Architecture:
    """The same, where it is known to be a family of networks; else ``TypeError``."""
    family = architecture(name)
    if not isinstance(family, Architecture):
        raise TypeError(f"{name} is no family of networks")
    return family


def estimator(name: str) -> Estimator:
    """The same, where it is known to be a family of fitted models; else ``TypeError``."""
    family = architecture(name)
    if not isinstance(family, Estimator):
        raise TypeError(f"{name} is no family of fitted models")
    return family


def is_fitted(name: str) -> bool:
    """Whether a family's models are fitted, not trained; see :class:`Estimator`."""
    return name in ESTIMATORS


def _of_library(prefix: str, name: str) -> ModelFamily:
    # Each is imported only where it is asked for: the libraries are optional, and slow to load.
    match prefix:
        case "sklearn":
            if name not in ESTIMATORS:
                raise unknown_family(name, ESTIMATORS)
            return ESTIMATORS[name]()
        case "timm":
            from greenfront.spaces.architectures.timm import Timm

            return Timm(name)
        case "hf":
            from greenfront.spaces.architectures.transformers import Transformer

            return Transformer(name)
        case "frozen":
            from greenfront.spaces.architectures.frozen import FrozenEncoder

            return FrozenEncoder(name)
        case "nni":
            from greenfront.spaces.architectures.nni import NNI

            return NNI(name)
        case _:
            from greenfront.spaces.architectures.user_model import UserModel

            return UserModel(name)

"""Families of networks, as a study file names them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from greenfront.errors import UsageError
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.table import Choices, Table

__all__ = ["Family", "FamilyOptions"]


def _known(name: str) -> str:
    try:
        return architecture(name).name
    except UsageError as error:
        raise ValueError(str(error)) from error


def _all_known(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        _known(name)
    return names


Family = Annotated[str, AfterValidator(_known)]
"""The name of one that there is."""


class FamilyOptions(Table):
    """Which families a study searches, and what it compares them with.

    Attributes:
        architectures: Absent: the networks that take its inputs and need no package.
        references: Whether the models of scikit-learn that suit the data are tried first, each
            once as it usually is. Absent: yes, but in a study with the first release's defaults.
        ensemble: Whether the best model of each family is tried together with those of others
            after the search: the mean of their answers, in one file.
    """

    architectures: Annotated[Choices[str], AfterValidator(_all_known)] | None = None
    references: bool | None = None
    ensemble: bool = True

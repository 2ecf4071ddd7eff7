"""Ensemble: several models answer together, by the mean of their probabilities or numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from greenfront.spaces.techniques.afterwards import Afterwards
from greenfront.spaces.techniques.technique import Settings

__all__ = ["TECHNIQUE", "Ensemble"]


@dataclass(frozen=True, slots=True)
class Ensemble(Settings):
    """What answers together with a model in one file with it.

    Attributes:
        others: JSON of the candidates whose answers are averaged with the model's; empty: it
            answers alone.
    """

    section: ClassVar[str] = "ensemble"
    for_fitted: ClassVar[bool] = True

    others: str = ""

    @classmethod
    def of(cls, others: Sequence[Mapping[str, Any]]) -> Self:
        """An ensemble with the candidates of some JSON values."""
        return cls(json.dumps(others, sort_keys=True))

    @property
    def untouched(self) -> bool:
        """Whether the model answers alone."""
        return not self.others

    @property
    def others_json(self) -> list[dict[str, Any]]:
        """The other candidates in JSON values; empty where there are none."""
        told: list[dict[str, Any]] = json.loads(self.others) if self.others else []
        return told

    def describe(self) -> str:
        """Which families answer, too."""
        if self.untouched:
            return ""
        names = [other["architecture"]["family"] for other in self.others_json]
        return f"averaged with {' and '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}"

    def to_json(self) -> Any:
        """The other candidates as they are."""
        return self.others_json

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Inverse of :meth:`to_json`."""
        return cls.of(data)


class EnsembleTechnique(Afterwards[Ensemble]):
    """Several models in one file."""

    settings = Ensemble
    order = 95


TECHNIQUE = EnsembleTechnique()

"""Cascade: a second model is asked where the first one is not sure enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from greenfront.spaces.techniques.afterwards import Afterwards
from greenfront.spaces.techniques.technique import Settings

__all__ = ["TECHNIQUE", "Cascade"]


@dataclass(frozen=True, slots=True)
class Cascade(Settings):
    """What stands behind a model in one file with it.

    Attributes:
        second: JSON of the candidate that is asked where the first is not sure; empty: none is.
        threshold: The probability of the first's likeliest class below which it is not.
    """

    section: ClassVar[str] = "cascade"
    for_fitted: ClassVar[bool] = True

    second: str = ""
    threshold: float = 0.0

    @classmethod
    def to(cls, second: Mapping[str, Any], threshold: float) -> Self:
        """A cascade to the candidate of some JSON values."""
        return cls(json.dumps(second, sort_keys=True), threshold)

    @property
    def untouched(self) -> bool:
        """Whether there is no second model."""
        return not self.second

    @property
    def second_json(self) -> dict[str, Any]:
        """The second candidate in JSON values."""
        told: dict[str, Any] = json.loads(self.second)
        return told

    def describe(self) -> str:
        """Which family is asked, and when."""
        if self.untouched:
            return ""
        family = self.second_json["architecture"]["family"]
        return f"below {100 * self.threshold:.3g}% sure to {family}"

    def to_json(self) -> Any:
        """The second candidate as it is, and the threshold."""
        return {"second": self.second_json, "threshold": self.threshold}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Inverse of :meth:`to_json`."""
        return cls.to(data["second"], float(data["threshold"]))


class CascadeTechnique(Afterwards[Cascade]):
    """Two models in one file."""

    settings = Cascade
    order = 90


TECHNIQUE = CascadeTechnique()

"""What a search and its evaluator tell each other of finished models: data that need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from greenfront.objectives.stages.turns import Ratio
from greenfront.spaces.candidate import Candidate

__all__ = ["ENSEMBLE", "TUNE", "Beside", "EnsemblePlan", "Gain", "Member"]

TUNE, ENSEMBLE = "tune", "ensemble"
"""Phases in a study's ledger: what making models of finished ones has taken."""


@dataclass(frozen=True, slots=True)
class Member:
    """A finished trial.

    Attributes:
        trial: Its number.
        candidate: JSON of what it is.
        artefact: Its file, relative to the lineage store.
        joules: Of one prediction, as the study has measured it.
    """

    trial: int
    candidate: dict[str, Any]
    artefact: str
    joules: float

    @property
    def model(self) -> Candidate:
        """What it is."""
        return Candidate.from_json(self.candidate)


@dataclass(frozen=True, slots=True)
class Gain:
    """A score less another one on the same examples, in the direction in which more is better.

    Attributes:
        value: The difference.
        low: Lower end of its paired 95 % interval; ``None`` if unknown.
        high: Upper end.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def lost(self) -> bool:
        """Whether something was lost, as far as the examples can tell."""
        return self.value < 0 if self.high is None else self.high < 0


@dataclass(frozen=True, slots=True)
class Beside:
    """A model beside another one.

    Attributes:
        ratio: Joules of a single prediction in a plain session over the other's, measured in turns;
            ``None`` where a reading is unavailable.
        gain: Its score less the other's on the validation split.
    """

    ratio: Ratio | None
    gain: Gain


@dataclass(frozen=True, slots=True)
class EnsemblePlan:
    """An ensemble to build.

    Attributes:
        trials: Numbers of the trials that it is made of, the most accurate first.
        score: On validation.
        alone: The best score there of one of them by itself.
    """

    trials: tuple[int, ...]
    score: float
    alone: float

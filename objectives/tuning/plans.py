"""Finished models, and plans of what to make of them: plain data, which need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from greenfront.objectives.metering.power_limit import PowerRange
from greenfront.objectives.stages.turns import Ratio
from greenfront.spaces.candidate import Candidate

__all__ = [
    "ENSEMBLE",
    "TUNE",
    "Beside",
    "CascadePlan",
    "Gain",
    "LayerPlan",
    "Member",
    "PowerAdvice",
    "TriedLayer",
    "TriedLimit",
]

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
class CascadePlan:
    """A cascade to build.

    Attributes:
        first: Number of the trial that sees every example.
        second: Number of the trial that sees what the first is not sure of.
        threshold: Probability of the first's likeliest class below which it is not.
        share: Of the validation examples that are passed on.
        score: On validation, where the threshold was chosen.
        joules: Of one prediction, expected: the first's and that share of the second's. What joins
            them is not in it; a cascade is credited with what is measured.
    """

    first: int
    second: int
    threshold: float
    share: float
    score: float
    joules: float


@dataclass(frozen=True, slots=True)
class TriedLayer:
    """One layer whose bits alone were changed.

    Attributes:
        name: In the exported graph.
        to_bits: 8 or 32: those that it got.
        ratio: Joules of the file over those of the file that was begun with, in turns; ``None``
            where a reading is unavailable.
        gain: Score on validation less that of the picked model.
    """

    name: str
    to_bits: int
    ratio: Ratio | None
    gain: Gain


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """Bits by layer that take clearly less than the same bits for all, and do no worse.

    Attributes:
        floating: Layers at 32 bits.
        layers: How many the network has.
        over_int8: Joules over those of the file whose layers are all in 8 bits, in turns.
        over_float: Joules over those of the file whose layers are all at 32 bits.
        tried: Each layer by itself: of the file in 8 bits, then of that at 32.
        reason: Why there is no such plan, in words; empty where there is one.
    """

    floating: tuple[str, ...]
    layers: int
    over_int8: Ratio | None
    over_float: Ratio | None
    tried: tuple[TriedLayer, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TriedLimit:
    """A power limit of a GPU, and what a file took under it.

    Attributes:
        watts: The limit.
        joules: Of one prediction: under the limit as found as it was measured, under another one
            that times ``ratio``; ``None`` where it is unavailable.
        latency_seconds: Median wall time of a call, divided by its examples.
        ratio: Joules over those under the limit as found, in turns; ``None`` where a reading is
            unavailable.
        slower: Latency over that under the limit as found, of the same turns.
    """

    watts: float
    joules: float | None
    latency_seconds: float
    ratio: Ratio | None
    slower: float

    @property
    def saves(self) -> bool:
        """Whether it takes less, and the whole interval says so."""
        return self.ratio is not None and self.ratio.high < 1


@dataclass(frozen=True, slots=True)
class PowerAdvice:
    """Power limits of a GPU by what a file takes under them, as it was measured on that card.

    Attributes:
        card: Its limits.
        tried: All that were measured: the limit as found, then the others, the lowest first.
        best: The one of least energy, measured once more; ``None`` where none takes clearly less
            than the limit as found.
    """

    card: PowerRange
    tried: tuple[TriedLimit, ...]
    best: TriedLimit | None

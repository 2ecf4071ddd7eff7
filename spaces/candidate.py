"""One neural network to try: everything that a trial needs to know, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from typing import Any, Self, TypeVar

from greenfront.spaces.architectures.registry import is_fitted
from greenfront.spaces.knobs import Value
from greenfront.spaces.space import stable_hash
from greenfront.spaces.techniques.cascade import Cascade
from greenfront.spaces.techniques.distillation import Distillation
from greenfront.spaces.techniques.ensemble import Ensemble
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.registry import techniques
from greenfront.spaces.techniques.sparsity import Sparsity
from greenfront.spaces.techniques.technique import Settings, Technique
from greenfront.spaces.techniques.training import Training

__all__ = ["ArchitectureChoice", "Candidate", "Placement", "later_techniques"]

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class ArchitectureChoice:
    """A family and the shape of one member of it.

    Attributes:
        family: Name of the family, such as ``"cnn"``.
        shape: Settings of the family's knobs, sorted by name.
    """

    family: str
    shape: tuple[tuple[str, Value], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        return {"family": self.family, "shape": dict(self.shape)}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where it is trained: ``"cpu"`` or ``"cuda"``."""

    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One network to try. Equal candidates have equal keys; the JSON form round-trips.

    Attributes:
        architecture: Family and shape.
        training: How the weights are found.
        pruning: Which channels leave.
        precision: Bits of the weights.
        distillation: Whether and how a teacher is asked.
        placement: Where it is trained.
        sparsity: How many weights are set to zero, after the pruning of channels.
        others: What further techniques do to it, in their order; read it with :meth:`of`. One that
            leaves it untouched is not among them, so that keys stay when a technique is added.
    """

    architecture: ArchitectureChoice
    training: Training = field(default_factory=Training)
    pruning: Pruning = field(default_factory=Pruning)
    precision: Precision = field(default_factory=Precision)
    distillation: Distillation | None = None
    placement: Placement = field(default_factory=Placement)
    sparsity: Sparsity = field(default_factory=Sparsity)
    others: tuple[Settings, ...] = ()

    @classmethod
    def made(
        cls,
        architecture: ArchitectureChoice,
        placement: Placement,
        settings: Mapping[str, Settings | None],
    ) -> Self:
        """A candidate from the settings of all techniques, by section."""
        own: dict[str, Any] = {name: settings[name] for name in settings if name in _FIELDS}
        others = tuple(
            one
            for name, one in settings.items()
            if name not in own and one is not None and not one.untouched
        )
        return cls(architecture, placement=placement, others=others, **own)

    @property
    def key(self) -> str:
        """Stable hash of the whole candidate."""
        return stable_hash(self.to_json())

    @property
    def training_key(self) -> str | None:
        """Hash of its training, which candidates share that differ in what follows alone.

        ``None`` of a fitted model, which has no training that others could share.
        """
        if is_fitted(self.architecture.family):
            return None
        training = self.training.to_json()
        del training["fine_tune_epochs"]
        distillation = None if self.distillation is None else self.distillation.to_json()
        return stable_hash(
            [self.architecture.to_json(), training, distillation, asdict(self.placement)]
        )

    @property
    def settings(self) -> tuple[Settings, ...]:
        """What each technique does to it, in the order of techniques."""
        own = (self.training, self.pruning, self.precision, self.distillation, self.sparsity)
        held = {one.section: one for one in (*own, *self.others) if one is not None}
        return tuple(held[section] for section in _sections() if section in held)

    def of(self, kind: type[S]) -> S:
        """The settings of a technique; the default ones where it leaves the candidate untouched."""
        return next((one for one in self.settings if isinstance(one, kind)), None) or kind()

    @property
    def untouched(self) -> bool:
        """Whether no technique is applied: no pruning, no zeros, 32 bits, no distillation."""
        return all(one.untouched for one in self.settings)

    @property
    def most_epochs(self) -> int:
        """Passes over the training split at most, with those after pruning; a fit is one."""
        if is_fitted(self.architecture.family):
            return 1
        tuned = self.training.fine_tune_epochs if self.pruning.ratio else 0
        return self.training.epochs + tuned

    @property
    def second(self) -> Candidate | None:
        """The model that is asked where this one is not sure; ``None`` of one that stands alone."""
        cascade = self.of(Cascade)
        return None if cascade.untouched else Candidate.from_json(cascade.second_json)

    @property
    def companions(self) -> tuple[Candidate, ...]:
        """The models whose answers are averaged with this one's; none of one that stands alone."""
        return tuple(map(Candidate.from_json, self.of(Ensemble).others_json))

    @property
    def alone(self) -> Candidate:
        """The same model without others behind or beside it."""
        kept = tuple(one for one in self.others if not isinstance(one, Cascade | Ensemble))
        return replace(self, others=kept)

    @property
    def parts(self) -> tuple[Candidate, ...]:
        """The models in its file, each as it stands alone: one but of cascades and ensembles."""
        second = self.second
        return (self.alone, *(() if second is None else (second,)), *self.companions)

    @property
    def stands_alone(self) -> bool:
        """Whether its file holds no other model."""
        return not any(isinstance(one, Cascade | Ensemble) for one in self.others)

    @property
    def needs_network(self) -> bool:
        """Whether a model in its file is a network."""
        return not all(is_fitted(part.architecture.family) for part in self.parts)

    def describe(self) -> str:
        """A short line for people, such as ``cnn depth=3 width=0.5 · pruned 50 % · 8 bits``."""
        shape = " ".join(f"{name}={_short(value)}" for name, value in self.architecture.shape)
        words = (one.describe() for one in self.settings)
        return " · ".join(filter(None, [f"{self.architecture.family} {shape}".strip(), *words]))

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        choice = self.architecture
        # Most techniques are for networks: of a fitted model they say nothing.
        fitted = is_fitted(choice.family)
        settings = (one for one in self.settings if one.for_fitted or not fitted)
        told: dict[str, Any] = {one.section: one.to_json() for one in settings}
        told["architecture"] = choice.to_json()
        told["placement"] = asdict(self.placement)
        return {name: told.pop(name, None) for name in _FIELDS} | told

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_json`."""
        shape = tuple(sorted(data["architecture"]["shape"].items()))
        settings = {
            (kind := technique.settings).section: kind.from_json(told)
            for technique in techniques()
            # Studies of the first format have no sparsity.
            if (told := data.get(technique.settings.section)) is not None
        }
        choice = ArchitectureChoice(data["architecture"]["family"], shape)
        return cls.made(choice, Placement(**data["placement"]), settings)


@cache
def _sections() -> tuple[str, ...]:
    """Those of all techniques, in their order."""
    return tuple(technique.settings.section for technique in techniques())


def _short(value: Value) -> Value:
    """Three digits of a number from a continuum."""
    return float(f"{value:.3g}") if isinstance(value, float) else value


def later_techniques() -> tuple[Technique[Any, Any], ...]:
    """The techniques that candidates have no field for.

    What they leave untouched is no part of a candidate's identity, nor of a study's.
    """
    return tuple(each for each in techniques() if each.settings.section not in _FIELDS)


_FIELDS = tuple(each.name for each in fields(Candidate) if each.name != "others")
"""What stands in the JSON form of every candidate, in this order."""

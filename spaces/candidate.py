"""One neural network to try: everything that a trial needs to know, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from greenfront.spaces.knobs import Value
from greenfront.spaces.space import stable_hash

__all__ = [
    "ArchitectureChoice",
    "Candidate",
    "Distillation",
    "Placement",
    "Precision",
    "Pruning",
    "Training",
]


@dataclass(frozen=True, slots=True)
class ArchitectureChoice:
    """A family and the shape of one member of it.

    Attributes:
        family: Name of the family, such as ``"cnn"``.
        shape: Settings of the family's knobs, sorted by name.
    """

    family: str
    shape: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Training:
    """How the weights are found.

    Attributes:
        optimizer: ``"adamw"`` or ``"sgd"`` (Nesterov momentum 0.9).
        learning_rate: Peak of the cosine schedule.
        batch_size: Examples a step.
        mixed_precision: Whether matrix products run in bfloat16.
        epochs: At most so many passes over the training split.
        patience: Stop after so many epochs without a better validation loss; 0 means never.
        fine_tune_epochs: Passes after pruning.
        augmentation: How images are moved in training: ``"none"``, ``"shift"``, ``"flip"`` or
            ``"shift+flip"``.
        layer_decay: What the learning rate of a pretrained network is multiplied by from one block
            to the one before it, so that it shrinks from the head to the input; 1 leaves it alone.
        compile: Whether training steps are compiled: ``"never"``, ``"always"``, or ``"auto"``
            where a training is so long that it pays.
    """

    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    batch_size: int = 64
    mixed_precision: bool = False
    epochs: int = 10
    patience: int = 3
    fine_tune_epochs: int = 5
    augmentation: str = "none"
    layer_decay: float = 1.0
    compile: str = "never"


@dataclass(frozen=True, slots=True)
class Pruning:
    """Structured pruning: whole channels, neurons and attention heads leave the tensors.

    Attributes:
        ratio: Share of the channels of each group to remove; 0 is no pruning.
        scope: ``"uniform"`` takes the ratio of every group, ``"global"`` takes the least important
            channels of the whole network.
        importance: What makes a channel worth keeping: ``"magnitude"`` of its weights,
            ``"taylor"`` (the change of the loss, by its gradient), ``"fpgm"`` (its distance to the
            other channels), ``"random"``, or the metric of a pruner of NNI: ``"nni:l1"``,
            ``"nni:fpgm"``, ``"nni:taylor"``, ``"nni:movement"``.
        gradual: Whether it is pruned in steps between the epochs of its fine-tuning, instead of at
            once before them.
    """

    ratio: float = 0.0
    scope: str = "uniform"
    importance: str = "magnitude"
    gradual: bool = False

    def steps(self, fine_tune_epochs: int) -> int:
        """In how many steps it is pruned: a gradual one takes two epochs of the fine-tuning."""
        return max(1, fine_tune_epochs // 2) if self.gradual else 1


@dataclass(frozen=True, slots=True)
class Precision:
    """Bits of the exported weights.

    Attributes:
        bits: 32, 16, 8, 4 or 2. 8 bits run in int8 kernels; weights of 16, 4 and 2 bits are packed
            on disk and computed as 32.
        weight_only: Of 8 bits: packed on disk and computed as 32, too.
        quantization_aware: Whether the network is tuned with its weights rounded as they will be.
    """

    bits: int = 32
    weight_only: bool = False
    quantization_aware: bool = False


@dataclass(frozen=True, slots=True)
class Distillation:
    """Learning from a teacher's softened outputs (Hinton, Vinyals and Dean, arXiv 1503.02531).

    Attributes:
        temperature: Divides both sets of logits; at least 1.
        weight: Share of the soft loss, 0 to 1; the rest is cross-entropy with the labels.
        hidden_weight: Of the squared difference between what the last layers of student and
            teacher read (Romero et al., FitNets, arXiv 1412.6550), added to both; 0 leaves it out.
    """

    temperature: float
    weight: float
    hidden_weight: float = 0.0


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
        sparsity: Share of the weights to set to zero, after the pruning of channels. Zeros are
            stored and multiplied like other weights: they save neither time nor bytes.
    """

    architecture: ArchitectureChoice
    training: Training = Training()
    pruning: Pruning = Pruning()
    precision: Precision = Precision()
    distillation: Distillation | None = None
    placement: Placement = Placement()
    sparsity: float = 0.0

    @property
    def key(self) -> str:
        """Stable hash of the whole candidate."""
        return stable_hash(self.to_json())

    @property
    def untouched(self) -> bool:
        """Whether no technique is applied: no pruning, no zeros, 32 bits, no distillation."""
        kept_whole = self.pruning.ratio == self.sparsity == 0.0
        return kept_whole and self.precision.bits == 32 and self.distillation is None

    def as_untouched(self) -> Candidate:
        """The same network without any technique."""
        return replace(
            self, pruning=Pruning(), precision=Precision(), distillation=None, sparsity=0.0
        )

    def describe(self) -> str:
        """A short line for people, such as ``cnn depth=3 width=0.5 · pruned 50 % · 8 bits``."""
        shape = " ".join(f"{name}={value}" for name, value in self.architecture.shape)
        parts = [f"{self.architecture.family} {shape}".strip()]
        if self.pruning.ratio:
            parts.append(f"pruned {self.pruning.ratio:.0%}")
        if self.sparsity:
            parts.append(f"{self.sparsity:.0%} zeros")
        if self.precision.bits != 32:
            parts.append(
                f"{self.precision.bits} bits"
                + (" (weights)" if self.precision.weight_only else "")
                + (" tuned" if self.precision.quantization_aware else "")
            )
        if self.distillation:
            parts.append(f"distilled T={self.distillation.temperature:g}")
        return " · ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        data = asdict(self)
        data["architecture"]["shape"] = dict(self.architecture.shape)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_json`."""
        shape = tuple(sorted(data["architecture"]["shape"].items()))
        distillation = data["distillation"]
        return cls(
            architecture=ArchitectureChoice(data["architecture"]["family"], shape),
            training=Training(**data["training"]),
            pruning=Pruning(**data["pruning"]),
            precision=Precision(**data["precision"]),
            distillation=Distillation(**distillation) if distillation else None,
            placement=Placement(**data["placement"]),
            sparsity=data.get("sparsity", 0.0),  # studies of the first format may still be read
        )

"""A training between two epochs, stored so that it goes on as if it had never stopped."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from greenfront.objectives.stages.averaging import RunningMean

__all__ = ["Checkpoint", "Loop", "Reached", "load_checkpoint", "save_checkpoint"]

REACHED, SCALARS = "reached", "scalars"
"""Keys of the file's metadata."""
OPTIMIZER = "mover"
"""What the names of its tensors begin with in stored checkpoints."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a training has come.

    Attributes:
        epoch: Epochs that are over.
        best_epoch: The one with the best weights so far, from 1; 0 if none is.
        best_loss: Of these weights on the validation split; infinite if there are none.
        parts: In how many parts a batch is computed.
        over: Whether no further epoch would be trained: all are, or patience is at its end.
        qualities: After each epoch; see :class:`EpochReport`.
    """

    epoch: int
    best_epoch: int
    best_loss: float
    parts: int
    over: bool
    qualities: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a training goes on from.

    Attributes:
        reached: How far it has come.
        best: The weights of the best epoch, by name.
        tensors: Everything else that is made of numbers in rows.
        scalars: And in JSON values.
    """

    reached: Reached
    best: Mapping[str, Tensor]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    scalars: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loop:
    """What changes while a network is trained.

    Attributes:
        model: The network.
        extra: Weights that are trained with it and thrown away.
        optimizer: Of all weights.
        schedule: Of its rate.
        mean: Of the weights; ``None`` where none is kept.
        generators: That are drawn from, besides the global ones.
    """

    model: nn.Module
    extra: Sequence[nn.Parameter]
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    mean: RunningMean | None
    generators: Sequence[torch.Generator]

    def step(self) -> None:
        """Moves the weights by the gradient that they hold."""
        self.optimizer.step()
        self.schedule.step()
        if self.mean is not None:
            self.mean.update()

    def checkpoint(self, reached: Reached, best: Mapping[str, Tensor]) -> Checkpoint:
        """Everything as it stands, copied."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"extra.{index}": weight for index, weight in enumerate(self.extra)}
        held = self.optimizer.state_dict()["state"]
        moments: dict[str, dict[str, Any]] = {}
        for number, state in held.items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"{OPTIMIZER}.{number}.{key}"] = value
                else:
                    moments.setdefault(str(number), {})[key] = value
        if self.mean is not None:
            tensors |= {f"mean.{index}": each for index, each in enumerate(self.mean.values)}
        for index, generator in enumerate(self.generators):
            tensors[f"generator.{index}"] = generator.get_state()
        drawn = _random_state()
        copied = {name: value.detach().clone() for name, value in {**tensors, **drawn[0]}.items()}
        scalars = {
            "moments": moments,
            "rates": [group["lr"] for group in self.optimizer.param_groups],
            "steps": self.schedule.last_epoch,
            "updates": 0 if self.mean is None else self.mean.updates,
            "random": drawn[1],
        }
        return Checkpoint(reached, dict(best), copied, scalars)

    @torch.no_grad()
    def restore(self, checkpoint: Checkpoint) -> None:
        """Makes everything what it was, the global random numbers too."""
        tensors, scalars = checkpoint.tensors, checkpoint.scalars
        self.model.load_state_dict(_below("model", tensors))
        for index, weight in enumerate(self.extra):
            weight.copy_(tensors[f"extra.{index}"])
        state: dict[int, dict[str, Any]] = {
            int(number): dict(values) for number, values in scalars["moments"].items()
        }
        for name, value in _below(OPTIMIZER, tensors).items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = value
        held = self.optimizer.state_dict()
        for group, rate in zip(held["param_groups"], scalars["rates"], strict=True):
            group["lr"] = rate
        self.optimizer.load_state_dict({**held, "state": state})
        steps = int(scalars["steps"])
        self.schedule.load_state_dict(
            {
                **self.schedule.state_dict(),
                "last_epoch": steps,
                "_step_count": steps + 1,
                "_last_lr": list(scalars["rates"]),
            }
        )
        if self.mean is not None:
            means = _below("mean", tensors)
            self.mean.restore([means[str(i)] for i in range(len(means))], int(scalars["updates"]))
        for index, generator in enumerate(self.generators):
            generator.set_state(tensors[f"generator.{index}"].cpu())
        _restore_random_state(tensors, scalars["random"])


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Stores a checkpoint in one safetensors file."""
    tensors = {**checkpoint.tensors, **{f"best.{n}": v for n, v in checkpoint.best.items()}}
    plain = {name: value.contiguous().cpu().clone() for name, value in tensors.items()}
    about = {
        REACHED: json.dumps(asdict(checkpoint.reached)),  # infinity is what Python's JSON reads
        SCALARS: json.dumps(checkpoint.scalars),
    }
    save_file(plain, path, metadata=about)


def load_checkpoint(path: Path, device: str) -> Checkpoint:
    """Inverse of :func:`save_checkpoint`; on a device."""
    with safe_open(path, framework="pt", device=device) as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return Checkpoint(
        _reached(json.loads(about[REACHED])),
        _below("best", tensors),
        {name: value for name, value in tensors.items() if not name.startswith("best.")},
        json.loads(about[SCALARS]),
    )


def _reached(told: dict[str, Any]) -> Reached:
    return Reached(**{**told, "qualities": tuple(told.get("qualities", ()))})


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def _random_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The global generators of torch, NumPy and Python, as tensors and JSON values."""
    tensors = {"random.torch": torch.get_rng_state()}
    for device in range(torch.cuda.device_count()):
        tensors[f"random.cuda.{device}"] = torch.cuda.get_rng_state(device)
    _, words, *numpy_rest = np.random.get_state(legacy=True)
    version, python_words, gauss = random.getstate()
    tensors["random.numpy"] = torch.from_numpy(np.asarray(words).astype(np.int64))
    tensors["random.python"] = torch.tensor(python_words, dtype=torch.int64)
    return tensors, {"numpy": list(numpy_rest), "python": [version, gauss]}


def _restore_random_state(tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
    torch.set_rng_state(tensors["random.torch"].cpu())
    for device in range(torch.cuda.device_count()):
        if f"random.cuda.{device}" in tensors:
            torch.cuda.set_rng_state(tensors[f"random.cuda.{device}"].cpu(), device)
    position, has_gauss, gauss = scalars["numpy"]
    words = tensors["random.numpy"].cpu().numpy().astype(np.uint32)
    np.random.set_state(("MT19937", words, position, has_gauss, gauss))
    version, python_gauss = scalars["python"]
    random.setstate((version, tuple(tensors["random.python"].tolist()), python_gauss))

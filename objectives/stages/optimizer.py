"""What moves the weights: the optimiser, the rate of each layer, and the rate over time."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn

from greenfront.errors import TrialFailed
from greenfront.spaces.techniques.training import Training

__all__ = ["build_optimizer", "rate_shares", "warm_cosine"]


class _AdamW(torch.optim.AdamW):
    """Without the guards by which torch keeps optimizers out of its compiler's graphs.

    The first that is called imports the whole compiler: 1.2 CPU-seconds, more than many a training,
    charged to whichever candidate is the first.
    """

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)


class _SGD(torch.optim.SGD):
    """The same of stochastic gradient descent."""

    add_param_group = inspect.unwrap(torch.optim.SGD.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.SGD.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))
    state_dict = inspect.unwrap(torch.optim.SGD.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.SGD.load_state_dict)


def rate_shares(
    model: nn.Module,
    *,
    head: nn.Module | None = None,
    blocks: Sequence[nn.Module] = (),
    body_rate: float = 1.0,
    layer_decay: float = 1.0,
) -> dict[nn.Parameter, float]:
    """Share of the learning rate that each weight gets.

    The head gets all of it, the body its share, which shrinks by ``layer_decay`` with each block
    that lies between a weight and the head: what is near the input is the most general (Howard and
    Ruder, arXiv 1801.06146; the geometric form is that of Clark et al., ELECTRA, arXiv 2003.10555).
    What belongs to no block counts as lying between the last block and the head. Weights without
    gradient are left out.
    """
    distances = {
        weight: len(blocks) - index
        for index, block in enumerate(blocks)
        for weight in block.parameters()
    }
    of_head = set(head.parameters()) if head is not None else set()
    return {
        weight: 1.0 if weight in of_head else body_rate * layer_decay ** distances.get(weight, 0)
        for weight in model.parameters()
        if weight.requires_grad
    }


def build_optimizer(
    training: Training,
    shares: dict[nn.Parameter, float],
    extra: Iterable[nn.Parameter] = (),
    weight_decay: float = 1e-2,
) -> torch.optim.Optimizer:
    """The optimiser that a training names; ``extra`` weights learn at the full rate.

    The decay is AdamW's, which is apart from the gradient; that of SGD is in it, and far smaller.

    Raises:
        TrialFailed: There is none of that name (cause ``"error"``).
    """
    by_share: dict[float, list[nn.Parameter]] = {}
    for weight, share in {**shares, **dict.fromkeys(extra, 1.0)}.items():
        by_share.setdefault(share, []).append(weight)
    groups = [
        {"params": weights, "lr": training.learning_rate * share}
        for share, weights in by_share.items()
    ]
    match training.optimizer:
        case "adamw":
            return _AdamW(groups, weight_decay=weight_decay)
        case "sgd":
            return _SGD(groups, momentum=0.9, nesterov=True, weight_decay=5e-4)
        case name:
            raise TrialFailed("error", f"optimizer {name!r} is unknown: take 'adamw' or 'sgd'")


def warm_cosine(steps: int, warm_up: float = 0.05) -> Callable[[int], float]:
    """A linear warm-up to 1 over a share of the steps, then a cosine to 0, by a step's number."""
    warm = max(1, round(warm_up * steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        return (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2

    return factor

"""What makes a channel worth keeping: scores for the groups of Torch-Pruning's dependency graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from greenfront.errors import UsageError
from greenfront.objectives.stages.nni_importance import SCORED, load_nni, nni_scores
from greenfront.spaces.techniques.pruning import IMPORTANCES, Pruning, is_of_nni

__all__ = ["Importance", "LayerScores", "Loss", "importance_of", "load_importance"]

Importance = Callable[[Any], Tensor | None]
"""Torch-Pruning's interface: a group to one score a channel of its root; higher is kept."""
Loss = Callable[[nn.Module, int], Tensor]
"""Scalar loss of a module on the training batch of a number, of which there is no end."""
GRADIENT_BATCHES = 4
"""For the gradient that ``"taylor"`` weighs by."""


def importance_of(
    pruning: Pruning, model: nn.Module, head: nn.Module, loss: Loss | None
) -> Importance:
    """The importance that a candidate's pruning names, ready to be asked for groups.

    Raises:
        TrialFailed: NNI cannot score the network (cause ``"cannot prune"``).
        UsageError: It is unknown, lacks its loss, or its package is not installed.
    """
    name = pruning.importance
    if name not in IMPORTANCES:
        known = ", ".join(repr(each) for each in IMPORTANCES)
        raise UsageError(f"pruning importance {name!r} is unknown: take one of {known}")
    if loss is None and name in ("taylor", "nni:taylor", "nni:movement"):
        raise UsageError(
            f"pruning importance {name!r} weighs by gradients: give prune() a loss, or take "
            "'magnitude'"
        )
    if is_of_nni(name):
        return LayerScores(nni_scores(name, model, head, pruning.ratio, loss))
    match name:
        case "taylor" if loss is not None:
            for number in range(GRADIENT_BATCHES):
                part = loss(model, number) / GRADIENT_BATCHES
                part.backward()  # type: ignore[no-untyped-call]
            return _of_library("GroupTaylorImportance")
        case "fpgm":
            return LayerScores(_median_distances(model, head))
        case "random":
            return _of_library("RandomImportance")
        case _:
            return _by_magnitude()


def load_importance(name: str) -> None:
    """Imports what an importance needs, which may take seconds, before pruning is metered.

    Raises:
        UsageError: It is not installed.
    """
    if is_of_nni(name):
        load_nni()


class LayerScores:
    """Known scores, the higher the better, for the output channels of single layers.

    What leaves together is judged together: each layer's scores count in units of their mean size,
    so that wide layers do not outvote narrow ones, and are averaged over the layers of a group. A
    group of which no layer has scores is judged by the magnitude of its weights.
    """

    def __init__(self, scores: Mapping[nn.Module, Tensor]) -> None:
        self.scores = scores
        self._otherwise = _by_magnitude()

    def __call__(self, group: Any) -> Tensor | None:
        """One score for each channel of the group's root."""
        parts = []
        for member in group:
            scores = self.scores.get(member.dep.target.module)
            if scores is not None and _leaves_outputs(member.dep):
                parts.append((scores[list(member.idxs)], member.root_idxs))
        units = list(_in_units(parts, len(group[0].idxs)))
        if units:
            return torch.stack(units).mean(0)
        return self._otherwise(group)


def _by_magnitude() -> Importance:
    return _of_library("GroupMagnitudeImportance")


def _of_library(name: str) -> Importance:
    found: Importance = getattr(torch_pruning.importance, name)()
    return found


def _leaves_outputs(dep: Any) -> bool:
    """Whether a dependency takes outputs from a layer of weights."""
    out = torch_pruning.function
    return dep.handler in (
        out.prune_conv_out_channels,
        out.prune_depthwise_conv_out_channels,
        out.prune_linear_out_channels,
    )


def _median_distances(model: nn.Module, head: nn.Module) -> dict[nn.Module, Tensor]:
    """Sum of the distances of each filter to those of the same layer.

    What lies among many others can be stood in for (He et al., arXiv 1811.00250). Torch-Pruning has
    an importance of this name, which compares squared weights, also those of the layers that read
    the channels, and fails where these are convolutions in groups: it repeats their inputs along
    the wrong axis.
    """
    kept = set(head.modules())
    found: dict[nn.Module, Tensor] = {}
    for layer in model.modules():
        if isinstance(layer, SCORED) and layer not in kept:
            filters = layer.weight.detach().float().flatten(1)
            found[layer] = torch.cdist(filters, filters).sum(1)
    return found


def _in_units(parts: list[tuple[Tensor, list[int]]], channels: int) -> Iterator[Tensor]:
    for scores, roots in parts:
        if any(root is None for root in roots):
            continue  # channels that do not come from the root
        places = torch.tensor(roots, device=scores.device)
        whole, scores = torch.zeros(channels, device=scores.device), scores.float()
        summed = whole.index_add(0, places, scores)
        # A fused projection holds three numbers for a channel: of queries, keys and values.
        mean = summed / whole.index_add(0, places, torch.ones_like(scores)).clamp_min(1)
        yield (mean / mean.abs().mean().clamp_min(torch.finfo(torch.float32).tiny)).cpu()

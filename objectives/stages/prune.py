"""Structured pruning: channels and neurons leave the tensors for good."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch_pruning
from torch import Tensor, nn

from greenfront.errors import TrialFailed

__all__ = ["parameter_count", "prune", "reshape_to"]

ROUND_TO = 4
"""Channels are kept in multiples of this, so that kernels fill vector registers."""


def parameter_count(model: nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in model.parameters())


def prune(model: nn.Module, example: Tensor, ratio: float, head: nn.Module) -> float:
    """Removes the weakest channels of each dependency group, in place.

    Group magnitude importance over a dependency graph (Fang et al., DepGraph, arXiv 2301.12900).

    Args:
        model: Its layers get smaller tensors.
        example: One batch of inputs, to trace the dependencies.
        ratio: Share of the channels of each group to remove, 0 to below 1.
        head: Keeps its outputs.

    Returns:
        Share of the parameters removed: what was achieved, which rounding and small layers
        move away from what was asked for.

    Raises:
        TrialFailed: The ratio removes nothing (cause ``"cannot prune"``).
    """
    before = parameter_count(model)
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    pruner = torch_pruning.pruner.BasePruner(
        model,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        # Its own round_to would round what is left of a narrow layer to 0 and then skip the layer.
        pruning_ratio_dict={layer: _rounded(ratio, layer.weight.shape[0]) for layer in layers},
        ignored_layers=[head],
    )
    pruner.step()
    model.zero_grad(set_to_none=True)
    removed = 1 - parameter_count(model) / before
    if removed == 0:
        raise TrialFailed(
            "cannot prune", f"a pruning ratio of {ratio:g} removes nothing from this network"
        )
    return removed


def _rounded(ratio: float, channels: int) -> float:
    """The ratio that leaves a multiple of ``ROUND_TO`` channels, and at least one such multiple."""
    left = int(channels * (1 - ratio) + 1e-9)  # 100 × (1 − 0.8) is 19.999…
    kept = max(ROUND_TO, left // ROUND_TO * ROUND_TO)
    # Half a channel more, so that no rounding of the ratio itself takes one away.
    return max(0.0, 1 - (kept + 0.5) / channels)


def reshape_to(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Gives freshly built layers the tensor shapes of ``weights`` and loads them, in place.

    The inverse of storing a pruned network: shapes say all that pruning changed.

    Args:
        model: As built from the same architecture, unpruned.
        weights: State dictionary of the pruned network.
    """
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        for part, parameter in list(module.named_parameters(recurse=False)):
            shape = weights[prefix + part].shape
            if parameter.shape != shape:
                setattr(module, part, nn.Parameter(torch.empty(shape)))
        for part, buffer in list(module.named_buffers(recurse=False)):
            shape = weights[prefix + part].shape
            if buffer.shape != shape:
                setattr(module, part, torch.empty(shape, dtype=buffer.dtype))
        match module:
            case nn.Conv2d():
                outputs, per_group = module.weight.shape[:2]
                # Grouped convolutions here are depthwise: one filter a channel.
                module.groups = 1 if module.groups == 1 else outputs
                module.out_channels, module.in_channels = outputs, per_group * module.groups
            case nn.Linear():
                module.out_features, module.in_features = module.weight.shape
            case nn.BatchNorm2d():
                module.num_features = (
                    len(module.running_mean)
                    if module.running_mean is not None
                    else module.num_features
                )
    model.load_state_dict(dict(weights))

"""Scores of channels by the pruners of NNI 3.0.

NNI's pruners mask weights and leave every tensor as large as it was. What they know of each channel
is taken from them before that, and handed to the dependency graph, which removes the channels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from greenfront.errors import TrialFailed, first_line
from greenfront.spaces.architectures.nni_import import importing_nni

__all__ = ["BREAKAGES", "SCORED", "load_nni", "nni_scores"]

SCORED = (nn.Conv1d, nn.Conv2d, nn.Linear)
"""Layers that are scored, by their output channels."""
TAYLOR_STEPS = 4
MOVEMENT_STEPS, WARM_STEPS, COOL_STEPS = 32, 2, 26
"""Steps of training, those before the first mask, and the one from which as much is masked as is
to be pruned."""
MOVEMENT_RATE = 1e-4
"""Learning rate of the weights while they are watched; NNI's own for the scores is 0.01."""
MASKED = (0.05, 0.95)
"""At least and at most this share is masked while movements are watched."""
WEIGHT = "weight"
BREAKAGES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What libraries raise for networks that they cannot take or follow."""


def load_nni() -> None:
    """Imports NNI, which takes seconds; see :func:`importing_nni`."""
    _nni()


def nni_scores(
    name: str,
    model: nn.Module,
    head: nn.Module,
    ratio: float,
    loss: Callable[[nn.Module, int], Tensor] | None,
) -> dict[nn.Module, Tensor]:
    """What a pruner of NNI thinks of the output channels of each convolution and linear layer.

    The pruner works on a copy of the network: it replaces parameters and, for
    ``"nni:movement"``, trains them.

    Args:
        name: ``"nni:l1"`` (Li et al., arXiv 1608.08710), ``"nni:fpgm"`` (He et al., arXiv
            1811.00250), ``"nni:taylor"`` (Molchanov et al., arXiv 1906.10771) or
            ``"nni:movement"`` (Sanh et al., arXiv 2005.07683).
        model: Left as it is, on its device.
        head: Its channels are outputs, which are not scored.
        ratio: Share that will be pruned; ``"nni:movement"`` trains with so much masked.
        loss: Of a module on the training batch of a number; only for the last two. Dropout draws
            from torch's global generator.

    Returns:
        Layer → NNI's metric of each of its output channels. Layers that the training never reached
        are missing.

    Raises:
        TrialFailed: NNI cannot take the network (cause ``"cannot prune"``).
        UsageError: NNI is not installed.
    """
    nni = _nni()
    kept = set(head.modules())
    layers = {
        path: layer
        for path, layer in model.named_modules()
        if isinstance(layer, SCORED) and layer not in kept
    }
    if not layers:
        return {}
    try:
        metrics = _metrics(nni, name, copy.deepcopy(model), list(layers), ratio, loss)
    except BREAKAGES as failure:
        raise TrialFailed(
            "cannot prune",
            f"NNI cannot score the channels of this network by {name!r} ({first_line(failure)})",
        ) from failure
    return {
        layers[path]: targets[WEIGHT].detach().flatten()
        for path, targets in metrics.items()
        if WEIGHT in targets
    }


def _metrics(
    nni: Any,
    name: str,
    model: nn.Module,
    paths: list[str],
    ratio: float,
    loss: Callable[[nn.Module, int], Tensor] | None,
) -> dict[str, dict[str, Tensor]]:
    """Path of a layer → name of a parameter → metric of each output channel."""
    pruning, setting = nni.compression.pruning, nni.compression.base.setting.PruningSetting
    for path in paths:
        # NNI knows layers by the name of their class, so that of a subclass has to be told.
        setting.registry.setdefault(
            type(model.get_submodule(path)).__name__, setting.default_setting
        )
    share = min(max(float(ratio), MASKED[0]), MASKED[1])
    chosen = [{"op_names": paths, "target_names": [WEIGHT], "sparse_ratio": share}]
    model.requires_grad_(True)
    with torch.enable_grad():
        match name:
            case "nni:l1" | "nni:fpgm":
                base = pruning.L1NormPruner if name == "nni:l1" else pruning.FPGMPruner
                pruner = _watched(base, masking=False)(model, chosen)
                pruner.compress()
            case "nni:taylor":
                # At rate 0 the gradients are those of the network as it is.
                evaluator = _evaluator(nni, model.eval(), torch.optim.SGD, 0.0, loss)
                pruner = _watched(pruning.TaylorPruner, masking=False)(
                    model, chosen, evaluator, training_steps=TAYLOR_STEPS
                )
                pruner.compress()
            case _:
                evaluator = _evaluator(nni, model.train(), torch.optim.Adam, MOVEMENT_RATE, loss)
                pruner = _watched(pruning.MovementPruner, masking=True)(
                    model, chosen, evaluator, warmup_step=WARM_STEPS, cooldown_begin_step=COOL_STEPS
                )
                pruner.compress(MOVEMENT_STEPS, None)
    found: dict[str, dict[str, Tensor]] = pruner.seen
    return found


def _watched(base: Any, *, masking: bool) -> Any:
    """A pruner that keeps the metrics from which it makes its masks."""

    class Watched(base):  # type: ignore[misc]
        def _generate_sparsity(self, metrics: Any) -> Any:
            self.seen = metrics
            return super()._generate_sparsity(metrics) if masking else {}

    return Watched


def _evaluator(nni: Any, model: nn.Module, optimizer: Any, rate: float, loss: Any) -> Any:
    """How NNI trains: on the batches of the loss, one a step."""

    def train(
        network: nn.Module, steps: Any, loss_of: Any, _schedule: Any, most: int, _epochs: Any
    ) -> None:
        for number in range(most):
            steps.zero_grad()
            loss_of(number, network).backward()
            steps.step()

    def loss_of(number: int, network: nn.Module) -> Tensor:
        found: Tensor = loss(network, number)
        return found

    traced = nni.trace(optimizer)(list(model.parameters()), lr=rate)
    return nni.compression.TorchEvaluator(train, traced, loss_of)


def _nni() -> Any:
    with importing_nni("NNI's importances need"):
        import nni
        import nni.compression.base.setting
        import nni.compression.pruning
    return nni

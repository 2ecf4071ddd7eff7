"""Networks that learnt standardised numbers, made to answer in the unit of the target."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from greenfront.objectives.tasks.task import TargetScale

__all__ = ["in_target_unit"]

CLOSE = 1e-3
"""Of the target's standard deviation: float32 answers may differ by as much."""


class Rescaled(nn.Module):
    """A network whose answers are multiplied and shifted."""

    def __init__(self, network: nn.Module, scale: TargetScale) -> None:
        super().__init__()
        self.network = network
        self.mean, self.deviation = scale.mean, scale.deviation

    def forward(self, inputs: Tensor) -> Tensor:
        """Answers in the target's unit, ``[n, 1]``."""
        answers: Tensor = self.network(inputs)
        return answers * self.deviation + self.mean


@torch.no_grad()
def in_target_unit(
    model: nn.Module, head: nn.Module, scale: TargetScale, inputs: Tensor
) -> nn.Module:
    """The network in evaluation mode, with answers in the unit of the target.

    The scale goes into the weights of the last layer, where it costs nothing; a network whose
    answer is not just what that layer gives gets two more operations.

    Args:
        model: Changed in place.
        head: Its last layer.
        scale: Of the target.
        inputs: A few examples to compare answers on, as the network takes them.
    """
    wanted = Rescaled(model.eval(), scale)(inputs)
    if isinstance(head, nn.Linear) and head.out_features == 1 and head.bias is not None:
        weight, bias = head.weight.clone(), head.bias.clone()
        head.weight *= scale.deviation
        head.bias.copy_(bias * scale.deviation + scale.mean)
        if float((model(inputs) - wanted).abs().max()) <= CLOSE * scale.deviation:
            return model
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    return Rescaled(model, scale)

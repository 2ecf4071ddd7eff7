"""How many examples to learn from at once, by what a network keeps of each for its gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["kept_bytes", "parts_of_batch"]

BUDGET_BYTES = 2**30
"""For a batch on a CPU: the same on each machine, so that equal trials give equal networks."""
FEWEST_AT_ONCE = 8
"""Batch normalisation over fewer examples would learn from other statistics."""


def parts_of_batch(model: nn.Module, inputs: Tensor, batch_size: int) -> int:
    """In how many parts to compute a batch, so that what is kept of each fits the budget.

    Returns:
        So many that none has fewer than eight examples, though it may keep more then; 1 on a GPU,
        whose memory is at nobody else's disposal: it is tried out there.
    """
    if inputs.device.type != "cpu":
        return 1
    at_once = max(1, BUDGET_BYTES // max(1, kept_bytes(model, inputs[:2]) // 2))
    return max(1, min(math.ceil(batch_size / at_once), batch_size // FEWEST_AT_ONCE))


def kept_bytes(model: nn.Module, inputs: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, besides weights and buffers."""
    own = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.random.fork_rng(devices=[]):
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            logits = model(inputs)  # alive to the end, and with it all that it keeps
        del logits
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(statistics[name])
    return sum(kept.values())

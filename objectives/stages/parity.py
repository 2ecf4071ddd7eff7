"""Whether an exported file answers like the module that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import onnxruntime
import torch
from torch import Tensor, nn

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.examples import Examples

__all__ = ["Parity", "parity"]

CHUNK = 32
"""Examples a pass: bounds memory, not results."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a file's answers are from its module's.

    Attributes:
        max_error: Largest difference of a logit.
        agreement: Share of the examples whose highest logit is that of the same class, 0 to 1.
    """

    max_error: float
    agreement: float


@torch.no_grad()
def parity(model: nn.Module, session: onnxruntime.InferenceSession, examples: Examples) -> Parity:
    """Compares a module, left in evaluation mode, with a file of it.

    Raises:
        TrialFailed: One of the two answers NaN or infinity (cause ``"not finite"``): there is
            nothing to compare.
    """
    model.eval()
    name = session.get_inputs()[0].name
    largest, same = 0.0, 0
    for start in range(0, len(examples), CHUNK):
        chunk = examples.batch(slice(start, start + CHUNK))
        wanted = model(chunk).float().cpu()
        given = torch.from_numpy(session.run(None, {name: chunk.cpu().numpy()})[0])
        _require_finite(wanted, "network", "its training has come apart, try a lower learning rate")
        _require_finite(given, "exported file", "so few bits overflow in it, try more of them")
        largest = max(largest, float((given - wanted).abs().max()))
        same += int((given.argmax(-1) == wanted.argmax(-1)).sum())
    return Parity(largest, same / len(examples))


def _require_finite(logits: Tensor, what: str, remedy: str) -> None:
    broken = int((~torch.isfinite(logits)).flatten(1).any(1).sum())
    if broken:
        raise TrialFailed(
            "not finite",
            f"the {what} must answer finite numbers, but {broken} of {len(logits)} examples got "
            f"NaN or infinity: {remedy}",
        )

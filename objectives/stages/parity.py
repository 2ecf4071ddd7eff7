"""Whether an exported file answers like the module that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import onnxruntime
import torch
from torch import Tensor, nn

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.examples import Examples
from greenfront.objectives.stages.export import fixes_batch
from greenfront.objectives.stages.session import RUNTIME_FAULTS

__all__ = ["Parity", "compared", "parity"]

CHUNK = 32
"""Examples a pass: bounds memory, not results."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a file's answers are from its module's.

    Attributes:
        max_error: Largest difference of a logit, or of a number in its own unit.
        agreement: Share of the examples whose highest logit is that of the same class, 0 to 1;
            ``None`` for numbers.
        relative_error: Of numbers: root mean square of the differences over the standard deviation
            of the module's answers; ``None`` for classes, and where the module always answers the
            same.
    """

    max_error: float
    agreement: float | None
    relative_error: float | None = None


@torch.no_grad()
def parity(model: nn.Module, session: onnxruntime.InferenceSession, examples: Examples) -> Parity:
    """Compares a module, left in evaluation mode, with a file of it.

    Raises:
        TrialFailed: One of the two answers NaN or infinity (cause ``"not finite"``): there is
            nothing to compare. Or the file does not take batches of any size, or answers in
            another shape (cause ``"cannot export"``).
    """
    model.eval()
    for count in (1, 2):
        few = examples.batch(slice(0, count))
        _require_shape(_given(session, few), model(few))
    wanted, given = [], []
    for start in range(0, len(examples), CHUNK):
        chunk = examples.batch(slice(start, start + CHUNK))
        wanted.append(model(chunk).float().cpu())
        given.append(_given(session, chunk))
        _require_shape(given[-1], wanted[-1])
        _require_finite(
            wanted[-1], "network", "its training has come apart, try a lower learning rate"
        )
        _require_finite(given[-1], "exported file", "so few bits overflow in it, try more of them")
    return compared(torch.cat(given), torch.cat(wanted), numbers=examples.has_numbers)


def compared(given: Tensor, wanted: Tensor, *, numbers: bool) -> Parity:
    """How far finite answers ``[n, outputs]`` are from those they should be."""
    difference = given - wanted
    largest = float(difference.abs().max())
    if not numbers:
        return Parity(largest, float((given.argmax(-1) == wanted.argmax(-1)).float().mean()))
    spread, error = float(wanted.std(correction=0)), float(difference.square().mean().sqrt())
    return Parity(largest, None, error / spread if spread else None)


def _given(session: onnxruntime.InferenceSession, inputs: Tensor) -> Tensor:
    try:
        answers = session.run(None, {session.get_inputs()[0].name: inputs.cpu().numpy()})[0]
    except RUNTIME_FAULTS as failure:
        raise fixes_batch(len(inputs)) from failure
    return torch.from_numpy(answers)


def _require_shape(given: Tensor, wanted: Tensor) -> None:
    if given.shape != wanted.shape:
        raise TrialFailed(
            "cannot export",
            f"the exported file must answer {list(wanted.shape)} for a batch of {len(wanted)} as "
            f"the network does, but answers {list(given.shape)}: the network's operations depend "
            "on the size that it is traced with, so name the axes that they work on, as in "
            "x.squeeze((2, 3)) or x.flatten(1)",
        )


def _require_finite(logits: Tensor, what: str, remedy: str) -> None:
    broken = int((~torch.isfinite(logits)).flatten(1).any(1).sum())
    if broken:
        raise TrialFailed(
            "not finite",
            f"the {what} must answer finite numbers, but {broken} of {len(logits)} examples got "
            f"NaN or infinity: {remedy}",
        )

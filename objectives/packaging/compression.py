"""Whether the compression that is claimed of a model is real."""

from __future__ import annotations

from pathlib import Path

from greenfront.objectives.packaging.findings import Check
from greenfront.objectives.packaging.inspection import Inspection
from greenfront.objectives.pipeline.stages.export import claim_of
from greenfront.objectives.stages.export import weight_count
from greenfront.objectives.stages.reality import unreal
from greenfront.spaces.architectures.registry import is_fitted
from greenfront.spaces.candidate import Candidate

__all__ = ["compression_check"]


def compression_check(
    inspection: Inspection, name: str, model: Candidate, path: Path, reference: Path | None = None
) -> Check:
    """Whether bits, pruning and zeros are in bytes, tensors and kernels.

    Args:
        inspection: Builds the model's architecture before any pruning.
        name: Of the check.
        model: What is claimed. Nothing is to be shown of what is fitted.
        path: The model's own file, from inputs to logits.
        reference: The same model at 32 bits; by default its untrained architecture stands for it.
    """
    reasons: tuple[str, ...] = ()
    if not is_fitted(model.architecture.family):
        pruned = bool(model.pruning.ratio)
        whole = reference
        if whole is None or pruned:
            whole = inspection.built(model, f"{path.stem}_untouched.onnx")
        untouched = weight_count(whole) if pruned else None
        example = inspection.runtime.models.data(model).validation.batch(slice(0, 1)).cpu().numpy()
        reasons = unreal(claim_of(model, untouched), reference or whole, path, example)
    found = "only in name" if reasons else "real"
    return Check(name, model.describe(), found, not reasons, "; ".join(reasons))

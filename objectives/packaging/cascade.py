"""Whether an exported cascade is made of what is claimed, and asks its second model as often."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.packaging.bench import Bench
from greenfront.objectives.packaging.findings import Check
from greenfront.objectives.packaging.package import passed_on
from greenfront.objectives.pipeline.stages.export import claim_of
from greenfront.objectives.stages.cascade import parts_of
from greenfront.objectives.stages.export import weight_count
from greenfront.objectives.stages.reality import unreal
from greenfront.spaces.architectures.registry import is_fitted
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.cascade import Cascade

__all__ = ["cascade_checks"]

NEAR = 0.01
"""Difference of the share that is passed on, on a processor that rounds otherwise."""


def cascade_checks(bench: Bench) -> Iterator[Check]:
    """Threshold, share that is passed on, and the compression of both models; none of others."""
    candidate = bench.candidate
    second = candidate.second
    if second is None:
        return
    parts, threshold = parts_of(onnx.load(bench.core)), candidate.of(Cascade).threshold
    yield Check(
        "cascade, threshold",
        f"{threshold:.4g}",
        f"{parts.threshold:.4g}",
        bool(np.float32(threshold) == np.float32(parts.threshold)),
        "the file asks its second model at another threshold",
    )
    claimed, found = bench.claims.passed_on, passed_on(bench.runtime, candidate, bench.core)
    room = 0.0 if bench.claims.processor == describe_cpu().name else NEAR
    yield Check(
        "cascade, passed on",
        "nothing" if claimed is None else f"{claimed:.1%} of validation",
        f"{found:.1%} of validation",
        claimed is not None and abs(found - claimed) <= room,
        "the file passes on another share of the validation examples than is claimed",
    )
    for name, part, model in (
        ("first", candidate.alone, parts.first),
        ("second", second, parts.second),
    ):
        path = bench.scratch / f"{name}.onnx"
        onnx.save(model, path)
        yield _compression(bench, name, part, path)


def _compression(bench: Bench, name: str, part: Candidate, path: Path) -> Check:
    """Whether bits, pruning and zeros of one of the models are real."""
    reasons: tuple[str, ...] = ()
    if not is_fitted(part.architecture.family):
        whole = bench.built(part, f"{name}_untouched.onnx")
        untouched = weight_count(whole) if part.pruning.ratio else None
        example = bench.runtime.models.data(part).validation.batch(slice(0, 1)).cpu().numpy()
        reasons = unreal(claim_of(part, untouched), whole, path, example)
    found = "only in name" if reasons else "real"
    return Check(f"cascade, {name} model", part.describe(), found, not reasons, "; ".join(reasons))

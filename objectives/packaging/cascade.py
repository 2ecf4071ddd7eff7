"""Whether an exported cascade is made of what is claimed, and asks its second model as often."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.packaging.compression import compression_check
from greenfront.objectives.packaging.findings import Check
from greenfront.objectives.packaging.inspection import Inspection
from greenfront.objectives.packaging.package import passed_on
from greenfront.objectives.stages.cascade import parts_of
from greenfront.spaces.techniques.cascade import Cascade

__all__ = ["cascade_checks"]

NEAR = 0.01
"""Difference of the share that is passed on, on a processor that rounds otherwise."""


def cascade_checks(inspection: Inspection) -> Iterator[Check]:
    """Threshold, share that is passed on, and the compression of both models; none of others."""
    candidate = inspection.candidate
    second = candidate.second
    if second is None:
        return
    parts, threshold = parts_of(onnx.load(inspection.core)), candidate.of(Cascade).threshold
    yield Check(
        "cascade, threshold",
        f"{threshold:.4g}",
        f"{parts.threshold:.4g}",
        bool(np.float32(threshold) == np.float32(parts.threshold)),
        "the file asks its second model at another threshold",
    )
    claimed, found = (
        inspection.claims.passed_on,
        passed_on(inspection.runtime, candidate, inspection.core),
    )
    room = 0.0 if inspection.claims.processor == describe_cpu().name else NEAR
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
        path = inspection.scratch / f"{name}.onnx"
        onnx.save(model, path)
        yield compression_check(inspection, f"cascade, {name} model", part, path)

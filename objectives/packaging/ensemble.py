"""Whether an exported ensemble is made of what is claimed."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from greenfront.errors import DataError
from greenfront.objectives.packaging.compression import compression_check
from greenfront.objectives.packaging.findings import Check
from greenfront.objectives.packaging.inspection import Inspection
from greenfront.objectives.stages.ensemble import members_of

__all__ = ["ensemble_checks"]


def ensemble_checks(inspection: Inspection) -> Iterator[Check]:
    """How many models there are, and the compression of each; none of other models."""
    candidate = inspection.candidate
    if not candidate.companions:
        return
    claimed = candidate.parts
    try:
        found = members_of(onnx.load(inspection.core))
    except DataError as error:
        yield Check("ensemble, models", f"{len(claimed)}", "none", False, str(error))
        return
    yield Check(
        "ensemble, models",
        f"{len(claimed)}",
        f"{len(found)}",
        len(found) == len(claimed),
        "the file averages another number of models",
    )
    for place, (model, graph) in enumerate(zip(claimed, found, strict=False), start=1):
        path = inspection.scratch / f"member{place}.onnx"
        onnx.save(graph, path)
        yield compression_check(inspection, f"ensemble, model {place}", model, path)

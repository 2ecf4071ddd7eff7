"""Holds an exported model to what is claimed of it, in a process that has nothing of its search."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from greenfront.errors import DataError, TrialFailed, first_line
from greenfront.objectives.codec import to_json
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.packaging.advised import advice_checks
from greenfront.objectives.packaging.cascade import cascade_checks
from greenfront.objectives.packaging.claims import CANDIDATE, CLAIMS, Judged
from greenfront.objectives.packaging.compression import compression_check
from greenfront.objectives.packaging.costs import cost_checks
from greenfront.objectives.packaging.ensemble import ensemble_checks
from greenfront.objectives.packaging.findings import Check, Verified
from greenfront.objectives.packaging.inspection import Inspection
from greenfront.objectives.packaging.package import differing, judged, likeness
from greenfront.objectives.packaging.shipped import open_shipped, said
from greenfront.objectives.pipeline.model_factory import family_of
from greenfront.objectives.stages.export import weight_count
from greenfront.objectives.stages.reality import executed_operators
from greenfront.objectives.stages.session import RUNTIME_FAULTS
from greenfront.objectives.tasks.recipe import TextRecipe
from greenfront.objectives.tasks.task import Split
from greenfront.objectives.wrapping.compose import SCHEMA, preprocessing_of
from greenfront.spaces.architectures.checkpoint import TOKENIZER
from greenfront.spaces.architectures.registry import is_fitted

__all__ = ["verified"]

SAME = 1e-6
"""Difference of a score on the processor that it was claimed on: that of rounding."""
NEAR = 0.005
"""The same on another processor, whose 8-bit products may round otherwise."""

SHOWN_LABELS = 6

FAULTS = (
    *RUNTIME_FAULTS,
    *(faults.InvalidGraph, faults.InvalidProtobuf, faults.NoSuchFile),
    *(AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError),
)
"""What a folder that was tampered with may raise where it is read."""


def verified(inspection: Inspection) -> Verified:
    """All checks; one that cannot be carried out does not hold, and says why.

    Where the data are others than claimed, nothing that depends on them is looked at.
    """
    found = [_attempted("data and splits", _data, inspection)]
    if not found[0].holds:
        return Verified((*found, *_attempted_all("file", _file, inspection)), None)
    parts: Sequence[tuple[str, Callable[[Inspection], Iterator[Check]]]] = (
        ("labels", _labels),
        ("preprocessing", _preprocessing),
        ("raw input", _raw_input),
        ("compression", _compression),
        ("cascade", cascade_checks),
        ("ensemble", ensemble_checks),
        ("file", _file),
        ("scores", _scores),
        ("torch network", _network),
        ("energy", cost_checks),
        ("advised", advice_checks),
    )
    for name, part in parts:
        found += _attempted_all(name, part, inspection)
    return Verified(tuple(found), _test(inspection))


def _attempted_all(
    name: str, part: Callable[[Inspection], Iterator[Check]], inspection: Inspection
) -> list[Check]:
    found: list[Check] = []
    try:
        found += part(inspection)
    except (DataError, TrialFailed) as error:
        found.append(Check(name, "", "", False, str(error)))
    except FAULTS as error:
        why = f"it cannot be looked at ({type(error).__name__}: {first_line(error)})"
        found.append(Check(name, "", "", False, why))
    return found


def _attempted(name: str, part: Callable[[Inspection], Check], inspection: Inspection) -> Check:
    return _attempted_all(name, lambda given: iter((part(given),)), inspection)[0]


def _data(inspection: Inspection) -> Check:
    claimed, found = inspection.claims.fingerprint, inspection.runtime.models.task.facts.fingerprint
    why = (
        "these are other data, or another test split, than those that the claims are about: give "
        "the study's own with --data"
    )
    return Check("data and splits", claimed[:12], found[:12], claimed == found, why)


def _labels(inspection: Inspection) -> Iterator[Check]:
    """Names by index: of the claims, in the file's metadata, and as the file says them."""
    classes = inspection.runtime.models.task.facts.class_names
    told = tuple(json.loads(inspection.told["greenfront.classes"]))
    for what, names in (("claims", inspection.claims.labels.classes), ("file", told)):
        wrong = next(
            (i for i, pair in enumerate(zip(names, classes, strict=False)) if pair[0] != pair[1]),
            None,
        )
        if wrong is not None or len(names) != len(classes):
            place = min(len(names), len(classes)) if wrong is None else wrong
            why = f"labels are not those of the data: those of the {what} differ at {place}"
            yield Check("labels", _listed(names), _listed(classes), False, why)
            return
    claimed = _listed(inspection.claims.labels.classes) or "a number"
    yield Check("labels", claimed, _listed(classes) or "a number", True, "")


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many there are where not all are shown."""
    told = ", ".join(names[:SHOWN_LABELS])
    return told if len(names) <= SHOWN_LABELS else f"{told}, … ({len(names)})"


def _preprocessing(inspection: Inspection) -> Iterator[Check]:
    """What the training rows teach now, beside what stands in the graph and in the metadata."""
    recipe = inspection.data.recipe
    schema = json.loads(inspection.told["greenfront.schema"])
    if schema != SCHEMA:
        why = "another version of greenfront has laid the graph out otherwise: export it again"
        yield Check("preprocessing", f"form {schema}", f"form {SCHEMA} is known", None, why)
        return
    if isinstance(recipe, TextRecipe):
        yield _tokenizer(inspection)
    learnt = json.loads(json.dumps(to_json(recipe)))
    told = json.loads(inspection.told["greenfront.preprocessing"])
    different = _first_difference(learnt, told)
    if different is not None:
        place, wanted, given = different
        why = f"{place} is not what the training rows teach"
        yield Check("preprocessing", str(given), str(wanted), False, why)
        return
    before = preprocessing_of(recipe)
    held = {tensor.name: tensor for tensor in inspection.model.graph.initializer}
    nodes = {node.SerializeToString() for node in inspection.model.graph.node}
    for constant in before.constants:
        wanted = numpy_helper.to_array(constant)
        given = numpy_helper.to_array(held[constant.name])
        if not np.array_equal(wanted, given):
            at = np.flatnonzero(wanted.ravel() != given.ravel())[0]
            why = f"{constant.name}[{at}] in the graph is not what the training rows teach"
            shown = [repr(float(each.ravel()[at])) for each in (given, wanted)]
            yield Check("preprocessing", shown[0], shown[1], False, why)
            return
    missing = [n.name for n in before.nodes if n.SerializeToString() not in nodes]
    why = f"the graph does not preprocess as the training did: {', '.join(missing[:3])} differ"
    wanted_nodes = f"{len(before.nodes)} operators"
    found_nodes = f"{len(before.nodes) - len(missing)} of them"
    yield Check("preprocessing", wanted_nodes, found_nodes, not missing, why)


def _tokenizer(inspection: Inspection) -> Check:
    folder = inspection.scratch / "tokenizer"
    folder.mkdir()
    family, shape = family_of(inspection.candidate), dict(inspection.candidate.architecture.shape)
    family.save_encoder(shape, inspection.runtime.models.task.train.inputs, folder)
    wanted, given = (
        json.loads((each / TOKENIZER).read_text()) for each in (folder, inspection.folder)
    )
    why = f"{TOKENIZER} is not the one that the training texts teach"
    return Check(
        "tokenizer",
        "as trained",
        "another" if wanted != given else "as trained",
        wanted == given,
        why,
    )


def _raw_input(inspection: Inspection) -> Iterator[Check]:
    """What the file says of raw rows, beside what the model in it says of encoded ones."""
    labels = replace(
        inspection.claims.labels, classes=inspection.runtime.models.task.facts.class_names
    )
    session = open_shipped(inspection.path, inspection.runtime.measuring.threads)
    for split in ("validation", "test"):
        wrong = differing(said(session, inspection.data, split), inspection.answers(split), labels)
        same = f"{len(wrong) - np.count_nonzero(wrong)} of {len(wrong)} alike"
        why = (
            "from raw input the file does not say what the model in it says of prepared examples: "
            "its preprocessing, threshold or labels were changed"
        )
        yield Check(f"raw input, {split}", f"{len(wrong)} alike", same, not wrong.any(), why)


def _compression(inspection: Inspection) -> Iterator[Check]:
    """Whether the compression of a model that stands alone is real.

    Those of a cascade and of an ensemble are looked at each, see there.
    """
    candidate = inspection.candidate
    stated = json.loads((inspection.folder / CANDIDATE).read_text())
    if stated != dict(inspection.claims.candidate):
        why = f"{CANDIDATE} and {CLAIMS} tell of different models"
        yield Check("candidate", candidate.describe(), "another", False, why)
    if not candidate.stands_alone or is_fitted(candidate.architecture.family):
        return
    yield compression_check(
        inspection, "compression", candidate, inspection.core, inspection.reference
    )


def _file(inspection: Inspection) -> Iterator[Check]:
    """Bytes, weights, shapes of inputs and outputs, and executed kernels."""
    size, claims = inspection.path.stat().st_size, inspection.claims
    yield Check(
        "bytes",
        f"{claims.file_bytes:,}",
        f"{size:,}",
        size == claims.file_bytes,
        "the file has another size",
    )
    weights = weight_count(inspection.core)
    yield Check(
        "weights",
        f"{claims.weights:,}",
        f"{weights:,}",
        weights == claims.weights,
        "the model has another number of weights",
    )
    one = inspection.data.feed(inspection.data.rows("validation")[:1])
    executed = executed_operators(inspection.path, one)
    wanted, given = dict(claims.operators), dict(executed)
    here = claims.processor == describe_cpu().name
    differing = sorted(n for n in {*wanted, *given} if wanted.get(n) != given.get(n))
    why = f"the runtime executes other operators: {', '.join(differing[:5])}"
    # Another processor may fuse otherwise.
    yield Check(
        "operators",
        f"{sum(wanted.values())}",
        f"{sum(given.values())}",
        not differing if here else None,
        why if here else "another processor",
    )


def _scores(inspection: Inspection) -> Iterator[Check]:
    claims, metric = inspection.claims, inspection.runtime.judged_by.metric
    room = SAME if claims.processor == describe_cpu().name else NEAR
    splits: tuple[tuple[Split, Judged], ...] = (
        ("validation", claims.validation),
        ("test", claims.test),
    )
    for split, claimed in splits:
        found = judged(
            inspection.runtime,
            inspection.candidate,
            inspection.core,
            claims.labels.threshold,
            split,
        )
        scale = 1.0 if metric.in_percent or metric.maximise else max(abs(claimed.score), 1e-12)
        holds = abs(found.score - claimed.score) <= room * scale
        why = f"the {split} examples are not scored as claimed"
        name = f"{metric.word}, {split}"
        texts = [f"{metric.text(each.score)} of {each.examples}" for each in (claimed, found)]
        yield Check(name, texts[0], texts[1], holds and found.examples == claimed.examples, why)


def _test(inspection: Inspection) -> Judged | None:
    try:
        threshold = inspection.claims.labels.threshold
        return judged(inspection.runtime, inspection.candidate, inspection.core, threshold, "test")
    except (DataError, TrialFailed, *FAULTS):
        return None


def _network(inspection: Inspection) -> Iterator[Check]:
    """The torch network that lies beside the file answers as it did, and as the file does."""
    claimed = inspection.claims.agreement
    if inspection.network is None:
        if inspection.claims.max_error is not None:
            yield Check("torch network", "model.safetensors", "none", False, "it is missing")
        return
    like = likeness(inspection.runtime, inspection.candidate, inspection.network, inspection.core)
    if claimed is None or like.agreement is None:
        largest = inspection.claims.max_error or 0.0
        holds = like.max_error <= max(2 * largest, 1e-3)
        why = "file and torch network answer differently"
        texts = [f"within {each:.2g}" for each in (largest, like.max_error)]
        yield Check("torch network", texts[0], texts[1], holds, why)
        return
    holds = like.agreement >= claimed - SAME
    why = "file and torch network agree on fewer test examples"
    yield Check("torch network", f"{claimed:.1%} alike", f"{like.agreement:.1%} alike", holds, why)


def _first_difference(wanted: Any, given: Any, place: str = "") -> tuple[str, Any, Any] | None:
    """Where two JSON values differ first, in words that name columns."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        name = wanted.get("column", wanted.get("step", {}) if "step" in wanted else "")
        own = f"{name!r} " if isinstance(name, str) and name else ""
        for key in wanted:
            found = _first_difference(wanted[key], given.get(key), f"{place}{own}{key} ")
            if found is not None:
                return found
        return None
    if isinstance(wanted, list) and isinstance(given, list) and len(wanted) == len(given):
        for number, (one, other) in enumerate(zip(wanted, given, strict=True)):
            found = _first_difference(one, other, f"{place}{number} " if place else "")
            if found is not None:
                return found
        return None
    return None if wanted == given else (place.strip() or "it", wanted, given)

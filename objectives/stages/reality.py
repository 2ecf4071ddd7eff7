"""Whether what is claimed of a compressed file is true of its bytes, tensors and kernels."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from greenfront.objectives.stages.export import INPUT, stored_weights, weight_count
from greenfront.objectives.stages.fake_quant import SMALLEST_PACKED
from greenfront.objectives.stages.session import open_session, session_options
from greenfront.objectives.stages.sparsify import zero_share
from greenfront.spaces.techniques.precision import Precision

__all__ = ["Claim", "executed_operators", "off_card", "unreal"]

FLOATING = {"Conv", "ConvTranspose", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm", "MatMul"}
"""The runtime's kernels for products in floating point."""
INTEGER = {
    "ConvInteger",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QAttention",
    "QGemm",
    "QLinearConv",
    "QLinearMatMul",
}
"""The runtime's kernels for products of 8-bit integers."""
TREES = {"TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"}
RECURRENT = {"GRU", "LSTM", "RNN"}
WORK = FLOATING | INTEGER | TREES | RECURRENT | {"TfIdfVectorizer"}
"""What a prediction consists of: where it runs, the prediction runs."""
LARGEST_FLOATING_SHARE = 0.5
"""Products of two activations stay floating: a third of those of an attention block."""
SMALLEST_NARROW_SHARE = 0.5
SMALLEST_SHARE_OF_ZEROS = 0.5
"""Of those claimed: learnt positions are among the weights of a file, but are never set to zero."""
WIDTHS = {
    getattr(TensorProto, name): bits
    for name, bits in (
        ("FLOAT", 32),
        ("FLOAT16", 16),
        ("INT8", 8),
        ("UINT8", 8),
        ("INT4", 4),
        ("UINT4", 4),
        ("INT2", 2),
        ("UINT2", 2),
    )
    if hasattr(TensorProto, name)
}
"""Types that weights are stored in → bits of one number."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be credited.

    Attributes:
        precision: Of the weights.
        untouched_weights: Numbers in the tensors of two and more axes before pruning; ``None``
            where no pruning is claimed.
        zeros: Share of the weights that were set to zero; nothing is credited for them, but what
            is said of them has to be true, too.
        mixed: Whether layers differ in their bits, each in those that pay for it: then neither
            bytes nor a number of layers are claimed, but that some compute in 8 bits.
    """

    precision: Precision
    untouched_weights: int | None = None
    zeros: float = 0.0
    mixed: bool = False


def unreal(claim: Claim, reference: Path, artefact: Path, example: NDArray[Any]) -> tuple[str, ...]:
    """Finds savings that exist only in name.

    A file at 32 bits is its own reference.

    Returns:
        A sentence for each claim that the file does not bear out; none if all is real.
    """
    reasons = []
    bits = claim.precision.bits
    weights, untouched = weight_count(artefact), claim.untouched_weights
    if untouched is not None and weights >= untouched:
        reasons.append(
            f"pruning is claimed, but the file stores {weights:,} weights and the unpruned network "
            f"has {untouched:,}"
        )
    zeros = zero_share(artefact) if claim.zeros else 0.0
    if zeros < SMALLEST_SHARE_OF_ZEROS * claim.zeros:
        reasons.append(
            f"{claim.zeros:.0%} zeros are claimed, but {zeros:.0%} of the file's weights are zero"
        )
    if bits < 32 and not claim.mixed:
        size, whole = artefact.stat().st_size, reference.stat().st_size
        if size >= whole:
            reasons.append(
                f"{bits} bits are claimed, but the file takes {size:,} bytes and the same network "
                f"at 32 bits {whole:,}"
            )
        share = _narrow_share(artefact, bits)
        if share < SMALLEST_NARROW_SHARE:
            reasons.append(
                f"{bits} bits are claimed, but only {share:.0%} of the large weights are stored in "
                "so few"
            )
    if claim.precision.computes_int8:
        executed = executed_operators(artefact, example)
        share = 1.0 if claim.mixed else LARGEST_FLOATING_SHARE
        reasons += _floating(executed, share)
    return tuple(reasons)


def executed_operators(
    path: Path, example: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> Counter[str]:
    """Kernels that the runtime executes for one call, by name, from its own profile.

    Args:
        path: The file.
        example: Inputs of the call, by name where it has several.
    """
    feed = example if isinstance(example, Mapping) else {INPUT: example}
    with tempfile.TemporaryDirectory() as folder:
        options = session_options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = open_session(path, options)
        session.run(None, dict(feed))
        events = json.loads(Path(session.end_profiling()).read_text())
    return Counter(
        event["args"]["op_name"]
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    )


def off_card(left: Counter[str]) -> str | None:
    """Why a prediction is none of a GPU's, though it is to be measured there; ``None`` if it is.

    Args:
        left: See :func:`~greenfront.objectives.stages.session.left_on_cpu`.
    """
    working = sorted(name for name in left if name in WORK)
    if not working:
        return None
    told = ", ".join(f"{left[name]} {name}" for name in working)
    return (
        "predictions are to be measured on the GPU, but ONNX Runtime has no kernels there for "
        f"{told}, which would run on the CPU"
    )


def _narrow_share(path: Path, bits: int) -> float:
    large = [
        (int(np.prod(tensor.dims)), WIDTHS[tensor.data_type])
        for tensor in stored_weights(onnx.load(path).graph)
        if tensor.data_type in WIDTHS
    ]
    large = [(count, width) for count, width in large if count >= SMALLEST_PACKED]
    total = sum(count for count, _ in large)
    return sum(count for count, width in large if width <= bits) / total if total else 0.0


def _floating(executed: Counter[str], largest_share: float) -> list[str]:
    integer = sum(executed[name] for name in INTEGER)
    floating = sum(executed[name] for name in FLOATING)
    if integer == 0:
        return ["int8 kernels are claimed, but the runtime executes none"]
    if floating / (floating + integer) > largest_share:
        return [
            f"int8 kernels are claimed, but the runtime executes {floating} of "
            f"{floating + integer} products in floating point"
        ]
    return []

"""Files whose products are computed in 8 bits: the recipes, and which of them a network bears."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from greenfront.errors import TrialFailed
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT
from greenfront.objectives.stages.fold_sizes import size_arithmetic
from greenfront.objectives.stages.session import open_session, session_options

__all__ = [
    "Int8Choice",
    "Int8Recipe",
    "compute_int8",
    "fastest_int8",
    "has_vnni",
    "int8_layers",
]

Int8Recipe = Literal["static", "static_per_tensor", "dynamic"]
"""How int8 kernels get their ranges: calibrated once (weights by channel or by tensor), or
computed at each call."""

CALIBRATION_BATCH = 8
"""Examples at once: the calibration of large images keeps what each layer answers to them."""
JUDGED = 32
"""Examples whose answers are compared."""
ROUNDS = 9
"""Times that files are timed in turn."""
BLOCK_SECONDS = 0.02
"""Length of one turn."""
LARGEST_ERROR = 0.25
"""Of the spread of the logits: recipes that err more are not taken where another errs less."""
CLOSE = 0.1
"""Of the spread of the logits: files that err more keep layers at 32 bits."""
KEPT_SHARES = (1 / 12, 1 / 6)
"""Of the layers, from the input, that stay at 32 bits, tried in turn."""
WORTHWHILE = 0.9
"""A recipe with coarser scales is taken where it needs at most this share of the time."""
PRODUCTS = ("MatMul", "Gemm", "Gather")
"""Operators that a dynamic recipe makes integer: convolutions would get slower than at 32 bits."""
LAYERS = ("Conv", "MatMul", "Gemm")
"""What holds the weights of a network; a dynamic recipe leaves the first of them as they are."""


def compute_int8(
    source: Path,
    target: Path,
    recipe: Int8Recipe,
    *,
    calibration: NDArray[Any],
    reduce_range: bool,
    trained: bool = True,
    floating: Sequence[str] | None = None,
) -> int:
    """Writes a file that computes in 8 bits, as much of it as the network bears.

    Errors grow on the way from the input, and the first layers make the largest: where calibrated
    ranges move the logits by more than a tenth of their spread, more and more of these stay
    floating. If that does not help enough, the file that errs least is taken. Answers of an
    untrained network mean nothing: all of its layers compute in 8 bits. Where ``floating`` names
    the layers that stay, these do and no others.

    Returns:
        How many layers stay at 32 bits.

    Raises:
        TrialFailed: The graph cannot be quantized (cause ``"cannot quantize"``).
    """
    if floating is not None:
        _write_int8(source, target, recipe, calibration, reduce_range, floating)
        return len(floating)
    if recipe == "dynamic" or not trained:
        _write_int8(source, target, recipe, calibration, reduce_range)
        return 0
    wanted = _answers(open_artefact(source, threads=1), calibration)
    layers = int8_layers(source, recipe)
    least, best, best_kept = math.inf, b"", 0
    for kept in (0, *sorted({math.ceil(share * len(layers)) for share in KEPT_SHARES})):
        _write_int8(source, target, recipe, calibration, reduce_range, layers[:kept])
        error = _error(_answers(open_artefact(target, threads=1), calibration), wanted)
        if error < least or not best:
            least, best, best_kept = error, target.read_bytes(), kept
        if error <= CLOSE or math.isinf(error):  # without any spread there is nothing to lose
            break
    target.write_bytes(best)
    return best_kept


def int8_layers(source: Path, recipe: Int8Recipe) -> list[str]:
    """Names of the layers that a recipe computes in 8 bits, from the input on."""
    model = _prepared(source) if recipe == "dynamic" else _fused(source)
    return [node.name for node in model.graph.node if node.op_type in LAYERS[recipe == "dynamic" :]]


@dataclass(frozen=True, slots=True)
class Int8Choice:
    """The best int8 recipe for a graph on this machine.

    Attributes:
        recipe: Its name.
        ratio: CPU time of its calls over that of the same graph at 32 bits; below 1 is faster.
        error: Mean difference of its logits from those at 32 bits, over their spread.
    """

    recipe: Int8Recipe
    ratio: float
    error: float


def fastest_int8(
    source: Path, calibration: NDArray[Any], *, reduce_range: bool, threads: int, batch: int = 1
) -> Int8Choice:
    """Makes each int8 form that may pay, and times them and the 32-bit file in turns.

    Threads and batch are those of :class:`~greenfront.objectives.stages.metered.Measuring`.

    Returns:
        The fastest of those that answer nearly as at 32 bits, of nearly equal ones that with the
        finer scales; where none does, the one that errs least.

    Raises:
        TrialFailed: There is no int8 form of the graph (cause ``"cannot quantize"``).
    """
    with tempfile.TemporaryDirectory() as folder:
        sessions = {}
        for recipe in _sensible(source):
            target = Path(folder) / f"{recipe}.onnx"
            try:
                _write_int8(source, target, recipe, calibration, reduce_range)
            except TrialFailed as failure:
                failed = failure
            else:
                sessions[recipe] = open_artefact(target, threads)
        if not sessions:
            raise failed
        whole = open_artefact(source, threads)
        wanted = _answers(whole, calibration)
        errors = {
            recipe: _error(_answers(session, calibration), wanted)
            for recipe, session in sessions.items()
        }
        ratios = _ratios(whole, sessions, calibration[:batch])
    close = [recipe for recipe in sessions if errors[recipe] <= LARGEST_ERROR]
    best = close[0] if close else min(errors, key=lambda recipe: errors[recipe])
    for recipe in close[1:]:  # in the order of their accuracy on trained networks
        if ratios[recipe] < WORTHWHILE * ratios[best]:
            best = recipe
    return Int8Choice(best, ratios[best], errors[best])


def has_vnni() -> bool:
    """Whether the CPU has 8-bit products that do not saturate."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_vnni" in flags or "avx_vnni" in flags


def _sensible(source: Path) -> tuple[Int8Recipe, ...]:
    kinds = Counter(node.op_type for node in onnx.load(source).graph.node)
    if kinds["Softmax"]:
        return ("dynamic",)  # one range for all that attention sees is too coarse
    if kinds["Conv"] > kinds["MatMul"] + kinds["Gemm"]:
        return ("static", "static_per_tensor")
    return ("static", "static_per_tensor", "dynamic")


def _ratios(
    whole: Any, sessions: Mapping[Int8Recipe, Any], inputs: NDArray[Any]
) -> dict[Int8Recipe, float]:
    """Median over the rounds of a session's time over that of the 32-bit one beside it."""

    def run(session: Any, calls: int) -> float:
        # The process's time on the CPU, which neighbours hardly move; with one thread it is the
        # latency of an idle machine.
        began = time.process_time()
        for _ in range(calls):
            session.run(None, {INPUT: inputs})
        return (time.process_time() - began) / calls

    once = min(run(session, 3) for session in (whole, *sessions.values()))
    calls = max(1, round(BLOCK_SECONDS / once))
    rounds: list[dict[Int8Recipe, float]] = []
    for _ in range(ROUNDS):
        base = run(whole, calls)
        rounds.append({recipe: run(s, calls) / base for recipe, s in sessions.items()})
    return {recipe: statistics.median(each[recipe] for each in rounds) for recipe in sessions}


def _answers(session: Any, calibration: NDArray[Any]) -> NDArray[Any]:
    parts = [
        session.run(None, {INPUT: calibration[start : start + CALIBRATION_BATCH]})[0]
        for start in range(0, max(1, min(JUDGED, len(calibration))), CALIBRATION_BATCH)
    ]
    return np.concatenate(parts)


def _error(logits: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Mean difference over the spread of the wanted ones; infinite where they have none."""
    difference, spread = float(np.abs(logits - wanted).mean()), float(wanted.std())
    return difference / spread if spread else math.inf


def _write_int8(
    source: Path,
    target: Path,
    recipe: Int8Recipe,
    calibration: NDArray[Any],
    reduce_range: bool,
    floating: Sequence[str] = (),
) -> None:
    try:
        if recipe == "dynamic":
            quantize_dynamic(
                _prepared(source),
                target,
                op_types_to_quantize=list(PRODUCTS),
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=reduce_range,
                nodes_to_exclude=list(floating),
            )
            return
        model = _fused(source)
        # Sizes are no data: rounded, they would be other sizes.
        sizes = [node.name for node in size_arithmetic(model.graph)]
        quantize_static(
            model,
            target,
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=recipe == "static",
            reduce_range=reduce_range,
            nodes_to_exclude=[*sizes, *floating],
        )
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as failure:
        raise TrialFailed(
            "cannot quantize",
            f"ONNX Runtime finds no {recipe.replace('_', ' ')} int8 form of this network "
            f"({failure})",
        ) from failure


def _prepared(source: Path) -> onnx.ModelProto:
    model = onnx.load(source)
    # Shapes noted by an exporter contradict those of quantized tensors.
    del model.graph.value_info[:]
    _give_each_its_own(model.graph)
    return model


def _fused(source: Path) -> onnx.ModelProto:
    """With paddings made part of their convolutions: between two conversions they could not be."""
    options = session_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fused.onnx"
        options.optimized_model_filepath = str(path)
        open_session(_prepared(source), options)
        return onnx.load(path)


def _give_each_its_own(graph: onnx.GraphProto) -> None:
    """Undoes the exporter's sharing of equal tensors: the quantizer skips a bias that is shared.

    Biases of a network before its training are all zero, and its convolutions would stay floating
    between conversions to and from int8: slower than at 32 bits.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Identity"]:
        tensor = stored.get(node.input[0])
        if tensor is not None:
            copy = graph.initializer.add()
            copy.CopyFrom(tensor)
            copy.name = node.output[0]
            stored[copy.name] = copy
            graph.node.remove(node)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: NDArray[Any]) -> None:
        self._batches: Iterator[dict[str, NDArray[Any]]] = iter(
            [
                {INPUT: inputs[start : start + CALIBRATION_BATCH]}
                for start in range(0, len(inputs), CALIBRATION_BATCH)
            ]
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._batches, None)

"""What measurements of ways to run a file have shown, in sentences."""

from __future__ import annotations

from greenfront.objectives.packaging.claims import PredictionParts
from greenfront.objectives.runtime_options import RuntimeAdvice, TriedRuntime
from greenfront.objectives.stages.turns import Ratio
from greenfront.studies.analysis.words.quantities import joules, percent_range

__all__ = ["advice_lines", "counted_beside"]

SPINNING = 1.2
"""A session without options that takes so many times what a quiet one does, and clearly more, has
threads to blame."""

PAIRED = (
    "Such a multiple is the median of pairs, each measured in one turn, which a slower moment of "
    "the machine leaves as they are: it need not be the quotient of the joules told here, which "
    "are taken over all turns."
)
ALONE = (
    "with intra_op_num_threads = 1 it takes what predict.py does. The file says so to ONNX "
    "Runtime, which reads that where ORT_LOAD_CONFIG_FROM_MODEL=1 is set."
)
TOGETHER = (
    "with intra_op_num_threads = {} and session.intra_op.allow_spinning = 0 it takes what "
    "predict.py does."
)


def advice_lines(advice: RuntimeAdvice) -> list[str]:
    """Which options and which size of a call take least; what they take stays uncredited."""
    best, batched = advice.best, advice.batched
    if best is None:
        lines = [
            f"Run it as it is measured ({advice.usual.describe()}): nothing else takes clearly "
            "less."
        ]
    else:
        lines = [
            f"Run it with {best.options.describe()}: {_of(best)} of the joules of "
            f"{advice.usual.describe()}, which stays what is credited."
        ]
    if batched is not None:
        lines.append(
            f"Where several examples wait, ask {batched.batch} at a time: {_of(batched)} of the "
            "joules of the model."
        )
    return lines


def _of(tried: TriedRuntime) -> str:
    return percent_range(tried.ratio, tried.low, tried.high)


def counted_beside(parts: PredictionParts, threads: int) -> str:
    """How what a study counts lies beside what whole predictions take in either session."""
    told = (
        "What the study counts for a prediction was measured once more at the export, in turns "
        f"with whole ones: {joules(parts.model.joules)} for the model and "
        f"{joules(parts.preprocessing.joules)} for preprocessing."
    )
    own, plain = parts.own_over_counted, parts.over_counted
    if parts.own is not None:
        whole = joules(parts.own.joules)
        told += f" From raw input to label predict.py takes {whole}{_times(own)}."
    told += f" A session without options takes {joules(parts.whole.joules)}{_times(plain)}."
    if own is not None or plain is not None:
        told += f" {PAIRED}"
    spun = parts.plain_over_own
    if spun is not None and spun.low > 1 and spun.value > SPINNING:
        told += " That is its threads, one a core, which wait actively for each other: "
        told += ALONE if threads == 1 else TOGETHER.format(threads)
    return told


def _times(ratio: Ratio | None) -> str:
    return "" if ratio is None else f", {ratio.value:.2f} times both together"

"""What a measurement of ways to run a file recommends, in sentences."""

from __future__ import annotations

from greenfront.objectives.runtime_options import RuntimeAdvice, TriedRuntime
from greenfront.studies.analysis.quantities import UNAVAILABLE, percent

__all__ = ["advice_lines"]


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
            "joules of a prediction."
        )
    return lines


def _of(tried: TriedRuntime) -> str:
    if tried.ratio is None or tried.low is None or tried.high is None:
        return UNAVAILABLE
    return f"{percent(tried.ratio)} ({percent(tried.low)} to {percent(tried.high)})"

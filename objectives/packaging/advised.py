"""Whether the advised way to run a file takes no more than the usual one, on this machine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace

import onnxruntime

from greenfront.objectives.packaging.bench import Bench
from greenfront.objectives.packaging.findings import Check
from greenfront.objectives.packaging.shipped import MEASURED, open_shipped
from greenfront.objectives.stages.metered import Work
from greenfront.objectives.stages.session import open_session, session_options
from greenfront.objectives.stages.turns import in_turns
from greenfront.objectives.tasks.recipe import TextRecipe

__all__ = ["advice_checks"]


def advice_checks(bench: Bench) -> Iterator[Check]:
    """The whole file with the advised options and as it is claimed, in turns; none without any."""
    advice = bench.claims.runtime
    if advice is None or advice.best is None:
        return
    entire = bench.candidate.second is not None
    measuring = replace(bench.runtime.measuring, entire=entire)
    rows = bench.data.rows("validation")[: None if entire else MEASURED]
    feeder, texts = bench.data.feeder(rows), isinstance(bench.data.recipe, TextRecipe)

    def work(session: onnxruntime.InferenceSession) -> Work:
        def call(some: slice) -> Callable[[], object]:
            return functools.partial(session.run, None, dict(feeder(some)))

        return Work.over(len(rows), measuring.batch, call, texts=texts)

    works = [
        work(open_shipped(bench.path, measuring.threads)),
        work(open_session(bench.path, session_options(advice.options))),
    ]
    found = in_turns(works, bench.runtime.context, phase="verify", measuring=measuring)[1].ratio
    name = f"advised: {advice.options.describe()}"
    claimed = f"{advice.best.ratio or 1:.0%} of the joules"
    if found is None:
        yield Check(name, claimed, "unavailable", None, "a reading is unavailable")
        return
    told = f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"
    why = "here it takes more than the usual options, raw input and labels included"
    yield Check(name, claimed, told, found.low <= 1, why)

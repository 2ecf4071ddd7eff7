"""Whether the advised way to run a file takes no more than the usual one, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from greenfront.objectives.packaging.findings import Check
from greenfront.objectives.packaging.inspection import Inspection
from greenfront.objectives.packaging.shipped import open_shipped, raw_work
from greenfront.objectives.stages.session import open_session, session_options
from greenfront.objectives.stages.turns import in_turns

__all__ = ["advice_checks"]


def advice_checks(inspection: Inspection) -> Iterator[Check]:
    """The whole file with the advised options and as it is claimed, in turns; none without any."""
    advice = inspection.claims.runtime
    if advice is None or advice.best is None:
        return
    entire = inspection.candidate.second is not None
    measuring = replace(inspection.runtime.measuring, entire=entire)
    sessions = (
        open_shipped(inspection.path, measuring.threads),
        open_session(inspection.path, session_options(advice.options)),
    )
    works = [raw_work(session, inspection.data, measuring) for session in sessions]
    found = in_turns(works, inspection.runtime.context, phase="verify", measuring=measuring)[
        1
    ].ratio
    name = f"advised: {advice.options.describe()}"
    claimed = f"{advice.best.ratio or 1:.0%} of the joules"
    if found is None:
        yield Check(name, claimed, "unavailable", None, "a reading is unavailable")
        return
    told = f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"
    why = "here it takes more than the usual options, raw input and labels included"
    yield Check(name, claimed, told, found.low <= 1, why)

"""What an evaluator can be asked about a finished trial's file: to package it, and to judge it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from greenfront.objectives.packaging.package import Order, judged, package
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.search.evaluator.child import Calls
from greenfront.spaces.candidate import Candidate

__all__ = ["export_calls"]


def export_calls(runner: TrialRunner, settings: TaskSettings) -> Calls:
    """The calls ``package``, and ``judge``: the score of another trial's file on the test split.

    Both take ``candidate``, ``artefact`` and ``threshold``, and ``package`` a ``folder``.
    """

    def packaged(argument: Any) -> Any:
        return package(
            runner,
            Order(
                Candidate.from_json(argument["candidate"]),
                argument["artefact"],
                argument["threshold"],
                Path(argument["folder"]),
            ),
            settings,
        )

    def judge(argument: Any) -> Any:
        candidate = Candidate.from_json(argument["candidate"])
        core = runner.delivered(candidate, argument["artefact"]).path
        return judged(runner.runtime, candidate, core, argument["threshold"], "test")

    return {"package": packaged, "judge": judge}

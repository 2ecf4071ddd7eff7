"""What an evaluator can be asked about a finished trial's file: to package and to verify it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from greenfront.objectives.codec import from_json
from greenfront.objectives.packaging.claims import read_claims
from greenfront.objectives.packaging.inspection import Inspection
from greenfront.objectives.packaging.package import PackageRequest, judged, package
from greenfront.objectives.packaging.verification import verified
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.runtime_options import RuntimeAdvice
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.search.evaluator.child import Calls
from greenfront.spaces.candidate import Candidate

__all__ = ["export_calls"]


def export_calls(runner: TrialRunner, settings: TaskSettings) -> Calls:
    """The calls ``package``, ``judge`` and ``verify``.

    ``judge`` gives the score of another trial's file on the test split. Both take ``candidate``,
    ``artefact`` and ``threshold``, and ``package`` a ``folder`` and the advised ``runtime``.
    ``verify`` holds an exported ``folder`` to its claims.
    """

    def packaged(argument: Any) -> Any:
        return package(
            runner,
            PackageRequest(
                Candidate.from_json(argument["candidate"]),
                argument["artefact"],
                argument["threshold"],
                Path(argument["folder"]),
                from_json(RuntimeAdvice, told) if (told := argument["runtime"]) else None,
            ),
            settings,
        )

    def judge(argument: Any) -> Any:
        candidate = Candidate.from_json(argument["candidate"])
        core = runner.delivered(candidate, argument["artefact"]).path
        return judged(runner.runtime, candidate, core, argument["threshold"], "test")

    def verify(argument: Any) -> Any:
        folder = Path(argument["folder"])
        with tempfile.TemporaryDirectory() as scratch:
            inspection = Inspection(
                folder, read_claims(folder), runner.runtime, settings, Path(scratch)
            )
            return verified(inspection)

    return {"package": packaged, "judge": judge, "verify": verify}

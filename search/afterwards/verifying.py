"""An exported folder held to what is claimed of it, by a process that is started for that."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from greenfront.errors import ExportError, TrialFailed, UsageError
from greenfront.objectives.metering.instruments import open_instruments
from greenfront.objectives.packaging.claims import Claims, read_claims
from greenfront.objectives.packaging.findings import Check, Verified
from greenfront.objectives.readings import Reading
from greenfront.objectives.tasks.settings import DATA_PATHS
from greenfront.search.networks.exploration import Prepaid, start_evaluator
from greenfront.studies.config.own_code import is_own_family, require_named_here
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.export.facts import paired_difference
from greenfront.studies.export.folder import SUMS, broken_sums
from greenfront.studies.export.record import Difference

__all__ = ["Verification", "verify"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What came out.

    Attributes:
        folder: That was looked at.
        claims: What it says of itself.
        checks: Claimed beside found.
        difference: Score on the test split less the baseline's, with its paired 95 % interval;
            ``None`` where one of them is unknown.
        spent: What looking has taken; ``None`` where nothing was run.
    """

    folder: Path
    claims: Claims
    checks: tuple[Check, ...]
    difference: Difference | None
    spent: Reading | None = None

    @property
    def holds(self) -> bool:
        """Whether every claim that can be judged here holds."""
        return all(check.holds is not False for check in self.checks)


def verify(
    folder: Path,
    data: Path | None = None,
    *,
    say: Callable[[str], None] = lambda _message: None,
) -> Verification:
    """Looks at everything that is claimed.

    Args:
        folder: Of an exported model.
        data: Where the study's data are now; by default where they were.
        say: Takes messages on what is being done.

    Raises:
        DataError: There are no claims, or the data cannot be used.
        ExportError: The process that looks died.
    """
    claims = read_claims(folder)
    broken = broken_sums(folder)
    sums = Check("checksums", f"as in {SUMS}", "alike", not broken, "; ".join(broken))
    if broken:
        # What was changed by accident or on the way is not run.
        return Verification(folder, claims, (replace(sums, found=f"{len(broken)} wrong"),), None)
    context = Prepaid()
    found = _looked_at(folder, claims, data, context, say)
    checks = (sums, *found.checks)
    return Verification(folder, claims, checks, _difference(claims, found), context.total)


def _looked_at(
    folder: Path,
    claims: Claims,
    data: Path | None,
    context: Prepaid,
    say: Callable[[str], None],
) -> Verified:
    with tempfile.TemporaryDirectory() as cache:
        file = _study_file(claims, data, Path(cache))
        require_named_here(file, f"{str(folder)!r}")
        instruments = open_instruments(file.metering, say=say, gpu=False)
        say("starting a fresh process and loading the data")
        try:
            evaluator = start_evaluator(file, instruments, context, Path(cache))
            try:
                say("looking at labels, preprocessing, kernels, scores and joules")
                argument = {"folder": str(folder.resolve())}
                return evaluator.call("verify", argument, context, returns=Verified)
            finally:
                evaluator.close(context)
        except TrialFailed as failure:
            raise ExportError(f"{str(folder)!r} could not be looked at: {failure}") from failure


def _study_file(claims: Claims, data: Path | None, cache: Path) -> StudyFile:
    """As much of the study's file as reading its data and measuring takes."""
    setting = claims.setting
    task = dict(setting.task)
    if data is not None:
        if task.get("path") is None:
            raise UsageError(
                f"--data is for data from a file, but those of {claims.study!r} are "
                f"{task['kind']!r}: leave it out"
            )
        # What an uploaded folder names without its place lies beside the data.
        beside = data.resolve().parent
        task |= {key: str(beside / task[key]) for key in DATA_PATHS if task.get(key)}
        task["path"] = str(data.resolve())
    elif any(not Path(task[key]).is_absolute() for key in DATA_PATHS if task.get(key)):
        raise UsageError(
            f"the folder says what the data of {claims.study!r} are called, {task['path']!r}, and "
            "not where they are, since it was uploaded: give their place by --data PATH"
        )
    return StudyFile.from_stored(
        {
            "study": {
                "name": claims.study,
                "seed": setting.seed,
                "threads": setting.threads,
                "cache": str(cache),
                "defaults": 3,
            },
            "task": task,
            "space": _space(claims),
            "training": {"device": "cpu"},
            "metering": dict(setting.metering),
            "objectives": {
                "batch": setting.batch,
                "metric": setting.metric,
                "positive": setting.positive,
            },
        }
    )


def _space(claims: Claims) -> dict[str, Any]:
    """The model's family, where code of the user's makes it: it may run only if it is named."""
    family = claims.candidate.get("architecture", {}).get("family")
    named = isinstance(family, str) and is_own_family(family)
    return {"architectures": [family]} if named else {}


def _difference(claims: Claims, found: Verified) -> Difference | None:
    mine, baseline = found.test, claims.baseline
    if mine is None or baseline is None:
        return None
    return paired_difference(mine.score, mine.resampled, baseline.score, baseline.resampled)

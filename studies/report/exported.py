"""What an exported folder knows of the model that a report begins with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from greenfront.errors import UsageError
from greenfront.studies.analysis.report_data import ReportData, Tested
from greenfront.studies.export.record import read_record

__all__ = ["with_test_score"]


def with_test_score(found: ReportData, folder: Path) -> ReportData:
    """A report that tells how its greenest model does on the test split, and as a whole file.

    Args:
        found: Of the study.
        folder: Made by ``greenfront export`` of this study's greenest model.

    Raises:
        DataError: There is no record in the folder, or it cannot be read.
        UsageError: It is of another study or model, or was not judged on the test split.
    """
    record, view = read_record(folder), found.view
    if (record.study, record.task.fingerprint) != (view.name, view.facts.task.fingerprint):
        raise UsageError(
            f"--exported: {str(folder)!r} holds a model of study {record.study!r}, and the report "
            f"is of {view.name!r}: name a folder that greenfront export made of this one"
        )
    pick = view.front.greenest
    if pick is None or record.model.trial != pick.trial:
        taken = "no model yet" if pick is None else f"trial {pick.trial}"
        raise UsageError(
            f"--exported: {str(folder)!r} holds trial {record.model.trial}, and the report begins "
            f"with {taken}: export that one, or leave it out"
        )
    test = record.model.test
    if test is None:
        raise UsageError(
            f"--exported: the model in {str(folder)!r} was not judged on the test split: "
            "leave it out, or export the model anew"
        )
    plain = record.model.plain
    tested = Tested(
        *(test.value, test.low, test.high, test.examples, str(folder)),
        prediction=None if plain is None else plain.reading,
    )
    return replace(found, tested=tested)

"""Remarks become sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenfront.objectives.tasks.tables.schema import ColumnReport, Schema
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.studies.analysis.words.wording import leak_sentence, sentence


@pytest.mark.parametrize(
    ("remark", "told"),
    [
        ("no rows are left", "No rows are left."),
        ("a trap: rows are copies", "A trap: rows are copies."),
        ("cnn: larger batches gain nothing", "cnn: larger batches gain nothing."),
        ("timm:resnet50: it is slow", "timm:resnet50: it is slow."),
        ("is it known before?", "Is it known before?"),
    ],
)
def test_a_remark_gets_what_it_lacks(remark: str, told: str) -> None:
    assert sentence(remark) == told


def test_a_leak_is_said_with_the_way_out() -> None:
    task = TaskFacts("wine", (2,), ("red", "white"), {"train": 9}, 0.5, "f00d")
    columns = tuple(
        ColumnReport(name, "number", "standardised", gives_away=name != "x") for name in "xyz"
    )
    assert leak_sentence(task) is None
    assert leak_sentence(replace(task, schema=Schema(9, columns[:1]))) is None
    assert leak_sentence(replace(task, schema=Schema(9, columns[:2]))) == (
        "Column 'y' alone predicts the target: if it is not known before the answer is, these "
        "scores are worth nothing, and [task] drop_columns leaves it out."
    )
    told = leak_sentence(replace(task, schema=Schema(9, columns)))
    assert told is not None
    assert told.startswith("Columns 'y', 'z' alone each predict the target: if they are not known")

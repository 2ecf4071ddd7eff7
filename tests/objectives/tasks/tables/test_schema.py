from __future__ import annotations

from greenfront.objectives.tasks.tables.schema import ColumnReport, Schema

PLAIN = [ColumnReport(f"x{index}", "number", "standardised") for index in range(5)]
ODD = ColumnReport("id", "identifier", "left out", 0, "it numbers the rows", used=False)
HOLES = ColumnReport("y", "number", "standardised", 3)
TARGET = ColumnReport("class", "target", "2 classes", used=False)


def test_columns_stand_together_of_which_no_more_is_to_be_said():
    schema = Schema(10, (PLAIN[0], ODD, HOLES, *PLAIN[1:], TARGET))
    assert [names for names, _ in schema.grouped()] == [
        *("x0, x1, x2, … x4 (5 columns)", "id", "y", "class")
    ]
    assert [names for names, _ in Schema(10, (*PLAIN[:4], TARGET)).grouped()] == [
        *("x0, x1, x2, x3", "class")
    ]


def test_warnings_name_their_column():
    assert Schema(10, (PLAIN[0], ODD, TARGET)).warnings == ("'id': it numbers the rows",)

"""What people read of a choice fits a terminal of 80 columns, and loses no number there."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from contracts.records import exported
from contracts.reports import study
from greenfront.cli.choose_text import check_text, comparison_text, pick_text
from greenfront.cli.options import StorageOptions
from greenfront.cli.technique_text import technique_sheet
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.metered import InferenceCost
from greenfront.studies.analysis.choosing.picking import Limits, pick
from greenfront.studies.analysis.findings.technique_table import technique_rows
from greenfront.studies.export.checking import CheckLimits, check
from greenfront.studies.export.comparing import compare

VIEW = study()
COST = InferenceCost(Reading(1e-3, 1e-3, 1e-3, "measured", "meter", 1, 1), 1e-3, 0.02)
TEXTS = {
    "pick": pick_text(VIEW, pick(VIEW), StorageOptions()),
    "pick nothing": pick_text(
        VIEW, pick(VIEW, limits=Limits(joules=1e-12)), StorageOptions("sqlite:///x.db")
    ),
    "compare": comparison_text(compare(exported(), exported(kind="measured"))),
    "table": technique_sheet(VIEW, technique_rows(VIEW)),
    "no table": technique_sheet(study(trials=0), []),
    "check": check_text(check(exported(), COST, CheckLimits(joules=1.0, max_drop=0.01))),
}


def drawn(what: RenderableType, width: int) -> str:
    screen = Console(width=width, file=io.StringIO(), highlight=False)
    screen.print(what, crop=False)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("name", TEXTS)
def test_it_fits_80_columns(name: str) -> None:
    assert max(map(cell_len, drawn(TEXTS[name], 80).splitlines())) <= 80


@pytest.mark.parametrize("name", ["compare", "check"])
def test_no_word_is_lost_there(name: str) -> None:
    narrow, wide = (drawn(TEXTS[name], width).split() for width in (80, 160))
    assert sorted(narrow) == sorted(wide)


def test_a_table_of_techniques_has_its_numbers_in_place() -> None:
    line = next(line for line in drawn(TEXTS["table"], 160).splitlines() if "untouched" in line)
    assert line.split()[:3] == ["0", "cnn:", "untouched"]

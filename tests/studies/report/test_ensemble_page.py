"""The report's page judges others beside the best single model, as the commands do."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path

from playwright.sync_api import Browser

from contracts.browser import browser, opened
from contracts.command import Command
from greenfront.spaces.candidate import Candidate

__all__ = ["browser"]

KEPT = Path(__file__).parents[2] / "fixtures" / "report" / "greenfront.db.gz"
"""A study of 14 trials on digits, its front measured three times."""


def test_an_ensemble_asks_no_more_of_others_in_the_page_either(
    tmp_path: Path, browser: Browser
) -> None:
    """The most accurate model of the study, told to be one: beside it others are not judged."""
    command = Command(tmp_path)
    (tmp_path / "greenfront.db").write_bytes(gzip.decompress(KEPT.read_bytes()))
    best = command.read_json("front", "digits")["most_accurate"]
    with sqlite3.connect(tmp_path / "greenfront.db") as database:
        (text,) = database.execute(
            "SELECT choice FROM greenfront_trials WHERE number = ?", (best,)
        ).fetchone()
        told = json.loads(text)
        joined = Candidate.from_json({**told, "ensemble": [told]})
        database.execute(
            "UPDATE greenfront_trials SET choice = ?, key = ? WHERE number = ?",
            (json.dumps(joined.to_json()), joined.key, best),
        )
    database.close()
    told = command.read_json("whatif", "digits", "--predictions", "20000")["after"]
    assert told["most_accurate"] == best
    command.read("report", "digits", "-o", "report.html")
    shown = opened(browser, tmp_path / "report.html")
    shown.page.locator("#scenario input[name='predictions']").fill("20000")
    rows = shown.value(
        "greenfront.state.found.front.map(row => [row.trial, row.objection, row.within])"
    )
    assert rows == [
        [row["trial"], row["reason"], row["within_drop_probability"]] for row in told["rows"]
    ]
    shown.page.close()

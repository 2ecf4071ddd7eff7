"""The report, drawn by a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from contracts.reports import NOW, VIEWS, Page
from greenfront.studies.report.page import write


def _browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("GREENFRONT_REQUIRE_BROWSER") == "1":
        pytest.fail("GREENFRONT_REQUIRE_BROWSER=1, but no chromium or google-chrome was found")
    pytest.skip("no chromium or google-chrome was found")


@pytest.mark.parametrize("name", ["usual", "nasty", "nothing at all"])
def test_a_browser_draws_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write(VIEWS[name], path, NOW)
    result = subprocess.run(
        [
            *(_browser(), "--headless", "--no-sandbox", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=15000"),
            *("--enable-logging=stderr", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    faults = [line for line in said if re.search(r"Uncaught|Refused|Error|violates", line)]
    assert not faults
    seen = Page(result.stdout)
    classes = [set((attributes.get("class") or "").split()) for _, attributes in seen.tags]
    expected = len([None for tag, a in seen.tags if tag == "script" and "data-figure" in a])
    assert expected == (0 if name == "nothing at all" else 8)
    assert sum("js-plotly-plot" in names for names in classes) == expected
    assert sum("main-svg" in names for names in classes) >= expected
    assert any("gl-container" in names for names in classes) == bool(expected)
    buttons = {title for _, attributes in seen.tags if (title := attributes.get("data-title"))}
    assert len(buttons) == (6 if expected else 0), buttons
    assert not any(re.search("cloud|send|share", title, re.IGNORECASE) for title in buttons)

"""The report on the narrowest phones: what stands beside a bar is shown whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from contracts.browser import Seen, browser, opened
from contracts.reports import NOW, VIEWS, of_families
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.report.page import write

__all__ = ["browser"]

FAMILIES = (
    "timm:mobilenetv3_small_100.lamb_in1k",
    "my_package.my_module:MyOwnResidualNetwork",
    "cnn",
)


@pytest.fixture(scope="module", params=[(320, "light"), (320, "dark"), (390, "light")], ids=str)
def phone(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seen]:
    path = tmp_path_factory.mktemp("phone") / "report.html"
    write(ReportData(of_families(VIEWS["usual"], *FAMILIES)), path, NOW)
    width, scheme = request.param
    shown = opened(browser, path, width=width, scheme=scheme)
    yield shown
    shown.page.close()


def beside(phone: Seen, selector: str, side: str) -> dict[str, Any]:
    """By its text, how far each element reaches beyond a side of the figure that it stands in."""
    elements = phone.value(
        "([selector, side]) => [...document.querySelectorAll(selector)].map(x => [x.textContent,"
        "x.getBoundingClientRect()[side] - x.closest('.plot').getBoundingClientRect()[side]])",
        [selector, side],
    )
    return dict(elements)


def test_no_number_behind_a_bar_is_cut(phone: Seen) -> None:
    found = beside(phone, ".plot :is(.bartext, .annotation-text, .xtitle)", "right")
    assert len(found) > 10
    assert max(found.values()) <= 0


def test_no_name_before_a_bar_is_cut(phone: Seen) -> None:
    found = beside(phone, ".plot .ytick text", "left")
    assert found.keys() > set(FAMILIES)
    assert min(found.values()) >= 0


def test_nothing_scrolls_sideways(phone: Seen) -> None:
    width = phone.page.viewport_size
    assert width is not None
    assert phone.value("document.documentElement.scrollWidth") <= width["width"]

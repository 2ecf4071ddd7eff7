"""A report in headless Chromium, and what it asked for and complained of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from contracts.waiting import eventually

ANSWERS = 30_000
"""Milliseconds that a busy machine may take to answer."""


def chromium() -> str:
    """The browser's program; without one a test is left out, or fails where one is required."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("GREENFRONT_REQUIRE_BROWSER") == "1":
        pytest.fail("GREENFRONT_REQUIRE_BROWSER=1, but no chromium or google-chrome was found")
    pytest.skip("no chromium or google-chrome was found")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = chromium()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Seen:
    """An opened page.

    Attributes:
        page: To act on.
        complaints: Errors and refusals that the console was told of.
        requests: Addresses that the page asked for, itself among them.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def value(self, expression: str, argument: Any = None) -> Any:
        """What an expression gives in the page."""
        return self.page.evaluate(expression, argument)

    def until(self, expression: str, argument: Any = None) -> None:
        """Waits until an expression is true.

        Asked from outside each time: the page's policy forbids a waiting script of ours to
        evaluate text.
        """
        eventually(lambda: self.value(expression, argument), expression)

    def texts(self, selector: str) -> list[str]:
        """What stands in the elements of a selector, blanks joined."""
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]


def opened(
    browser: Browser,
    path: Path,
    *,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
) -> Seen:
    """Opens a file and waits until its script has run."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(ANSWERS)
    seen = Seen(page)
    page.on("console", lambda said: _heard(seen, said.type, said.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto(path.as_uri())
    seen.until("window.greenfront !== undefined")
    return seen


def _heard(seen: Seen, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        seen.complaints.append(text)

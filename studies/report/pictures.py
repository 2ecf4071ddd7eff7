"""The figures of a study as files, one a figure, by kaleido: the same that the page shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from greenfront.errors import GreenfrontError, UsageError
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.report.figures import Drawn, figures

__all__ = ["PictureFormat", "write_pictures"]

PictureFormat = Literal["png", "svg"]

WIDTH = 900
"""In pixels; PNG has twice as many, for print."""

TITLE_ROOM = 40


def write_pictures(found: ReportData, folder: Path, form: PictureFormat) -> list[Path]:
    """Writes each figure to a folder, such as ``front.png``.

    Args:
        found: The study.
        folder: Made if it is missing; files of the same names are replaced.
        form: Of the files.

    Returns:
        What was written, in the order of the page.

    Raises:
        UsageError: kaleido is not installed, finds no browser, or the folder cannot be written to.
    """
    try:
        import kaleido
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--{form} needs {error.name}, which is not installed: pip install "
            "'greenfront[pictures]'; the report itself needs nothing"
        ) from error
    drawn = figures(found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--{form}: folder {str(folder)!r} cannot be made: {error.strerror}"
        ) from error
    paths = {name: folder / f"{name}.{form}" for name in drawn}
    asked = [_asked(drawn[name], path, form) for name, path in paths.items()]
    # By default it would fetch MathJax from a network.
    failed = _render(kaleido, asked)
    if failed:
        raise GreenfrontError(f"--{form}: kaleido could not draw: {failed}")
    return list(paths.values())


def _render(kaleido: Any, asked: list[dict[str, Any]]) -> str:
    """What went wrong, in words; empty where nothing did."""
    try:
        told = kaleido.write_fig_from_object_sync(asked, kopts={"mathjax": False})
    except (OSError, RuntimeError, ValueError) as error:
        if "hrome" in str(error) or "browser" in str(error).lower():
            raise UsageError(
                "kaleido found no Chrome or Chromium to draw with: install one, or name it by the "
                "environment variable BROWSER_PATH"
            ) from error
        return str(error)
    return "; ".join(map(str, told or ()))


def _asked(drawn: Drawn, path: Path, form: PictureFormat) -> dict[str, Any]:
    room = drawn.figure.layout.margin.t or 0
    height = int(drawn.figure.layout.height) + TITLE_ROOM
    # On its own a figure has a title and a ground.
    titled = drawn.figure.update_layout(
        title={"text": drawn.title, "x": 0.02, "xref": "container"},
        margin={"t": TITLE_ROOM + room},
        paper_bgcolor="#ffffff",
        height=height,
        width=WIDTH,
    )
    scale = 2 if form == "png" else 1
    options = {"format": form, "width": WIDTH, "height": height, "scale": scale}
    return {"fig": titled.to_plotly_json(), "path": path, "opts": options}

"""The command ``greenfront cache``: what earlier trials left for later ones, and making room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenfront.cli.amounts import BYTES, amount
from greenfront.cli.options import AsJson, console, print_json
from greenfront.errors import UsageError
from greenfront.studies.analysis.words.quantities import UNAVAILABLE, moment, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenfront.cli.sheet import Sheet
    from greenfront.objectives.pipeline.cache import CacheEntry

__all__ = ["cache"]


def cache(
    folder: Annotated[
        Path, typer.Argument(help="Of the study: its key cache.", metavar="FOLDER")
    ] = Path(".greenfront"),
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all that no running search uses.")
    ] = False,
    max_size: Annotated[
        str | None,
        typer.Option(help="Remove the longest unused, until the rest fits.", metavar="SIZE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what trials have left in the cache, and remove what is not used any more."""
    from greenfront.objectives.pipeline.cache import LINEAGE, entries, remove

    if clear and max_size is not None:
        raise UsageError("--clear removes everything, --max-size a part: give one of them")
    most = 0.0 if clear else amount(max_size, BYTES, "--max-size", "2GB")
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder {str(folder)!r}: name the one of [study] cache in the study file, "
            "such as greenfront cache .greenfront"
        )
    root = folder / LINEAGE
    removed = [] if most is None else remove(root, most)
    left = entries(root)
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "entries": len(left),
                "bytes": sum(entry.bytes for entry in left),
                "removed_entries": len(removed),
                "removed_bytes": sum(entry.bytes for entry in removed),
                "parts": _parts(left),
            }
        )
        return
    out = console()
    if most is not None:
        out.print(f"Removed {_counted(removed)}.", markup=False)
    if most is not None and sum(entry.bytes for entry in left) > most:
        out.print("What is left is used by a search that is running.", markup=False)
    out.print(_table(left, folder) if left else f"{folder} holds nothing.")


def _parts(left: Sequence[CacheEntry]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[CacheEntry]] = {}
    for entry in left:
        groups.setdefault((entry.study, entry.stage), []).append(entry)
    return [
        {
            "study": study or None,
            "stage": stage or None,
            "entries": len(group),
            "bytes": sum(entry.bytes for entry in group),
            "last_used_at": max(entry.used_at for entry in group),
        }
        for (study, stage), group in sorted(groups.items())
    ]


def _table(left: Sequence[CacheEntry], folder: Path) -> Sheet:
    from greenfront.cli.sheet import Sheet

    sheet = Sheet(f"{folder}: {_counted(left)}", ("study", "stage", "Entries", "Size", "last used"))
    for part in _parts(left):
        sheet.add(
            part["study"] or UNAVAILABLE,
            part["stage"] or UNAVAILABLE,
            f"{part['entries']:,}",
            size(part["bytes"]),
            moment(part["last_used_at"]),
        )
    return sheet


def _counted(some: Sequence[CacheEntry]) -> str:
    entries = "1 entry" if len(some) == 1 else f"{len(some):,} entries"
    return f"{entries}, {size(sum(entry.bytes for entry in some))}"

"""Commands for a finished model: export, verify."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenfront.cli.options import (
    AsJson,
    StorageOptions,
    StudyName,
    console,
    grouped_options,
    print_json,
)
from greenfront.cli.running import speaker
from greenfront.errors import UsageError

if TYPE_CHECKING:
    from greenfront.objectives.readings import Reading
    from greenfront.search.afterwards.exporting import Exported

__all__ = ["WhichModel", "export", "verify"]


@dataclass(frozen=True)
class WhichModel:
    """Which trial of a study is meant."""

    trial: Annotated[int | None, typer.Option("--trial", help="By its number.", metavar="N")] = None
    greenest: Annotated[
        bool,
        typer.Option(
            "--greenest", help="The best Green Score within the allowed drop; the default."
        ),
    ] = False
    most_accurate: Annotated[bool, typer.Option("--most-accurate", help="The best score.")] = False
    knee: Annotated[
        bool, typer.Option("--knee", help="Where more accuracy begins to cost much more.")
    ] = False

    def name(self) -> str:
        """What the front calls it, where no number is given.

        Raises:
            UsageError: Two are asked for.
        """
        wanted = {
            "greenest": self.greenest,
            "most accurate": self.most_accurate,
            "knee": self.knee,
        }
        given = [name for name, is_given in wanted.items() if is_given]
        if len(given) + (self.trial is not None) > 1:
            raise UsageError(
                "give one of --trial, --greenest, --most-accurate and --knee: each names one model"
            )
        return given[0] if given else "greenest"


@dataclass(frozen=True)
class Publishing:
    """What may become of the folder."""

    force: Annotated[bool, typer.Option("--force", help="Replace an exported model there.")] = False
    licence: Annotated[
        str | None,
        typer.Option("--license", help="Of the model, as SPDX calls it: MIT, …", metavar="ID"),
    ] = None
    push_to_hub: Annotated[
        str | None,
        typer.Option("--push-to-hub", help="Upload it, too, as a private model.", metavar="REPO"),
    ] = None


@grouped_options
def export(
    name: StudyName,
    which: WhichModel,
    storage: StorageOptions,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to write.", metavar="DIR")
    ],
    published: Publishing,
    as_json: AsJson = False,
) -> None:
    """Write a model as a folder that anyone can run: raw input in, labels out.

    By default the greenest model within the allowed drop.
    """
    from greenfront.search.afterwards.exporting import charge, chosen, export_model
    from greenfront.search.networks.exploration import Prepaid
    from greenfront.studies.analysis.view import view
    from greenfront.studies.export.forms import spdx_identifier
    from greenfront.studies.export.hub import push, require_hub

    named, spent = which.name(), Prepaid()
    licence, push_to_hub = published.licence, published.push_to_hub
    if licence is not None:
        licence = spdx_identifier(licence)
    if push_to_hub is not None:
        require_hub(push_to_hub)
    with storage.opened() as database:
        found = view(database, name)
    row = chosen(found, trial=which.trial, named=named)
    force, say = published.force, speaker(as_json)
    try:
        done = export_model(
            found, row, output, force=force, context=spent, licence=licence, say=say
        )
    finally:
        with storage.opened() as database:
            charge(database, found, spent)
    address = None if push_to_hub is None else push(output, push_to_hub)
    if as_json:
        print_json(
            _json(done) | _spent(spent.total) | ({} if address is None else {"hub": address})
        )
        return
    from greenfront.cli.ship_text import exported_text

    console().print(exported_text(done, shlex.quote(str(output)), spent.total), markup=False)
    if address is not None:
        console().print(f"Uploaded to {address}", markup=False)


def verify(
    folder: Annotated[Path, typer.Argument(help="Of an exported model.", metavar="DIR")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Where the study's data are now.", metavar="PATH"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold an exported model to what is claimed of it; exit code 1 where something does not hold.

    A fresh process reads model and data anew: sums, labels, preprocessing, executed kernels, scores
    on the test split, the torch network, and joules.
    """
    from greenfront.search.afterwards.verifying import verify as verified

    found = verified(folder, data, say=speaker(as_json))
    if as_json:
        from greenfront.objectives.codec import to_json

        print_json(
            {
                "folder": str(folder),
                "holds": found.holds,
                "checks": to_json(found.checks),
                "test_difference": to_json(found.difference),
                **_spent(found.spent),
            }
        )
    else:
        from greenfront.cli.ship_text import verified_table

        console().print(verified_table(found), crop=False)
    if not found.holds:
        raise typer.Exit(1)


def _spent(reading: Reading | None) -> dict[str, object]:
    """What the command itself has taken."""
    from greenfront.objectives.codec import to_json

    return {"spent": None if reading is None else to_json(reading)}


def _json(done: Exported) -> dict[str, object]:
    from greenfront.objectives.codec import to_json

    return {
        "study": done.claims.study,
        "trial": done.row.trial,
        "folder": str(done.folder),
        "files": sorted(
            path.relative_to(done.folder).as_posix()
            for path in done.folder.rglob("*")
            if path.is_file()
        ),
        "claims": to_json(done.claims),
    }

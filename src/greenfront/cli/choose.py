"""Commands that choose: pick, compare, table."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenfront.cli.amounts import BYTES, JOULES, SECONDS, SHARES, amount, weights
from greenfront.cli.options import (
    AsJson,
    StorageOptions,
    StudyName,
    console,
    grouped_options,
    print_json,
)
from greenfront.errors import UsageError

if TYPE_CHECKING:
    from greenfront.studies.export.record import ModelRecord

__all__ = ["compare", "pick", "table"]

RULES = ("green", "lifetime", "ratio", "weighted", "knee")


@dataclass(frozen=True)
class LimitOptions:
    """What a model may take, and by what rule one of those that keep it is taken."""

    max_drop: Annotated[
        str | None,
        typer.Option(help="Accuracy that may be lost against the best: 1%.", metavar="DROP"),
    ] = None
    max_latency: Annotated[
        str | None, typer.Option(help="Of one prediction: 2ms.", metavar="TIME")
    ] = None
    max_size: Annotated[str | None, typer.Option(help="Of the file: 1MB.", metavar="SIZE")] = None
    max_joules: Annotated[
        str | None,
        typer.Option(help="Of one prediction with its preprocessing: 2mJ.", metavar="ENERGY"),
    ] = None
    by: Annotated[str, typer.Option(help=f"One of {', '.join(RULES)}.", metavar="RULE")] = "green"
    weights: Annotated[
        str | None,
        typer.Option(
            help="Of loss, energy and CO₂, each over the baseline's, for --by weighted; by default "
            "the study's.",
            metavar="α,β,γ",
        ),
    ] = None


@grouped_options
def pick(
    name: StudyName,
    options: LimitOptions,
    storage: StorageOptions,
    as_json: AsJson = False,
) -> None:
    """Take one model of a study, and say why it and not its neighbours.

    Exit code 1 where no model keeps every limit.
    """
    if options.by not in RULES:
        raise UsageError(f"--by must be one of {', '.join(RULES)}, not {options.by!r}")
    drop = amount(options.max_drop, SHARES, "--max-drop", "1% or 0.01")
    latency = amount(options.max_latency, SECONDS, "--max-latency", "2ms")
    size = amount(options.max_size, BYTES, "--max-size", "1MB")
    joules = amount(options.max_joules, JOULES, "--max-joules", "2mJ")
    given = None if options.weights is None else weights(options.weights)

    from greenfront.objectives.scores import Weights
    from greenfront.studies.analysis.choosing import picking
    from greenfront.studies.analysis.choosing.whatif import Scenario
    from greenfront.studies.analysis.view import StoredStudy

    scenario = Scenario(max_drop=drop)
    limits = picking.Limits(latency, size, joules)
    weighed = None if given is None else Weights(*given)
    with storage.opened() as database:
        found = StoredStudy.read(database, name).view(tolerance=scenario.tolerance)
    rule: picking.Rule = next(each for each in picking.RULES if each == options.by)
    picked = picking.pick(found, rule, limits, weighed)
    if as_json:
        print_json(picked.to_json(found))
    else:
        from greenfront.cli.choose_text import pick_text

        console().print(pick_text(found, picked, storage), crop=False)
    if picked.row is None:
        raise typer.Exit(1)


@grouped_options
def compare(
    first: Annotated[
        str,
        typer.Argument(
            help="A study (its greenest model), STUDY:TRIAL, or an exported folder.", metavar="A"
        ),
    ],
    second: Annotated[str, typer.Argument(help="The same.", metavar="B")],
    storage: StorageOptions,
    as_json: AsJson = False,
) -> None:
    """Show one model beside another, and whether the difference is more than luck."""
    from greenfront.studies.export.comparing import compare as compared

    found = compared(_record(first, storage), _record(second, storage))
    if as_json:
        print_json(found.to_json())
    else:
        from greenfront.cli.choose_text import comparison_text

        console().print(comparison_text(found), crop=False)


def _record(named: str, storage: StorageOptions) -> ModelRecord:
    """What is known of a model that is named as ``compare`` takes it."""
    from greenfront.studies.analysis.view import view
    from greenfront.studies.export.facts import record_of
    from greenfront.studies.export.record import read_record

    if Path(named).is_dir():
        return read_record(Path(named))
    name, colon, trial = named.rpartition(":")
    if colon and not trial.isdecimal():
        raise UsageError(
            f"a model is a study, STUDY:TRIAL or an exported folder, but {named!r} is none of "
            "them: such as wine, wine:7 or ./exported"
        )
    with storage.opened() as database:
        found = view(database, name if colon else named)
    if colon:
        return record_of(found, int(trial))
    greenest = found.front.greenest
    if greenest is None:
        raise UsageError(
            f"study {named!r} has no model that is accurate enough: name one of its trials, as in "
            f"{named}:0"
        )
    return record_of(found, greenest.trial)


@dataclass(frozen=True)
class FormOptions:
    """In what form a table is printed, where not for a terminal."""

    csv: Annotated[bool, typer.Option("--csv", help="In full precision.")] = False
    latex: Annotated[bool, typer.Option("--latex", help="For a paper, with booktabs.")] = False
    markdown: Annotated[bool, typer.Option("--markdown", help="For a README.")] = False
    as_json: AsJson = False


@grouped_options
def table(name: StudyName, form: FormOptions, storage: StorageOptions) -> None:
    """Show what each technique brings, alone and combined, as papers do.

    Accuracy retained, and energy and CO₂ saved, against the untouched network of the same
    architecture.
    """
    given = [name for name, is_given in vars(form).items() if is_given]
    if len(given) > 1:
        raise UsageError("give one of --csv, --latex, --markdown and --json: each is a form")
    from greenfront.cli import technique_text
    from greenfront.studies.analysis.findings.technique_table import technique_rows
    from greenfront.studies.analysis.view import view

    with storage.opened() as database:
        found = view(database, name)
    rows = technique_rows(found)
    if form.as_json:
        print_json(
            {
                "study": name,
                "metric": found.metric.name,
                "predictions": found.scoring.predictions,
                "kind": found.kind,
                "rows": [row.to_json() for row in rows],
            }
        )
    elif form.csv:
        sys.stdout.write(technique_text.as_csv(found, rows))
    elif form.latex:
        sys.stdout.write(technique_text.as_latex(found, rows))
    elif form.markdown:
        sys.stdout.write(technique_text.as_markdown(found, rows))
    else:
        console().print(technique_text.technique_sheet(found, rows), crop=False)

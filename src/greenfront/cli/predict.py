"""The command that uses an exported model: predict."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenfront.cli.options import console
from greenfront.errors import DataError, UsageError

if TYPE_CHECKING:
    from greenfront.objectives.readings import Reading
    from greenfront.studies.export.predict import Model, Prediction

__all__ = ["predict"]


def predict(
    folder: Annotated[Path, typer.Argument(help="Of an exported model.", metavar="DIR")],
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="A CSV table, images or folders of them, texts, an array (.npy), or - for "
            "standard input.",
            metavar="INPUT...",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it.", metavar="FILE")
    ] = None,
    meter: Annotated[
        bool, typer.Option("--meter", help="Say what it took: examples a second, joules.")
    ] = False,
    advised: Annotated[
        bool, typer.Option("--advised", help="Run it as greenfront tune found to take least.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line instead of CSV.")
    ] = False,
) -> None:
    """Say what an exported model predicts for raw inputs; what its own predict.py says, too.

    A text file is one text; of .csv and .jsonl each row is one, and of standard input each line.
    """
    from greenfront.studies.export.predict import written
    from greenfront.studies.export.predict_tables import InputError

    model, counted = _opened(folder, advised=advised), [0]
    try:
        lines = written(
            _predictions(model, inputs, counted),
            as_json=as_json,
            target=str(model.about["target"]),
        )
        if not meter:
            _write(lines, output)
            return
        began = time.perf_counter()
        reading = _metered(lambda: _write(lines, output))
    except InputError as error:
        raise DataError(str(error)) from error
    said = _told(counted[0], time.perf_counter() - began, reading)
    console(stderr=True).print(said, markup=False)


def _predictions(model: Model, inputs: Sequence[str], counted: list[int]) -> Iterator[Prediction]:
    """All of them; ``counted`` grows by each."""
    from greenfront.studies.export.predict import batches

    for names, feed in batches(model, inputs):
        yield from model.predict(names, feed)
        counted[0] += len(names)


def _write(lines: Iterable[str], output: Path | None) -> None:
    if output is None:
        sys.stdout.writelines(lines)
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise UsageError(f"{str(output)!r} cannot be written: {error.strerror}") from error


def _metered(work: Callable[[], None]) -> Reading:
    from greenfront.objectives.context import LocalContext
    from greenfront.objectives.metering.instruments import open_instruments
    from greenfront.objectives.metering.settings import MeteringSettings

    errors = console(stderr=True)
    instruments = open_instruments(
        MeteringSettings(),
        say=lambda message: errors.print(f"… {message}", markup=False),
        gpu=False,
    )
    with LocalContext(instruments).phase("predict") as window:
        work()
    return window.total


def _told(examples: int, wall_seconds: float, reading: Reading) -> str:
    """Throughput, and joules with their kind and interval."""
    from greenfront.studies.analysis.words.quantities import count, joules, seconds

    speed = f"{count(examples / wall_seconds)} a second" if wall_seconds else "at once"
    line = f"{examples:,} predictions in {seconds(wall_seconds)}, {speed}"
    if reading.joules is None:
        return f"{line}; no instrument could tell their energy ({', '.join(reading.flags)})."
    each = joules(reading.joules / examples) if examples else joules(None)
    interval = f"between {joules(reading.low_joules)} and {joules(reading.high_joules)}"
    whole = f"{joules(reading.joules)} ({reading.kind}, {interval}), {each} each"
    return f"{line}; {whole}, with reading and writing."


def _opened(folder: Path, *, advised: bool) -> Model:
    from greenfront.objectives.stages.session import RUNTIME_FAULTS
    from greenfront.studies.export.predict import Model
    from greenfront.studies.export.predict_tables import InputError

    if not (folder / "model.onnx").is_file():
        raise DataError(
            f"{str(folder)!r} is no exported model: it has no model.onnx; make one with "
            "greenfront export NAME -o DIR"
        )
    try:
        return Model(folder, advised=advised)
    except InputError as error:
        raise DataError(str(error)) from error
    except (*RUNTIME_FAULTS, OSError, RuntimeError, KeyError, ValueError) as error:
        raise DataError(
            f"{str(folder)!r} cannot be used ({type(error).__name__}: {error}): greenfront verify "
            "says what is wrong with it; export it again"
        ) from error

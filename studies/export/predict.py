"""Says what this model predicts: python predict.py INPUT... [--json] [-o FILE] [--advised].

INPUT is a CSV table with a header (models of tables), images or folders with images, texts (a file
is one text; of .csv and .jsonl each row), arrays (.npy), or - for standard input: a table, one text
a line, or the numbers of one example a line. Needs onnxruntime and numpy; images need Pillow, texts
need tokenizers.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from greenfront.objectives.tasks.pixels import flat, is_deep, turned_upright, values_of
from greenfront.studies.export.predict_tables import (
    AT_ONCE,
    Batch,
    InputError,
    chunks,
    rows_of,
    table_batches,
)

__all__ = ["Model", "Prediction", "batches", "main", "written"]

IMAGES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one example.

    Attributes:
        name: Of the example: its file, or its number from 1.
        answer: A class, or a number.
        probabilities: By class; empty for numbers.
    """

    name: str
    answer: str | float
    probabilities: dict[str, float]

    @property
    def probability(self) -> float | None:
        """Of the class that is answered; ``None`` for numbers."""
        return self.probabilities.get(self.answer) if isinstance(self.answer, str) else None


class Model:
    """An exported model.

    Args:
        folder: With ``model.onnx``.
        advised: Whether to open it with the options that were found to take least energy.

    Raises:
        InputError: A file that answers come from is not the one that was exported.
    """

    def __init__(self, folder: Path, *, advised: bool = False) -> None:
        _require_exported(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _threads(folder)
        options.inter_op_num_threads = 1
        # Threads that spin while they wait burn energy that no prediction needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        if advised:
            _take_advice(options, folder)
        self.folder = folder
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        told = self.session.get_modelmeta().custom_metadata_map
        self.about: dict[str, Any] = {
            key.removeprefix("greenfront."): json.loads(value)
            for key, value in told.items()
            if key.startswith("greenfront.")
        }
        self.outputs: list[str] = self.about["outputs"]

    @property
    def kind(self) -> str:
        """``table``, ``image``, ``array`` or ``text``."""
        return str(self.about["kind"])

    def predict(self, names: Sequence[str], feed: dict[str, NDArray[Any]]) -> list[Prediction]:
        """What it says of some examples."""
        first, *others = self.session.run(self.outputs, feed)
        if not others:
            return [Prediction(n, float(str(v)), {}) for n, v in zip(names, first, strict=True)]
        classes = self.about["classes"]
        return [
            Prediction(name, str(label), dict(zip(classes, map(float, row), strict=True)))
            for name, label, row in zip(names, first, others[0].tolist(), strict=True)
        ]


def _require_exported(folder: Path) -> None:
    """Compares what answers come from with the folder's checksums, where it has any."""
    sums = folder / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    for wanted, _, name in (line.partition("  ") for line in lines):
        path = folder / name
        if name in ("model.onnx", "tokenizer.json") and path.is_file():
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != wanted:
                raise InputError(
                    f"{path} is not what was exported (its SHA-256 is another): take the folder "
                    "anew from where it was exported"
                )


def _take_advice(options: onnxruntime.SessionOptions, folder: Path) -> None:
    """Sets what a measurement of ways to run the file found to take clearly less, if it did."""
    claims = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    advice = claims.get("runtime")
    if not advice or not advice["best"]:
        return
    wanted, levels = advice["options"], onnxruntime.GraphOptimizationLevel
    options.intra_op_num_threads = wanted["threads"]
    options.graph_optimization_level = {
        "all": levels.ORT_ENABLE_ALL,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "basic": levels.ORT_ENABLE_BASIC,
        "none": levels.ORT_DISABLE_ALL,
    }[wanted["optimization"]]
    if wanted["parallel"]:
        options.inter_op_num_threads = 2
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if not wanted["prepacking"]:
        options.add_session_config_entry("session.disable_prepacking", "1")


def _threads(folder: Path) -> int:
    """Those that the model was measured with."""
    claims = folder / "claims.json"
    if not claims.is_file():
        return 1
    return int(json.loads(claims.read_text(encoding="utf-8"))["setting"]["threads"])


def batches(model: Model, inputs: Sequence[str]) -> Iterator[Batch]:
    """What the model takes, some examples at a time.

    Raises:
        InputError: An input cannot be used.
    """
    makers = {"table": _tables, "image": _images, "text": _texts, "array": _arrays}
    return makers[model.kind](model, inputs)


def written(predictions: Iterable[Prediction], *, as_json: bool, target: str) -> Iterator[str]:
    """Lines for people and programs, each with its end: CSV with a header, or JSON lines."""
    if as_json:
        for each in predictions:
            told: dict[str, Any] = {"input": each.name}
            if each.probability is None:
                told["value"] = each.answer
            else:
                told |= {"label": each.answer, "probability": each.probability}
                told["probabilities"] = each.probabilities
            yield json.dumps(told, ensure_ascii=False) + "\n"
        return
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for place, each in enumerate(predictions):
        numbers = each.probability is None
        if place == 0:
            writer.writerow(["input", target or "value"] if numbers else _HEADER)
        row = [each.name, each.answer]
        writer.writerow(row if numbers else [*row, f"{each.probability:.6f}"])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


_HEADER = ["input", "label", "probability"]


def _tables(model: Model, inputs: Sequence[str]) -> Iterator[Batch]:
    for source in inputs:
        yield from table_batches(model.about["preprocessing"]["columns"], _text(source), source)


def _images(model: Model, inputs: Sequence[str]) -> Iterator[Batch]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise InputError("images need the package Pillow: pip install pillow") from error
    channels, height, width = map(int, model.about["preprocessing"]["shape"])
    told = (model.about["preprocessing"].get("pictures") or {}).get("deep")
    deep = None if told is None else (int(told[0]), int(told[1]))
    for source in inputs:
        if source.endswith(".npy"):
            yield from _array_file(model, source)
            continue
        for path in _files(source, IMAGES):
            try:
                with Image.open(io.BytesIO(_bytes(path))) as image:
                    if deep is None and is_deep(image):
                        raise InputError(
                            f"{path}: an image must have 8 bits, as all that the model learnt "
                            "from, but has 16: nothing tells how to scale it"
                        )
                    plain, _ = flat(turned_upright(image), str(model.about["background"]))
                    # The model would resize it, too, but not to the last bit as in training.
                    pixels = values_of(plain, (width, height), channels, deep)
            except UnidentifiedImageError as error:
                raise InputError(f"{path}: this is no image of a known format") from error
            except (OSError, ValueError) as error:
                raise InputError(f"{path}: this image cannot be read ({error})") from error
            yield [path], {"image": np.ascontiguousarray(pixels.transpose(1, 2, 0))[None]}


def _texts(model: Model, inputs: Sequence[str]) -> Iterator[Batch]:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise InputError("texts need the package tokenizers: pip install tokenizers") from error
    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    named = itertools.chain.from_iterable(_named_texts(model, source) for source in inputs)
    for _, part in chunks(named):
        ids = [encoding.ids for encoding in tokenizer.encode_batch([text for _, text in part])]
        yield [name for name, _ in part], {"ids": np.array(ids, dtype=np.int64)}


def _named_texts(model: Model, source: str) -> Iterator[tuple[str, str]]:
    column = str(model.about["preprocessing"]["column"])
    if source == "-":
        for number, line in enumerate(_text(source).splitlines(), start=1):
            yield str(number), line
    elif source.endswith((".csv", ".tsv")):
        for number, row in enumerate(rows_of(_text(source), source, [column]), start=1):
            yield str(number), row.get(column, "")
    elif source.endswith(".jsonl"):
        for number, line in enumerate(filter(str.strip, _text(source).split("\n")), start=1):
            try:
                yield str(number), str(json.loads(line)[column])
            except (KeyError, TypeError, ValueError, RecursionError) as error:
                raise InputError(
                    f"{source}, line {number}: each line must be a JSON object with {column!r}"
                ) from error
    else:
        for path in _files(source, None):
            yield path, _text(path)


def _arrays(model: Model, inputs: Sequence[str]) -> Iterator[Batch]:
    for source in inputs:
        yield from _array_file(model, source)


def _array_file(model: Model, source: str) -> Iterator[Batch]:
    """Examples ``[n, …]`` of a file, or one a line of standard input or of a CSV file."""
    (wanted,) = model.session.get_inputs()
    shape = [None if isinstance(edge, str) else edge for edge in wanted.shape]
    try:
        if source.endswith(".npy"):
            values = np.load(io.BytesIO(_bytes(source)), allow_pickle=False)
        else:
            lines = list(csv.reader(_text(source).splitlines()))
            values = np.array([line for line in lines if line], dtype=np.float64)
            values = values.reshape(-1, *[-1 if edge is None else edge for edge in shape[1:]])
    except ValueError as error:
        rule = "it must hold numbers of examples, a table without a header"
        raise InputError(f"{source}: {rule}, but {error}") from error
    fits = len(values.shape) == len(shape) and all(
        edge is None or edge == given for edge, given in zip(shape, values.shape, strict=True)
    )
    if not fits:
        told = ", ".join("…" if edge is None else str(edge) for edge in shape)
        raise InputError(f"{source}: the model takes [{told}], but the array is {values.shape}")
    kind = np.uint8 if wanted.type == "tensor(uint8)" else np.float64
    for start in range(0, len(values), AT_ONCE):
        part = np.ascontiguousarray(values[start : start + AT_ONCE], dtype=kind)
        yield [str(start + place) for place in range(1, len(part) + 1)], {wanted.name: part}


def _files(source: str, suffixes: frozenset[str] | None) -> list[str]:
    """A file, or the files of a folder in their order."""
    path = Path(source)
    if not path.is_dir():
        return [source]
    files = sorted(str(each) for each in path.rglob("*") if each.is_file())
    files = [f for f in files if suffixes is None or Path(f).suffix.lower() in suffixes]
    if not files:
        what = "no files" if suffixes is None else f"no images ({', '.join(sorted(suffixes))})"
        raise InputError(f"{source}: there are {what} in this folder")
    return files


def _bytes(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{source}: this cannot be read ({error.strerror})") from error


def _text(source: str) -> str:
    held = _bytes(source)
    try:
        return held.decode("utf-8-sig")
    except UnicodeDecodeError:
        return held.decode("cp1252", errors="replace")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    parser = argparse.ArgumentParser(description="Says what this model predicts.")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="a file, a folder, or -")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of CSV")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it")
    parser.add_argument("--advised", action="store_true", help="as greenfront tune advises")
    given = parser.parse_args(arguments)
    try:
        model = Model(Path(__file__).resolve().parent, advised=given.advised)
        lines = written(
            (p for batch in batches(model, given.inputs) for p in model.predict(*batch)),
            as_json=given.json,
            target=str(model.about["target"]),
        )
        if given.output is None:
            sys.stdout.writelines(lines)
        else:
            with Path(given.output).open("w", encoding="utf-8") as file:
                file.writelines(lines)
    except InputError as error:
        sys.stderr.write(f"predict.py: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

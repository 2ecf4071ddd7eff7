"""Kind ``csv``: a table with a header, numbers and text as features, one column as target."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.columns import check_column, check_widths, separator
from greenfront.objectives.tasks.paths import existing_file
from greenfront.objectives.tasks.raw import Raw, buffer
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.standardise import in_words, standardise

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table", "read"]

_MOST_LEVELS = 1000
_MOSTLY = 0.9
"""Share of numbers from which a column was meant to hold nothing else."""
_A_HANDFUL = 5
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Table:
    """Features of which some are numbers and some are text.

    Attributes:
        source: Name of the table, for messages.
        number_names: One name a column of ``numbers``.
        numbers: float64 ``[n, number columns]``, finite.
        text_names: One name a column of ``codes``.
        codes: int64 ``[n, text columns]``, indices into ``levels``.
        levels: The distinct texts of each text column, sorted.
    """

    source: str
    number_names: tuple[str, ...]
    numbers: NDArray[np.float64]
    text_names: tuple[str, ...]
    codes: NDArray[np.int64]
    levels: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def encode(self, train: NDArray[np.int64]) -> NDArray[np.float32]:
        """Standardises numbers and turns text into columns of 0 and 1, one a training level.

        A text that no training example has becomes 0 in all of its column's places.

        Returns:
            ``[n, features]``: the numbers first, then the text columns; no NaN.
        """
        numbers = standardise(self.numbers, train, names=self.number_names, source=self.source)
        indicators = [codes[:, None] == np.unique(codes[train]) for codes in self.codes.T]
        return np.concatenate([numbers, *indicators], axis=1, dtype=np.float32)

    def encoded_bytes(self) -> int:
        """Four bytes a value, with every text of a column among the training examples."""
        columns = len(self.number_names) + sum(len(texts) for texts in self.levels)
        return 4 * len(self) * columns

    def parts(self) -> Iterator[bytes | memoryview]:
        """Yields names, levels and values."""
        yield json.dumps([self.number_names, self.text_names, self.levels]).encode()
        yield buffer(self.numbers)
        yield buffer(self.codes)


def read(settings: TaskSettings) -> Raw:
    """Reads a table whose cells are separated by commas, semicolons or tabs.

    Raises:
        DataError: If the file is missing or cannot be read, lacks a named column, has missing or
            infinite values, no features, a text column with too many distinct texts, or one of
            numbers with a few other texts among them.
    """
    path = existing_file(settings)
    frame = _parse(path)
    features, target = _columns(frame, settings, path)
    labels = target.to_numpy() if _is_number(target) else np.asarray(target.astype(str), dtype=str)
    return Raw(str(path), _table(features, str(path)), labels)


def _parse(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        frame = pd.read_csv(path, sep=separator(header), skipinitialspace=True, low_memory=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(
            f"{path}: this must be a CSV file in UTF-8 with a header, but cannot be read "
            f"({str(error).strip()}): correct the file, or write it again"
        ) from error
    check_widths(frame, str(path), "name every column, or remove commas that end rows")
    return frame


def _columns(
    frame: pd.DataFrame, settings: TaskSettings, path: Path
) -> tuple[pd.DataFrame, pd.Series[Any]]:
    columns = [str(name) for name in frame.columns]
    check_column("target", str(settings.target), columns, str(path))
    for name in settings.drop_columns:
        check_column("drop_columns", name, columns, str(path))
    target = frame[settings.target]
    missing = int(target.isna().sum())
    if missing:
        raise DataError(
            f"{path}: every row needs a target, but {missing} of {len(frame)} rows have none in "
            f"{settings.target!r}: fill them in, or remove these rows"
        )
    features = frame.drop(columns=[settings.target, *settings.drop_columns])
    if features.shape[1] == 0:
        raise DataError(
            f"{path}: there must be at least one feature besides the target "
            f"{settings.target!r}, but the columns are {', '.join(columns)}: add columns, or drop "
            "fewer in drop_columns"
        )
    return features, target


def _table(features: pd.DataFrame, source: str) -> Table:
    import pandas as pd

    is_number = [_is_number(features[name]) for name in features.columns]
    numbers = features.loc[:, is_number]
    texts = features.loc[:, [not number for number in is_number]]
    unusable = {
        **{repr(name): int((~np.isfinite(numbers[name])).sum()) for name in numbers.columns},
        **{repr(name): int(texts[name].isna().sum()) for name in texts.columns},
    }
    unusable = {name: count for name, count in unusable.items() if count}
    if unusable:
        raise DataError(
            f"{source}: features must have a finite value in every row, but missing or infinite "
            f"are {in_words(unusable)} (an empty cell and NA, NaN, None or null count as missing): "
            "fill these values in, remove the rows, or name the columns in drop_columns"
        )
    codes, levels = [], []
    for name in texts.columns:
        _check_text(texts[name], str(name), source)
        column_codes, column_levels = pd.factorize(texts[name].astype(str), sort=True)
        if len(column_levels) > _MOST_LEVELS:
            raise DataError(
                f"{source}: a text column must have at most {_MOST_LEVELS} distinct texts, but "
                f"{name!r} has {len(column_levels)}, as names or identifiers have: name it in "
                "drop_columns, or group its texts"
            )
        codes.append(column_codes)
        levels.append(tuple(str(level) for level in column_levels))
    return Table(
        source=source,
        number_names=tuple(numbers.columns),
        numbers=numbers.to_numpy(dtype=np.float64),
        text_names=tuple(texts.columns),
        codes=np.array(codes, dtype=np.int64).reshape(len(codes), len(features)).T,
        levels=tuple(levels),
    )


def _check_text(column: pd.Series[Any], name: str, source: str) -> None:
    """Refuses numbers that are texts only because of a few cells among them."""
    import pandas as pd

    is_text = pd.to_numeric(column, errors="coerce").isna()
    numbers = int((~is_text).sum())
    if numbers <= _A_HANDFUL or numbers < _MOSTLY * len(column):
        return
    others = np.flatnonzero(is_text)
    shown = ", ".join(f"{column.iloc[row]!r} in row {row + 1}" for row in others[:_SHOWN])
    raise DataError(
        f"{source}: a column must hold numbers or texts, but {numbers} of the {len(column)} cells "
        f"of {name!r} are numbers and {len(others)} are not ({shown}"
        f"{', …' if len(others) > _SHOWN else ''}; the first row below the header is row 1): "
        "correct these cells, remove their rows, or name the column in drop_columns; where its "
        "numbers are only names of things, begin each with a letter"
    )


def _is_number(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "biuf"

"""Settings of a task: the kind of data, where they are and how they are split."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from greenfront.errors import DataError
from greenfront.spaces.table import CHECKED

__all__ = ["DATA_PATHS", "ColumnType", "TargetKind", "TaskSettings", "kinds", "suggest"]

TargetKind = Literal["class", "number"]
"""What is to be predicted."""

ColumnType = Literal["number", "category", "date"]
"""What a user may say that a column of a table is."""

Share = Annotated[float, Field(gt=0, lt=1, strict=True)]

_CUSTOM = "module:function"
_HUGGINGFACE = "hf-dataset:OWNER/NAME"
_TORCHVISION = "torchvision:NAME"
_EXAMPLES = {_HUGGINGFACE: "hf-dataset:ylecun/mnist", _TORCHVISION: "torchvision:MNIST"}
_NAMED = {kind.partition(":")[0]: kind for kind in _EXAMPLES}
_LISTED = 20

_PICTURES = ("image_size", "channels", "background")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

DATA_PATHS = ("path", "test_path")
"""Keys that say where data lie."""

# The keys that a kind needs, and those that it may have besides.
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "digits": ((), ()),
    "mnist5k": ((), ()),
    "csv": (
        ("path", "target"),
        (
            *("drop_columns", "keep_columns", "columns", "encoding"),
            *("test_path", "split_column"),
        ),
    ),
    "text": (
        ("path", "target"),
        ("text_column", "encoding", "test_path", "split_column"),
    ),
    "images": (("path",), ("target", *_PICTURES)),
    "arrays": (("path",), ()),
    _HUGGINGFACE: (
        (),
        ("path", "subset", "target", "text_column", "image_column", *_PICTURES),
    ),
    _TORCHVISION: ((), ("path", *_PICTURES)),
    _CUSTOM: ((), ()),
}
_ALL_KEYS = tuple(dict.fromkeys(key for keys in _KEYS.values() for key in (*keys[0], *keys[1])))

# Later keys: where they are absent, fingerprints are those of before.
_LATER = (
    *("image_column", "subset", "test_path", "split_column"),
    *("background", "target_kind", "keep_columns", "columns", "encoding"),
)
_ABSENT: tuple[Any, ...] = (None, (), {})
_PACKED = (".gz", ".bz2", ".xz", ".zip")


def kinds() -> tuple[str, ...]:
    """Lists the known kinds; ``module:function`` stands for every other kind with a colon."""
    return tuple(_KEYS)


def suggest(wanted: str, known: Iterable[str]) -> str:
    """The known names nearest to a misspelt one, and then all of them, or the first 20."""
    names = list(known)
    near = difflib.get_close_matches(wanted, names)
    question = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{question}Choose one of: {', '.join(map(repr, names[:_LISTED]))}{rest}"


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """The ``[task]`` table of a study file.

    Attributes:
        kind: One of :func:`kinds`, with the data set's name for ``NAME``; or a function without
            arguments that returns ``(inputs, labels)``, for ``module:function``.
        path: Absolute path of the file (``csv``, ``text``, ``arrays``) or folder (``images``).
            For ``hf-dataset`` and ``torchvision`` a folder with a copy of the data. Absent: they
            are downloaded.
        target: The column that holds the class or the number (``csv``, ``text``, ``hf-dataset``).
            Absent for the last: ``label``. For ``images`` a column of ``labels.csv`` in the folder,
            whose column ``file`` names an image a row; absent: a sub-folder is a class.
        validation_fraction: Share of the examples that judge a trial, above 0. Of data with a
            test split of their own: of their training split.
        test_fraction: Share of the examples kept for the final verification, above 0. Not used
            where data have a test split of their own.
        image_size: Edge in pixels to which images are resized. Absent: the images' own size
            where they all have the same, else 32.
        channels: 1 for grey, 3 for colour images. Absent: 1 where all images are grey.
        drop_columns: Columns that are no features (``csv``).
        text_column: The column that holds the texts (``text``, ``hf-dataset``). Absent: ``text``.
        image_column: The column that holds the images (``hf-dataset``). Absent: the only one
            that does.
        subset: Which of a data set's configurations (``hf-dataset``, where it is downloaded).
        target_kind: ``"class"`` or ``"number"``: what the target is. Absent: numbers with many
            values are numbers, everything else is classes.
        eval_fraction: Share of the validation examples on which trials are judged while
            searching, above 0; 1 for all.
        test_path: Absolute path of a file like ``path`` whose rows are the test split (``csv``,
            ``text``).
        split_column: The column that says of each row whether it is ``train``, ``validation``
            or ``test`` (``csv``, ``text``).
        background: The colour behind transparent pixels of images, as ``#rrggbb``. Absent: white.
        keep_columns: Columns that are features though they look like identifiers, constants or
            free text (``csv``).
        columns: What columns are, by name, where a guess would be wrong (``csv``).
        encoding: Of the file, as Python calls it (``csv``, ``text``). Absent: by its byte-order
            mark, else UTF-8, else guessed.

    Raises:
        DataError: If the kind is unknown, if a key is missing or means nothing to this kind, if
            the path is relative, or if a value is out of range.
    """

    __pydantic_config__ = CHECKED

    kind: str
    path: str | None = None
    target: str | None = None
    validation_fraction: Share = 0.2
    test_fraction: Share = 0.2
    image_size: Annotated[int, Field(ge=4, le=1024, strict=True)] | None = None
    channels: Literal[1, 3] | None = None
    drop_columns: tuple[str, ...] = ()
    text_column: str | None = None
    image_column: str | None = None
    subset: str | None = None
    eval_fraction: Annotated[float, Field(gt=0, le=1, strict=True)] = 1.0
    test_path: str | None = None
    split_column: str | None = None
    background: str | None = None
    target_kind: TargetKind | None = None
    keep_columns: tuple[str, ...] = ()
    columns: dict[str, ColumnType] | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        self._check_keys()
        self._check_values()

    @property
    def name(self) -> str:
        """For people: the data set's name, that of its file, else the kind."""
        if self.family in (_HUGGINGFACE, _TORCHVISION):
            return self.dataset.rpartition("/")[2]
        if self.path is None:
            return self.kind
        path = Path(self.path)
        return (path.with_suffix("") if path.suffix in _PACKED else path).stem

    @property
    def family(self) -> str:
        """The one of :func:`kinds` that this kind belongs to."""
        prefix, colon, _ = self.kind.partition(":")
        return self.kind if not colon else _NAMED.get(prefix, _CUSTOM)

    @property
    def dataset(self) -> str:
        """The ``NAME`` in the kind."""
        return self.kind.partition(":")[2]

    def identity(self) -> dict[str, Any]:
        """The settings that are part of a task's fingerprint, as plain values.

        Not the path: data that were moved are the same. Not ``eval_fraction``, which does not
        change the splits.
        """
        told = {**asdict(self), "path": None, "test_path": None}
        del told["eval_fraction"]
        return {key: told[key] for key in told if key not in _LATER or told[key] not in _ABSENT}

    def _check_keys(self) -> None:
        if self.family not in _KEYS:
            raise DataError(f"task kind {self.kind!r} is unknown. {suggest(self.kind, kinds())}")
        if self.family in (_HUGGINGFACE, _TORCHVISION) and not self.dataset:
            raise DataError(
                f"task kind {self.kind!r} must name a data set, as in "
                f"{_EXAMPLES[self.family]!r}: add its name"
            )
        required, optional = _KEYS[self.family]
        given = {key for key in _ALL_KEYS if getattr(self, key) not in _ABSENT}
        for key in _ALL_KEYS:
            if key in required and key not in given:
                raise DataError(f"task kind {self.kind!r} needs {key!r}, which is not set: set it")
            if key in given and key not in (*required, *optional):
                raise DataError(
                    f"task kind {self.kind!r} has no use for {key!r}, which is "
                    f"{getattr(self, key)!r}: remove it"
                )
        for one, other in (
            ("subset", "path"),
            ("text_column", "image_column"),
            ("test_path", "split_column"),
        ):
            if {one, other} <= given:
                raise DataError(
                    f"task kind {self.kind!r} takes one of {one!r} and {other!r}, but both are "
                    f"set, to {getattr(self, one)!r} and {getattr(self, other)!r}: remove one"
                )

    def _check_values(self) -> None:
        for key in DATA_PATHS:
            path = getattr(self, key)
            if path is not None and not Path(path).is_absolute():
                raise DataError(
                    f"task {key} {path!r} must be absolute: start it at the root, "
                    f"for example {str(Path.cwd() / path)!r}"
                )
        for key in ("validation_fraction", "test_fraction"):
            value = getattr(self, key)
            if not 0 < value < 1:
                raise DataError(
                    f"task {key} must lie between 0 and 1, but is {value}: 0.2 is usual"
                )
        if not 0 < self.eval_fraction <= 1:
            raise DataError(
                "task eval_fraction must lie above 0 and be at most 1, but is "
                f"{self.eval_fraction}: 1 judges trials on the whole validation split"
            )
        held_out = self.validation_fraction + self.test_fraction
        if held_out >= 1:
            raise DataError(
                "task validation_fraction + test_fraction must stay below 1, so that examples "
                f"to train on are left, but they add up to {held_out:g}: lower one of them"
            )
        if self.image_size is not None and self.image_size < 1:
            raise DataError(
                f"task image_size must be at least 1 pixel, but is {self.image_size}: 32 is usual"
            )
        if self.channels not in (None, 1, 3):
            raise DataError(
                f"task channels must be 1 (grey) or 3 (colour), but is {self.channels}: "
                "choose one, or leave it out"
            )
        if self.background is not None and not _COLOUR.fullmatch(self.background):
            raise DataError(
                f"task background must be a colour as #rrggbb, but is {self.background!r}: "
                "'#ffffff' is white"
            )

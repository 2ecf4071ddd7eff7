"""Data as they are read: neither split nor standardised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from greenfront.errors import DataError
from greenfront.objectives.tasks.predefined_splits import NO_SPLITS, PredefinedSplits
from greenfront.objectives.tasks.settings import TargetKind
from greenfront.objectives.tasks.standardise import counts_of_unusable, is_pixels, standardise
from greenfront.objectives.tasks.tables.schema import Schema

__all__ = ["ArrayInputs", "Inputs", "Pictures", "Raw", "array_inputs", "buffer"]


class Inputs(Protocol):
    """Inputs, to be encoded once the training examples are known."""

    def __len__(self) -> int:
        """Number of examples."""
        ...

    def encode(self, train: NDArray[np.int64]) -> NDArray[Any]:
        """Encodes all examples with the statistics of some.

        Args:
            train: Indices of the training examples, the only ones learnt from.

        Returns:
            All examples in their order: float32 ``[n, features]`` or ``[n, channels, height,
            width]`` without NaN, or ``str`` objects ``[n]``.

        Raises:
            DataError: If a standardised value is too large for float32.
        """
        ...

    def encoded_bytes(self) -> int:
        """Most memory of the encoded inputs; 0 for those that cannot be cached."""
        ...

    def parts(self) -> Iterator[bytes | memoryview]:
        """Yields the whole content, for a hash."""
        ...


@dataclass(frozen=True, slots=True)
class Raw:
    """Inputs and labels as they are read.

    Attributes:
        source: A path or name for messages.
        inputs: The examples.
        labels: One class name or number an example, ``[n]``, of any type that sorts.
        own: The splits that the data bring along.
        notes: What was done to the data; see :attr:`TaskFacts.notes`.
        first: Of each example the first one that it is a copy of, int64 ``[n]``; ``None`` where
            nobody looked.
        together: Whether copies have to stay within one split; rows of a table may be alike by
            chance.
        schema: What the columns of a table were taken for; ``None`` for other data.
        target_kind: What the labels are; ``None``: what they look like.
    """

    source: str
    inputs: Inputs
    labels: NDArray[Any]
    own: PredefinedSplits = NO_SPLITS
    notes: tuple[str, ...] = ()
    first: NDArray[np.int64] | None = None
    together: bool = True
    schema: Schema | None = None
    target_kind: TargetKind | None = None


@dataclass(frozen=True, slots=True)
class Pictures:
    """What all image files together tell of how one is read.

    Attributes:
        deep: Lowest and highest of their grey values of 16 bits; ``None`` where there are none.
    """

    deep: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ArrayInputs:
    """Inputs that are numbers.

    Attributes:
        source: Name of the data, for messages.
        values: Numbers of any type, ``[n, features]`` or ``[n, channels, height, width]``; no NaN.
        pictures: Where they are pixels of image files, which may have any size; else ``None``.
    """

    source: str
    values: NDArray[Any]
    pictures: Pictures | None = None

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, train: NDArray[np.int64]) -> NDArray[np.float32]:
        """Standardises each feature or channel; see :meth:`Inputs.encode`."""
        return standardise(self.values, train, names=_names(self.values), source=self.source)

    def encoded_bytes(self) -> int:
        """Four bytes a value."""
        return 4 * self.values.size

    def parts(self) -> Iterator[bytes | memoryview]:
        """Yields type, shape, values, and how pixels are scaled."""
        yield f"{self.values.dtype.str} {self.values.shape}".encode()
        if is_pixels(self.values.shape[1:], self.values.dtype):
            yield b"whole means"
        yield buffer(self.values)


def buffer(array: NDArray[Any]) -> memoryview:
    """An array's bytes in C order, copied only where needed."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def array_inputs(array: NDArray[Any], source: str) -> ArrayInputs:
    """Checks an array from the user and orders its axes.

    Args:
        array: ``[n, features]``, ``[n, height, width]``, ``[n, channels, height, width]`` or
            ``[n, height, width, channels]`` with 1 or 3 channels. Where axis 1 and axis 3 could
            both be the channels, axis 1 is taken.
        source: Name of the data, for messages.

    Returns:
        The same numbers as ``[n, features]`` or ``[n, channels, height, width]``.

    Raises:
        DataError: If the array is not numeric, has another shape, is empty, or holds NaN or
            infinite values.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{source}: inputs must be real numbers, but their dtype is {array.dtype}: "
            "convert them, for example with inputs.astype('float32')"
        )
    ordered = _ordered(array, source)
    if ordered.size == 0:
        raise DataError(
            f"{source}: inputs must not be empty, but their shape is {array.shape}: "
            "check what wrote them"
        )
    unusable = counts_of_unusable(ordered, _names(ordered))
    if unusable:
        raise DataError(
            f"{source}: inputs must be finite, but NaN or infinite are {unusable}: "
            "fill these values in, or remove their examples"
        )
    return ArrayInputs(source, ordered)


def _ordered(array: NDArray[Any], source: str) -> NDArray[Any]:
    if array.ndim == 2:
        return array
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return array.transpose(0, 3, 1, 2)
    raise DataError(
        f"{source}: inputs must be [n, features], [n, height, width], [n, channels, height, "
        f"width] or [n, height, width, channels] with 1 or 3 channels, but their shape is "
        f"{array.shape}: reshape them"
    )


def _names(values: NDArray[Any]) -> list[str]:
    axis = "feature" if values.ndim == 2 else "channel"
    return [f"{axis} {index}" for index in range(values.shape[1])]

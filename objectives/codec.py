"""JSON of frozen dataclasses: what databases, evaluators and the lineage store keep and send."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

__all__ = ["from_json", "to_json"]

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Plain values that ``json.dumps`` takes, of a dataclass or of what holds dataclasses."""
    return _adapter(type(value)).dump_python(value, mode="json")


def from_json(kind: type[T], data: Any) -> T:
    """Inverse of :func:`to_json`; the kind is such as ``Reading`` or ``list[Reading]``.

    Keys that are unknown are passed over, and those that lack take their defaults: other versions
    may have written them.

    Raises:
        ValueError: They are not of this kind.
    """
    try:
        value: T = _adapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{kind.__name__} {place}: {first['msg']}") from error
    return value


@cache
def _made(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


# Types are hashable, which mypy does not know.
_adapter: Callable[[Any], TypeAdapter[Any]] = _made

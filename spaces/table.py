"""A table of keys that a user sets, each checked by its type."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["CHECKED", "Choices", "Positive", "Range", "Share", "Table"]

V = TypeVar("V")
N = TypeVar("N", bound=float)


CHECKED = ConfigDict(extra="forbid")
"""For a dataclass that is a table, as its ``__pydantic_config__``: unknown keys are refused.

A strict dataclass would take no dict: its numbers are strict one by one.
"""


class Table(BaseModel):
    """Base of all other tables of a study file: unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


def _as_range(value: object) -> object:
    if isinstance(value, (int, float)):
        return (value, value)
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return tuple(value)
    raise ValueError("give one number, or a low and a high end")


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _ordered(value: tuple[N, N]) -> tuple[N, N]:
    if value[0] > value[1]:
        raise ValueError(f"the low end {value[0]:g} is above the high end {value[1]:g}")
    return value


def _distinct(values: tuple[V, ...]) -> tuple[V, ...]:
    if not values:
        raise ValueError("give at least 1 item")
    if len(set(values)) != len(values):
        raise ValueError("the same value stands in it twice")
    return values


Choices = Annotated[tuple[V, ...], BeforeValidator(_as_tuple), AfterValidator(_distinct)]
"""Values to choose from; one value may stand for a list of one."""

Range = Annotated[tuple[N, N], BeforeValidator(_as_range), AfterValidator(_ordered)]
"""Lowest and highest value to choose; one number is both."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
"""A number of something, in no unit that has an end."""

Share = Annotated[float, Field(ge=0, le=0.95)]
"""Of what may be taken away: never all."""

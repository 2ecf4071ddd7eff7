"""What is wrong with a study file, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic_core import ErrorDetails

__all__ = ["explain"]

_NO_TABLE = {"model_type", "model_attributes_type", "dict_type", "dataclass_type"}
_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}

_RULES = {
    "string_pattern_mismatch": "letters, digits, '.', '-' and '_' only",
    "tuple_type": "give a valid list",
}
"""Rules whose own words would be those of a programmer."""


def explain(detail: ErrorDetails, file: type[BaseModel], where: str) -> str:
    """One broken rule in words: file, key, rule, value.

    Args:
        detail: What pydantic tells.
        file: The model whose fields are the tables.
        where: What is read.
    """
    place = [
        str(part) for part in detail["loc"] if not str(part).startswith(("function-", "list["))
    ]
    section = f"[{place[0]}]" if place else "the file"
    key = " ".join([section, *place[1:2]])
    # A storage may hold a password.
    given = "***" if place[:2] == ["study", "storage"] else detail["input"]
    if detail["type"] in _UNKNOWN:
        known = _keys_at(place[:-1], file)
        near = get_close_matches(place[-1], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{where}: {key}: unknown key: {hint}"
    if detail["type"] == "missing":
        return f"{where}: {key}: is missing: every study needs it"
    if detail["type"] in _NO_TABLE and place[1:]:
        return f"{where}: {key}: must be a table: {place[1]} = {{ … = … }}, not {given!r}"
    if detail["type"] in _NO_TABLE:
        first = next(iter(_keys_at(place, file)), "its keys")
        return f"{where}: {key}: must be a table: write {section}, then {first} = …, not {given!r}"
    rule = _RULES.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    return f"{where}: {key}: {rule[0].lower()}{rule[1:]}, not {given!r}"


def _keys_at(place: Sequence[str], file: type[BaseModel]) -> list[str]:
    if not place:
        return list(file.model_fields)
    table = file.model_fields[place[0]].annotation
    if isinstance(table, type) and issubclass(table, BaseModel):
        return list(table.model_fields)
    return [field.name for field in fields(table)] if is_dataclass(table) else []

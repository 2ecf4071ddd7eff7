"""Numbers, moments and sentences as files for machines want them."""

from __future__ import annotations

import math
import re
import uuid
from datetime import UTC, datetime
from decimal import Decimal

from greenfront.errors import UsageError
from greenfront.studies.analysis.words.wording import leak_sentence
from greenfront.studies.export.record import ModelRecord

__all__ = [
    "identity",
    "instant",
    "limitations",
    "plain_decimal",
    "spdx_identifier",
    "two_figures",
]


def plain_decimal(value: float) -> str:
    """A number in plain decimals, with every digit that it has and never an exponent."""
    return format(Decimal(repr(value)), "f")


def two_figures(value: float) -> float:
    """A number in two significant figures; 0 stays 0."""
    return float(f"{value:.1e}") if math.isfinite(value) else value


def instant(seconds: float) -> str:
    """A moment as ISO 8601 in UTC, in whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def identity(record: ModelRecord, form: str) -> uuid.UUID:
    """The identity of a document: the same for the same record and form."""
    model = record.model
    told = [record.study, model.trial, record.task.fingerprint, record.created_at, form]
    return uuid.uuid5(uuid.NAMESPACE_URL, "greenfront:" + "/".join(map(str, told)))


def limitations(record: ModelRecord) -> list[str]:
    """What a user has to know before trusting the scores, a sentence each."""
    leak = leak_sentence(record.task)
    return [
        "Scores hold for data that were drawn like those of the task.",
        "Differences between groups of people were not examined.",
        *([] if leak is None else [leak]),
    ]


def spdx_identifier(text: str) -> str:
    """The identifier of a licence as it was given.

    Raises:
        UsageError: It cannot be one: SPDX's are of letters, digits, ``.``, ``+`` and ``-``.
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", text) is None:
        raise UsageError(
            f"--license must be one identifier of SPDX, such as Apache-2.0, but is {text!r}: "
            "https://spdx.org/licenses lists them; your own is LicenseRef-NAME"
        )
    return text

"""Numbers and moments as files for machines want them."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime
from decimal import Decimal

from greenfront.studies.export.record import ModelRecord

__all__ = ["identity", "instant", "plain_decimal", "two_figures"]


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

"""What the answers of a model stand for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Labels"]


@dataclass(frozen=True, slots=True)
class Labels:
    """What a model's answers stand for.

    Attributes:
        classes: Names in index order; none where the target is a number.
        threshold: See :class:`~greenfront.objectives.outcome.Decisions`.
        positive: Index of the class that two classes are looked for by.
        target: Name of the target; empty where it has none.
    """

    classes: tuple[str, ...]
    threshold: float | None = None
    positive: int = 1
    target: str = ""

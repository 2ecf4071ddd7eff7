"""What verification found, beside what was claimed."""

from __future__ import annotations

from dataclasses import dataclass

from greenfront.objectives.packaging.claims import Judged

__all__ = ["Check", "Verified"]


@dataclass(frozen=True, slots=True)
class Check:
    """One claim beside what was found.

    Attributes:
        name: What it is about.
        claimed: In words.
        found: In words.
        holds: ``None`` where the two cannot be compared here; then ``why`` says it.
        why: What it means that it does not hold; of no meaning where it does.
    """

    name: str
    claimed: str
    found: str
    holds: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """All checks of a folder.

    Attributes:
        checks: In the order in which people read them.
        test: What the model scores on the test split here; ``None`` where that was not looked at.
    """

    checks: tuple[Check, ...]
    test: Judged | None

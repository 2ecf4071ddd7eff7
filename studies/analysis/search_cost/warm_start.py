"""What a study began with of earlier ones, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenfront.studies.analysis.view import StudyView


__all__ = ["warm_lines"]


def warm_lines(view: StudyView) -> list[str]:
    """A sentence; none where a study began cold."""
    warm = view.facts.warm
    if warm is None:
        return []
    count = len(warm.points)
    return [
        f"Warm-started: after the baselines came, within the script's share, "
        f"{'the candidate' if count == 1 else f'the first of {count} candidates'} that "
        f"{', '.join(warm.studies)} had found on the same data."
    ]

"""Which trials follow which, and why: the feedback loop as it went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from greenfront.studies.store.follow_ups import FollowUp
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["Link", "chain_of", "chains"]


@dataclass(frozen=True, slots=True)
class Link:
    """A trial that was queued because of what another one has reached.

    Attributes:
        trial: Its number.
        origin: Number of the other one.
        stricter: Whether it should be cheaper; else it should be more accurate.
        reason: What the other one lacked and what was changed, in words.
    """

    trial: int
    origin: int
    stricter: bool
    reason: str

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Trial {self.trial} follows trial {self.origin}: {self.reason}."


def chains(trials: Iterable[NetworkTrial], follow_ups: Sequence[FollowUp]) -> tuple[Link, ...]:
    """All links, in the order in which they were queued.

    Args:
        trials: Of the study.
        follow_ups: Of the study. Those that have not begun yet are left out.
    """
    if not follow_ups:
        return ()
    numbers = {trial.key: trial.number for trial in trials}
    return tuple(
        Link(numbers[found.key], numbers[found.origin], found.stricter, found.reason)
        for found in follow_ups
        if found.key in numbers and found.origin in numbers
    )


def chain_of(trial: int, links: Iterable[Link]) -> list[Link]:
    """The links that have led to a trial, the first one first; empty where it follows nothing."""
    by_trial = {link.trial: link for link in links}
    found: list[Link] = []
    while (link := by_trial.get(trial)) is not None and link not in found:
        found.append(link)
        trial = link.origin
    return found[::-1]

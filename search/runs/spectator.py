"""Watches a study that other processes search, through its database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenfront.search.archive import Archive
from greenfront.search.problem import Problem
from greenfront.search.status import Observer, Status
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import FINISHED

__all__ = ["Spectator"]


class Spectator:
    """Tells an observer what the workers of a study do, wherever they are.

    Args:
        problem: That is searched; nothing of it is evaluated here.
        study: In an open storage.
        budget: Of the study.
        raced: Whether its candidates climb rungs, so that effort counts.
        observer: Is told.
    """

    def __init__(
        self,
        problem: Problem[Any],
        study: Study,
        budget: Budget,
        raced: bool,
        observer: Observer | None,
    ) -> None:
        self._study = study
        self._budget = budget
        self._raced = raced
        self._observer = observer
        self._archive = Archive(problem, study.trials)
        self._archive.refresh()
        self._rests = {rest.pause_id for rest in study.pauses.all("heat")}
        self._told = {slot.slot for slot in self._archive.slots() if slot.state in FINISHED}

    @property
    def finished(self) -> int:
        """Trials that were over at the last look."""
        counts = self._archive.counts()
        return sum(counts[state] for state in FINISHED)

    def look(self, doing: Mapping[int, str]) -> None:
        """Tells what has happened since the last look.

        Args:
            doing: What each worker does, by its number.
        """
        self._archive.refresh()
        if self._observer is None:
            return
        for slot in self._archive.slots():
            if slot.state in FINISHED and slot.slot not in self._told:
                self._told.add(slot.slot)
                self._observer.finished(self._study.trials.get(slot.number))
        self._tell_heat(self._observer)
        spent = self._study.ledger.total()
        front_size, hypervolume = self._archive.front()
        self._observer.changed(
            Status(
                counts=self._archive.counts(),
                front_size=front_size,
                hypervolume=hypervolume,
                kwh_spent=spent.kwh,
                co2_kg_spent=spent.co2_kg,
                budget=self._budget,
                seconds_left=None,
                doing=doing,
                effort=self._archive.effort() if self._raced else None,
            )
        )

    def _tell_heat(self, observer: Observer) -> None:
        """Tells which machines give workers a rest, each in one line."""
        fresh: dict[str, list[str]] = {}
        for rest in self._study.pauses.all("heat"):
            if rest.pause_id not in self._rests:
                self._rests.add(rest.pause_id)
                fresh.setdefault(rest.host, []).append(rest.reason)
        for host, reasons in fresh.items():
            who = "1 worker rests" if len(reasons) == 1 else f"{len(reasons)} workers rest"
            observer.note(f"{host} is {reasons[-1]}: {who}")

"""The evaluators of a study: each is lent to one worker, replaced when it dies, and reused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import Instruments
from greenfront.search.evaluator.early_stopping import EarlyStopping
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.networks.exploration import start_evaluator, tell_teacher
from greenfront.spaces.candidate import Candidate
from greenfront.studies.config.study_file import StudyFile

__all__ = ["EvaluatorPool", "LentEvaluator"]

T = TypeVar("T")


class EvaluatorPool:
    """Evaluators that run, and how new ones are started.

    Args:
        file: The study.
        instruments: Meter the evaluators.
        teacher: Told to each evaluator; ``None``: nothing is distilled.
        warm: A running one for the first worker; :meth:`close` closes it.
    """

    def __init__(
        self,
        file: StudyFile,
        instruments: Instruments,
        teacher: Candidate | None,
        warm: Evaluator | None = None,
    ) -> None:
        self._file = file
        self._instruments = instruments
        self._teacher = teacher
        self._idle = [warm] if warm else []
        self._peaks: list[int] = []

    @property
    def peak_memory_bytes(self) -> int:
        """Highest resident memory of any evaluator so far."""
        return max(self._peaks, default=0)

    @contextlib.contextmanager
    def lend(self) -> Iterator[LentEvaluator]:
        """An evaluator for one worker, which the next one gets after it."""
        lent = LentEvaluator(self, self._idle.pop() if self._idle else None)
        try:
            yield lent
        finally:
            if lent.evaluator is not None:
                self._idle.append(lent.evaluator)

    def start(self, context: TrialContext) -> Evaluator:
        """Starts one.

        Raises:
            UsageError: The data cannot be used.
            TrialFailed: It died.
        """
        return start_evaluator(self._file, self._instruments, context)

    def teach(self, evaluator: Evaluator, context: TrialContext) -> None:
        """Tells one who the teacher is."""
        tell_teacher(evaluator, self._teacher, context)

    def observe(self, evaluator: Evaluator) -> None:
        """Takes down how much memory one has held."""
        self._peaks.append(evaluator.peak_memory_bytes)

    def close(self) -> None:
        """Closes all that are not lent."""
        while self._idle:
            self._idle.pop().close(TrialContext())


class LentEvaluator:
    """The evaluator of one worker; a dead one is replaced at the next call.

    Args:
        pool: That it belongs to.
        evaluator: A running one, if there is one.

    Attributes:
        evaluator: The present one; ``None`` before the first call.
    """

    def __init__(self, pool: EvaluatorPool, evaluator: Evaluator | None = None) -> None:
        self._pool = pool
        self.evaluator = evaluator
        self._taught = False

    def ready(self, context: TrialContext) -> Evaluator:
        """The evaluator, started if need be, which knows its teacher.

        Args:
            context: Charged for the start.

        Raises:
            UsageError: The data cannot be used.
            TrialFailed: It died.
        """
        if self.evaluator is not None and not self.evaluator.alive:
            self.evaluator.close(context)
            self.evaluator = None
        if self.evaluator is None:
            self.evaluator = self._pool.start(context)
            self._taught = False
        if not self._taught:
            self._pool.teach(self.evaluator, context)
            self._taught = True
        return self.evaluator

    def call(
        self,
        name: str,
        argument: Any,
        context: TrialContext,
        *,
        returns: type[T],
        timeout_seconds: float,
        early_stopping: EarlyStopping,
    ) -> T:
        """Runs a trial or a part of one; see :meth:`Evaluator.call`.

        Raises:
            TrialFailed: It failed, or its shape cannot be built, which says nothing of the others.
        """
        evaluator = self.ready(context)
        try:
            return evaluator.call(
                name,
                argument,
                context,
                returns=returns,
                timeout_seconds=timeout_seconds,
                early_stopping=early_stopping,
            )
        except UsageError as refusal:
            raise TrialFailed("refused", str(refusal)) from refusal
        except TrialFailed as failure:
            if failure.cause == "out of memory" and evaluator.alive:
                # It may still hold a part of that memory: begin anew.
                evaluator.close(context)
            raise
        finally:
            self._pool.observe(evaluator)

"""Evaluators of the faulty job, and who pays for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.cpu_model import CpuModelMeter, stated_watts
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.readings import Component, Reading
from greenfront.search.evaluator.launch import EvaluatorSettings
from greenfront.search.evaluator.process import Evaluator

WATTS = 10.0


class Purse(TrialContext):
    """Collects what is charged."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Reading]] = []

    def charge(
        self, phase: str, readings: Mapping[Component, Reading], start: float, end: float
    ) -> None:
        assert start <= end
        self.entries += [(phase, reading) for reading in readings.values()]

    def cpu_seconds(self, phase: str | None = None) -> float:
        return sum(r.cpu_seconds for name, r in self.entries if phase in (None, name))

    def joules(self) -> float:
        return sum(reading.joules or 0.0 for _, reading in self.entries)


def start(
    tmp_path: Path,
    purse: TrialContext,
    memory_bytes: float | None = None,
    pinned: bool = False,
    **settings: Any,
) -> Evaluator:
    return Evaluator(
        EvaluatorSettings(
            job="contracts.faulty_job:make",
            settings=settings,
            log=tmp_path / "logs" / "evaluator.log",
            memory_bytes=memory_bytes,
            pinned=pinned,
        ),
        Instruments((CpuModelMeter(stated_watts(WATTS)),)),
        purse,
    )

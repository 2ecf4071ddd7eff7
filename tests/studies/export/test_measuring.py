"""A folder is measured as what it is: a session whose threads spin."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from greenfront.objectives.metering.cpu_model import CpuModelMeter, WattsPerThread
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.packaging.reference_workload import reference_graph
from greenfront.objectives.stages.metered import InferenceCost, Measuring, Work, repeated_cost
from greenfront.studies.export import measuring


def test_what_its_threads_spin_is_kept_from_what_is_measured_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works: list[Work] = []

    def watched(work: Work, *arguments: object, **named: object) -> InferenceCost:
        works.append(work)
        return repeated_cost(work, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(measuring, "repeated_cost", watched)
    onnx.save(reference_graph(), tmp_path / measuring.MODEL)
    meters = Instruments((CpuModelMeter(WattsPerThread(4, 2, 8, "test")),))
    short = Measuring(block_seconds=0.001, least_blocks=2, most_blocks=2)
    assert measuring.measured_cost(tmp_path, meters, measuring=short).reading.joules
    assert [work.spins for work in works] == [True]

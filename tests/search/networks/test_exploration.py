"""Which instruments a study begins with."""

from __future__ import annotations

from typing import NoReturn

import pytest

from contracts.hardware import LiveNvml
from greenfront.errors import UsageError
from greenfront.objectives.metering.cpu_model import CpuModelMeter, generic_watts
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.search.networks import exploration
from greenfront.studies.config.study_file import StudyFile


@pytest.mark.parametrize(
    ("training", "predictions", "metered"),
    [("cpu", "cpu", ()), ("auto", "cpu", ("GPU-a",)), ("cpu", "cuda", ("GPU-a",))],
)
def test_a_study_of_the_cpu_alone_waits_for_no_gpu(
    training: str, predictions: str, metered: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    started: list[Instruments] = []

    def start(_file: object, instruments: Instruments, *_: object) -> NoReturn:
        started.append(instruments)
        raise UsageError("enough")

    monkeypatch.setattr(exploration, "start_evaluator", start)
    card = NvmlMeter(LiveNvml(100.0, "GPU-a"), resolution_seconds=0.01)
    file = StudyFile.from_stored(
        {
            "study": {"name": "s"},
            "task": {"kind": "digits"},
            "training": {"device": training},
            "objectives": {"device": predictions},
        }
    )
    with pytest.raises(UsageError, match="enough"):
        exploration.explore(file, Instruments((CpuModelMeter(generic_watts()), card)))
    assert started[0].gpu_uuids == metered

"""What a study had to find out about its data and its machine before it could lay out its space."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from greenfront.objectives.tasks.task import TaskFacts
from greenfront.spaces.architectures.architecture import FamilyFacts
from greenfront.spaces.knobs import Value
from greenfront.studies.config.forecast import Forecast

__all__ = ["StudyFacts", "TraceFacts", "WarmStart"]


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """What scores need of a trace of carbon intensity, so that they outlive its file.

    Attributes:
        mean: Over all of it, in g/kWh.
        usual_best: What work gets on average that waits for its best hour within the study's
            deadline; ``None`` where the study does not look for the greenest hours.
        region: The grid.
        source: The file's name, and what it counts.
        sha256: Of the file's content.
    """

    mean: float
    usual_best: float | None
    region: str
    source: str
    sha256: str


def _threads_here() -> int:
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class WarmStart:
    """What a search begins with since earlier ones have found it.

    Attributes:
        studies: Their names.
        points: Settings of the candidates on their fronts, the most telling first.
    """

    studies: tuple[str, ...]
    points: tuple[Mapping[str, Value], ...]


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """Found once, when a study begins, and kept with it.

    Attributes:
        task: Of the data.
        device: Where trials are trained, ``"cpu"`` or ``"cuda"``.
        mixed_precision: Whether bfloat16 training gains anything on that device.
        int8: Latency of each family's baseline in int8 kernels, as a share of its latency in
            single precision; empty where 8 bits are not searched.
        trace: Of the carbon intensity over time; ``None`` where the study has no trace.
        threads: Hardware threads of the machine that the study began on: CPU time is so small a
            share of a machine. Older studies kept none and take those of this machine.
        preprocessing: Whether predictions count with their preprocessing; in older studies, all of
            whose trials are to be comparable, they do not.
        families: Of the families that are code of the user's, by name, so that the space stays
            what it is and no other process has to run that code. Older studies kept none.
        batch_seconds: Of families: seconds of a training step for each example in it, with the
            usual batch, twice that, …; empty where batches are not scaled.
        forecast: What the search was expected to cost; ``None`` where nothing could tell.
        warm: What it began with of earlier studies; ``None`` where it did not.
    """

    task: TaskFacts
    device: str
    mixed_precision: bool
    int8: Mapping[str, float] = field(default_factory=dict)
    trace: TraceFacts | None = None
    threads: int = field(default_factory=_threads_here)
    preprocessing: bool = False
    families: Mapping[str, FamilyFacts] = field(default_factory=dict)
    batch_seconds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    forecast: Forecast | None = None
    warm: WarmStart | None = None

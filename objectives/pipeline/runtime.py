"""What all stages of a study share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenfront.objectives.context import StageContext
from greenfront.objectives.judging import Judging
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.metrics import study_metric
from greenfront.objectives.pipeline.lineage import LineageStore, Made, lineage_key
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.stages.seeding import seeded
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import Candidate

__all__ = ["Runtime"]


@dataclass(slots=True)
class Runtime:
    """Services and settings that every stage of a study may use.

    Attributes:
        models: Builds the networks of the task.
        store: Keeps the outputs of stages.
        context: Meters phases and receives progress messages.
        seed: Of the study; each training adds its own lineage.
        measuring: How predictions are measured, and so how int8 recipes are compared.
        judging: How exported files are judged; ``None``: by the usual metric of the task.
        teacher: The candidate that students learn from; ``None`` where none is distilled.
        torch_file: Whether to write a file for torch, too; always where networks are trained on a
            GPU, which ONNX Runtime as it is installed here would not use.
        instruments: What meters it, in words: readings of other instruments are not comparable.
        calibrated_on: Fingerprint of the task for which families were calibrated; empty: its own.
    """

    models: ModelFactory
    store: LineageStore
    context: StageContext
    seed: int
    measuring: Measuring
    teacher: Candidate | None = None
    torch_file: bool = False
    judging: Judging | None = None
    instruments: str = ""
    calibrated_on: str = ""

    @property
    def judged_by(self) -> Judging:
        """:attr:`judging`, or the usual one."""
        return self.judging or Judging(study_metric(self.models.task.facts))

    def __post_init__(self) -> None:
        self.torch_file |= self.models.device == "cuda"

    def calibrated(
        self,
        what: str,
        family: str,
        knobs: Mapping[str, Any],
        measure: Callable[[Candidate, Path], object],
    ) -> Any:
        """Facts that are measured once for a family on this task and machine, and remembered.

        Random numbers that ``measure`` draws do not change those of the stage that asks.

        Returns:
            The facts as JSON values.
        """
        baseline = self.models.baseline(family)
        inputs = {
            **baseline.to_json(),
            "task": self.calibrated_on or self.models.task.facts.fingerprint,
            "processor": describe_cpu().name,
            **knobs,
        }

        def make(folder: Path) -> Made:
            with seeded(self.seed), self.context.phase("calibrate") as window:
                facts = measure(baseline, folder)
            return Made({"calibrate": window.total}, facts)

        key = lineage_key(what, architecture(family).fingerprint(), inputs)
        return self.store.output(key, make, stage=what).facts

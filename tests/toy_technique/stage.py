"""The stage of the toy technique."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from greenfront.objectives.pipeline.lineage import Made
from greenfront.objectives.pipeline.stage import Stage, StageJob
from greenfront.objectives.pipeline.trainer import Trainer
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.toy import Toy


class ToyStage(Stage):
    name = "toy"
    order = 60

    def applies(self, candidate: Candidate) -> bool:
        return not candidate.of(Toy).untouched

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        return {"strength": candidate.of(Toy).strength}

    def make(self, job: StageJob) -> Made:
        trainer = Trainer(self.runtime, job)
        with self.runtime.context.phase("toy") as window:
            model = trainer.load()
            with torch.no_grad():
                for weight in model.parameters():
                    weight.copy_(weight.round(decimals=10 - job.candidate.of(Toy).strength))
            trainer.save(model)
        return Made({"toy": window.total})


STAGE = ToyStage

"""How good a newcomer's models are: untouched baselines beside scikit-learn, on the same splits.

Each family that a study searches by default is trained as its baseline is, with no key set. Of
them, and of scikit-learn's models, the one that is best on the validation split is shown with its
accuracy on the test split.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from quality_rivals import flat, scikit_learn

from greenfront.objectives.pipeline.model_factory import ModelFactory, network_of
from greenfront.objectives.stages.loss import Loss, quality
from greenfront.objectives.stages.predict import predict
from greenfront.objectives.stages.train import FitOptions, train
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Task
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.network_space import baseline_candidates
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile

SEEDS = 3


@dataclass(frozen=True)
class Row:
    """Medians over the seeds; accuracies of what validation would pick."""

    data: str
    family: str
    network: float
    network_cpu_seconds: float
    reference: str
    reference_accuracy: float

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.data:12} {self.family:8} {self.network:.3f} ({self.network_cpu_seconds:.1f} "
            f"CPU-s)   {self.reference:10} {self.reference_accuracy:.3f}   "
            f"{100 * (self.network - self.reference_accuracy):+.1f} points"
        )


@dataclass(frozen=True)
class Tried:
    """One model of one split."""

    name: str
    validation: float
    test: float
    cpu_seconds: float


def settings_of(data: str) -> TaskSettings:
    """A file of ``….csv`` or ``….csv.gz`` with a column ``class`` or ``label``, or a kind."""
    if ".csv" not in data:
        return TaskSettings(kind=data)
    heading = Path(data).name
    text = "text" in heading
    return TaskSettings(
        kind="text" if text else "csv", path=data, target="label" if text else "class"
    )


def trained(task: Task, candidate: Candidate, seed: int) -> Tried:
    """A baseline, trained as a trial would, without metering."""
    began = time.process_time()
    factory, family = ModelFactory(task, "cpu"), network_of(candidate)
    torch.manual_seed(seed)
    model, data = factory.build(candidate), factory.data(candidate)
    family.adapt(model, data.train.inputs)
    options = FitOptions(
        head=family.head(model),
        body_rate=family.body_rate,
        weight_decay=family.weight_decay,
        warm_up=family.warm_up,
        loss=Loss.of(candidate.training, data.train.labels, task.facts.outputs),
    )
    train(model, data, candidate.training, seed, options)
    spent = time.process_time() - began
    test = factory.encoded(candidate, task.test)

    def judged(inputs: torch.Tensor, labels: torch.Tensor) -> float:
        return quality(predict(model, inputs, data.validation.padding), labels)

    return Tried(
        candidate.architecture.family,
        judged(data.validation.inputs, data.validation.labels),
        judged(torch.from_numpy(test.inputs), torch.from_numpy(test.labels)),
        spent,
    )


def references(task: Task, seed: int) -> list[Tried]:
    """Scikit-learn with its default settings."""
    rows = []
    for name, model in scikit_learn(task, seed).items():
        began = time.process_time()
        model.fit(flat(task.train.inputs), task.train.labels)
        spent = time.process_time() - began
        scores = [
            float(np.mean(model.predict(flat(split.inputs)) == split.labels))
            for split in (task.validation, task.test)
        ]
        rows.append(Tried(name, *scores, spent))
    return rows


def compared(data: str, seeds: int, cache: Path) -> Row:
    """Splits, trains and compares one data set once a seed."""
    networks, others = [], []
    for seed in range(seeds):
        settings = settings_of(data)
        task = load_task(settings, cache=cache, seed=seed)
        shown = {"kind": settings.kind, "path": settings.path, "target": settings.target}
        file = StudyFile.from_stored({"task": {k: v for k, v in shown.items() if v is not None}})
        candidates = baseline_candidates(file.options(StudyFacts(task.facts, "cpu", False)))
        ours = [trained(task, c, seed) for c in candidates if c.architecture.family != "bert"]
        networks.append(max(ours, key=lambda tried: tried.validation))
        others.append(max(references(task, seed), key=lambda tried: tried.validation))
    return Row(
        Path(data).name.partition(".")[0],
        statistics.mode(tried.name for tried in networks),
        statistics.median(tried.test for tried in networks),
        statistics.median(tried.cpu_seconds for tried in networks),
        statistics.mode(tried.name for tried in others),
        statistics.median(tried.test for tried in others),
    )


def main() -> None:
    """Runs the benchmark; the last line of its output is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", default=["digits"], help="kinds of tasks, or CSV files")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for data in arguments.data:
            rows.append(compared(data, 1 if arguments.quick else SEEDS, Path(cache)))
            if not arguments.json:
                print(rows[-1], flush=True)
    print(json.dumps({"rows": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()

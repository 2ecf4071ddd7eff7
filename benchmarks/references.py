"""What references score and cost: their files beside scikit-learn with its defaults, and a network.

Each reference goes through the stages of a trial. Its file answers the test split in ONNX Runtime;
scikit-learn's own estimator, with nothing set, is fitted on the same rows. Joules are those of one
prediction as trials measure it, one row a call, beside the untouched ``mlp`` on the same data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from quality_rivals import flat, scikit_learn

from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Task
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.architectures.sklearn import references
from greenfront.spaces.network_space import reference_candidate

SEEDS = 3
PLAIN = {
    "sklearn:logistic": "logistic",
    "sklearn:hist_gradient_boosting": "HistGB",
    "sklearn:extra_trees": "ExtraTrees",
    "sklearn:tfidf_logistic": "TF-IDF + logistic",
}
"""From a reference to scikit-learn's own estimator."""


@dataclass(frozen=True)
class Row:
    """Medians over the seeds."""

    data: str
    name: str
    test_accuracy: float
    plain_test_accuracy: float
    joules: float
    fit_joules: float
    bytes: float
    of_the_network: float

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.data:10} {self.name:32} {self.test_accuracy:.3f} (plain "
            f"{self.plain_test_accuracy:.3f})  {1e6 * self.joules:.1f} µJ "
            f"({self.of_the_network:.2f} of the network's)  fit {self.fit_joules:.2f} J  "
            f"{self.bytes / 1000:.0f} kB"
        )


def plain(name: str, task: Task, seed: int) -> float:
    """Test accuracy of scikit-learn's estimator with its defaults."""
    model = scikit_learn(task, seed)[PLAIN[name]]
    model.fit(flat(task.train.inputs), task.train.labels)
    return float(model.score(flat(task.test.inputs), task.test.labels))


def tried(data: str, seed: int, folder: Path) -> list[Row]:
    """All references on one split of the data."""
    path = Path(data)
    settings = (
        TaskSettings(data)
        if not path.exists()
        else TaskSettings("csv", path=str(path.absolute()), target="class")
        if "".join(path.suffixes).startswith(".csv") and "text" not in path.stem
        else TaskSettings("text", path=str(path.absolute()), target="label")
    )
    task = load_task(settings, cache=folder / "data", seed=seed)
    trials = TrialRunner(
        Runtime(
            ModelFactory(task, "cpu"),
            LineageStore(folder / "lineage"),
            LocalContext(detect(4.0)),
            seed=seed,
            measuring=Measuring(),
        )
    )
    network = "mlp" if architecture("mlp").objection(task.facts.input_shape) is None else "bag"
    usual = trials.size(trials.runtime.models.baseline(network)).inference.joules or float("nan")
    rows = []
    for name in references(task.facts.input_shape, "classes"):
        candidate = reference_candidate(name)
        outcome = trials.run(candidate)
        session = open_artefact(trials.runtime.store.root / outcome.artefact, 1)
        test = trials.runtime.models.encoded(candidate, task.test)
        answers = answers_of(session, test.inputs, architecture(name).padding)
        joules = outcome.inference.joules or float("nan")
        rows.append(
            Row(
                path.name.partition(".")[0],
                name,
                float((answers.argmax(-1) == test.labels).mean()),
                plain(name, task, seed),
                joules,
                outcome.phases["train"].joules or float("nan"),
                outcome.artefact_bytes,
                joules / usual,
            )
        )
    return rows


def medians(found: list[Row]) -> Row:
    """Of one reference over the seeds."""
    numbers = [key for key, value in asdict(found[0]).items() if not isinstance(value, str)]
    told = {key: statistics.median(getattr(row, key) for row in found) for key in numbers}
    return Row(found[0].data, found[0].name, **told)


def main() -> None:
    """Runs the benchmark; the last line of its output is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", default=["digits"], help="kinds of tasks, or files")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = []
    for data in arguments.data:
        seeds = range(1 if arguments.quick else SEEDS)
        with tempfile.TemporaryDirectory() as folder:
            runs = [tried(data, seed, Path(folder)) for seed in seeds]
        for same in zip(*runs, strict=True):
            rows.append(medians(list(same)))
            if not arguments.json:
                print(rows[-1], flush=True)
    print(json.dumps({"rows": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()

"""How good the models are: beside scikit-learn, FLAML and a LeNet, on data that no search has seen.

For each data set and seed a default study of 30 trials is run by the command line. Then every
model on its front answers the test split, which the search never reads; the same split judges
specialists' models that were trained on the same training split. Scores are accuracy, and R² for
regressions. Bars are those of ``BARS``; a median over the seeds has to clear them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from quality_data import DataSet, data_sets
from quality_rivals import rivals

from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.task import Task
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import view
from greenfront.studies.store.storage import Storage

TRIALS, SEEDS, MINUTES = 30, (0, 1, 2), 10
FLAML_SECONDS = 60.0
BARS = {
    "behind the best rival, references on": 0.005,
    "behind the best rival, networks alone": 0.015,
    "gap between validation and test": 0.005,
    "joules beside FLAML's": 0.10,
    "joules beside LeNet's": 0.50,
}


@dataclass(frozen=True)
class Member:
    """A model of a front: scores are accuracy or R²."""

    name: str
    trial: int
    validation: float
    test: float
    training_joules: float | None
    inference_joules: float | None
    bytes: int


@dataclass(frozen=True)
class Result:
    """One data set with one seed."""

    data: str
    seed: int
    references: bool
    seconds: float
    most_accurate: Member
    greenest: Member
    baseline: Member | None
    members: list[Member]
    rivals: dict[str, dict[str, float | None]]


def score(task: Task, found: NDArray[Any]) -> float:
    """Accuracy of class numbers, R² of standardised values, on the test split."""
    from sklearn.metrics import accuracy_score, r2_score

    judge = r2_score if task.facts.regression else accuracy_score
    return float(judge(task.test.labels, found))


def study(data: DataSet, seed: int, references: bool, trials: int, folder: Path) -> float:
    """Runs a default study and returns how long it took, in seconds."""
    text = f'[study]\nname = "{data.name}"\nseed = {seed}\n[task]\n{data.write(folder)}\n'
    text += f"[search]\nstop_below = 0\n[budget]\ntrials = {trials}\nminutes = {MINUTES}\n"
    if not references:
        text += "[space]\nreferences = false\n"
    (folder / "study.toml").write_text(text)
    begin = time.perf_counter()
    command = [sys.executable, "-m", "greenfront", "run", "study.toml"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{data.name}: run ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return time.perf_counter() - begin


def member(row: ScoredTrial, name: str, models: ModelFactory, store: Path) -> Member:
    """A model of the front with its score on the test split, answered by its exported file."""
    task = models.task
    split = models.encoded(row.candidate, task.test)
    padding = models.data(row.candidate).validation.padding
    session = open_artefact(store / row.outcome.artefact, threads=1)
    answers = answers_of(session, split.inputs, padding)
    target = task.facts.target
    if target is None:
        found = answers.argmax(1)
    else:
        found = (answers[:, 0] - target.mean) / target.deviation
    return Member(
        name=name,
        trial=row.trial,
        validation=row.score,
        test=score(task, found),
        training_joules=row.outcome.training.joules,
        inference_joules=row.outcome.inference.joules,
        bytes=row.outcome.artefact_bytes,
    )


def measured(
    data: DataSet, seed: int, *, references: bool, trials: int, flaml_seconds: float
) -> Result:
    """Runs the study and its rivals."""
    with tempfile.TemporaryDirectory(prefix="greenfront-quality-") as name:
        folder = Path(name)
        seconds = study(data, seed, references, trials, folder)
        seen = view(Storage(f"sqlite:///{folder}/greenfront.db"), data.name)
        cache = folder / ".greenfront"
        task = load_task(seen.file.task, cache=cache / "data", seed=seed)
        models, store = ModelFactory(task, "cpu"), cache / "lineage"
        front, baseline = seen.front, seen.baseline
        if front.most_accurate is None or front.greenest is None:
            raise SystemExit(f"{data.name}, seed {seed}: no model is eligible")
        members = {row.trial: member(row, seen.label(row), models, store) for row in front.rows}
        beside = rivals(
            task, kind=data.kind, flaml_seconds=flaml_seconds, context=LocalContext(detect())
        )
        return Result(
            data=data.name,
            seed=seed,
            references=references,
            seconds=seconds,
            most_accurate=members[front.most_accurate.trial],
            greenest=members[front.greenest.trial],
            baseline=baseline and member(baseline, seen.label(baseline), models, store),
            members=list(members.values()),
            rivals={
                rival.name: {
                    "test": score(task, rival.answer(task.test.inputs)),
                    "training_joules": rival.training_joules,
                    "inference_joules": rival.inference_joules,
                }
                for rival in beside
            },
        )


def bars(results: list[Result]) -> dict[str, dict[str, Any]]:
    """For each data set the medians over its seeds of what the bars ask, and what misses them."""
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(result.data for result in results):
        mine = [result for result in results if result.data == name]
        line: dict[str, Any] = {}
        for references in (True, False):
            some = [result for result in mine if result.references is references]
            if some:
                kind = "references on" if references else "networks alone"
                line[f"behind the best rival, {kind}"] = statistics.median(
                    max(rival["test"] or 0.0 for rival in result.rivals.values())
                    - result.most_accurate.test
                    for result in some
                )
        line["gap between validation and test"] = statistics.mean(
            one.validation - one.test for result in mine for one in result.members
        )
        for rival, bar in (("FLAML", "joules beside FLAML's"), ("LeNet", "joules beside LeNet's")):
            ratios = [
                result.greenest.inference_joules / costs["inference_joules"]
                for result in mine
                for label, costs in result.rivals.items()
                if label.startswith(rival)
                and costs["inference_joules"]
                and result.greenest.inference_joules
            ]
            if ratios:
                line[bar] = statistics.median(ratios)
        line["over"] = [bar for bar, most in BARS.items() if line.get(bar, 0.0) > most]
        found[name] = line
    return found


def shown(result: Result) -> str:
    """A few lines for people."""

    def told(what: str, one: Member | None) -> str:
        if one is None:
            return f"  {what:14} none has finished"
        made = "–" if one.training_joules is None else f"{one.training_joules:9.2f}"
        used = "–" if one.inference_joules is None else f"{1e6 * one.inference_joules:9.2f}"
        return (
            f"  {what:14} {one.name:42.42} validation {one.validation:.4f}  test {one.test:.4f}  "
            f"training {made} J  prediction {used} µJ  {one.bytes:9,} bytes"
        )

    kind = "" if result.references else ", references = false"
    lines = [
        f"{result.data}, seed {result.seed}{kind}: {result.seconds:.0f} s",
        told("most accurate", result.most_accurate),
        told("greenest", result.greenest),
        told("baseline", result.baseline),
    ]
    for name, rival in result.rivals.items():
        used = rival["inference_joules"]
        cost = "" if used is None else f"  prediction {1e6 * used:9.2f} µJ"
        made = rival["training_joules"]
        cost += "" if made is None else f"  training {made:9.2f} J"
        lines.append(f"  beside it      {name:42} test {rival['test']:.4f}{cost}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the six NAME.csv.gz")
    parser.add_argument("--quick", action="store_true", help="one seed, 10 trials, FLAML 10 s")
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    parser.add_argument("--only", nargs="*", help="only these data sets")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--networks-alone", action="store_true", help="also references = false")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    trials, seeds, flaml_seconds = TRIALS, options.seeds, FLAML_SECONDS
    if options.quick:
        trials, seeds, flaml_seconds = 10, seeds[:1], 10.0
    chosen = [d for d in data_sets(options.data) if not options.only or d.name in options.only]
    results = []
    for data in chosen:
        for seed in seeds:
            for references in (True, False) if options.networks_alone else (True,):
                result = measured(
                    data,
                    seed,
                    references=references,
                    trials=trials,
                    flaml_seconds=flaml_seconds,
                )
                results.append(result)
                print(shown(result), flush=True)
    found = bars(results)
    print(json.dumps(found, indent=2, ensure_ascii=False))
    if options.json:
        told = {"results": [asdict(result) for result in results], "bars": found}
        print(json.dumps(told, ensure_ascii=False))


if __name__ == "__main__":
    main()

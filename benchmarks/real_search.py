"""Searches of real trainings: what the racing sampler reaches for how much energy.

For each data set and seed, one after the other on this machine: plain NSGA-II with 56 trials, its
script included; ``green`` until it has spent a share of that energy; random sampling with the same
script until it has spent what ``green`` did. Everything that a search spends is charged. Then all
models that were found are measured in turns, beside each other, and compared by that: hypervolume
is that of one box, of NSGA-II's baselines; beside it that of the same models by their accuracy on
the test split, which no search reads.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onnxruntime import InferenceSession

from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.pareto import hypervolume
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.scores import maximised
from greenfront.objectives.stages.evaluate import answers_of, open_artefact, predictions
from greenfront.objectives.stages.metered import Measuring, Work
from greenfront.objectives.stages.turns import in_turns
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.task import Task
from greenfront.studies.analysis.history.progress import progress
from greenfront.studies.analysis.ranking.front import ScoredTrial, corners
from greenfront.studies.analysis.ranking.volume import Corners, minimised
from greenfront.studies.analysis.view import StudyView, view
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

TRIALS, QUICK_TRIALS = 56, 10
SHARES = (0.05, 0.1, 0.2, 0.4)
"""Of NSGA-II's energy, at which hypervolumes are compared."""
WANTED = 0.99
PICTURES = ("digits", "mnist5k")
BLOCK_SECONDS, TURNS = 0.01, 45
"""Of predictions that are metered at once, when searches are compared, and how often: by nine turns
of twice that length costs still differed by a tenth from one comparison to the next."""


@dataclass(frozen=True)
class Searched:
    """One search.

    Attributes:
        kwh: That it has spent.
        curve: kWh spent and hypervolume after each finished trial.
        begun: Candidates of which something was trained.
        whole: Candidates with the whole effort.
        phases_kwh: Its energy by phase.
        test_hypervolume: By accuracy on the test split.
    """

    kwh: float
    curve: list[tuple[float, float]]
    begun: int
    whole: int
    phases_kwh: dict[str, float]
    test_hypervolume: float

    @property
    def hypervolume(self) -> float:
        """At its end."""
        return self.curve[-1][1] if self.curve else 0.0

    def at(self, kwh: float) -> float:
        """Hypervolume when so much was spent."""
        return max((volume for spent, volume in self.curve if spent <= kwh), default=0.0)

    def energy_to(self, volume: float) -> float | None:
        """Energy in kWh at which a hypervolume was reached; ``None`` if it never was."""
        return next((spent for spent, found in self.curve if found >= volume), None)


@dataclass(frozen=True)
class Pair:
    """The searches of one data set and seed."""

    data: str
    seed: int
    nsga2: Searched
    green: Searched
    random: Searched

    @property
    def beats_random(self) -> bool:
        """Whether ``green`` has more at the energy that both have spent."""
        kwh = min(self.green.kwh, self.random.kwh)
        return self.green.at(kwh) > self.random.at(kwh)

    @property
    def share_to_wanted(self) -> float | None:
        """Of NSGA-II's energy, what ``green`` took to nearly its hypervolume; ``None``: never."""
        needed = self.green.energy_to(WANTED * self.nsga2.hypervolume)
        return None if needed is None else needed / self.nsga2.kwh


def study_file(data: str, tables: Path, seed: int, sampler: str, budget: str) -> str:
    """A study of default settings, without what follows a search; a table lies in ``tables``."""
    task = f'kind = "{data}"'
    if data not in PICTURES:
        task = f'kind = "csv"\npath = "{tables / f"{data}.csv.gz"}"\ntarget = "class"'
    return (
        f'[study]\nname = "s"\nseed = {seed}\n[task]\n{task}\n[objectives]\nrepeats = 1\n'
        f'folds = 1\n[space]\nensemble = false\n[search]\nsampler = "{sampler}"\n'
        f"stop_below = 0\n[budget]\n{budget}\n"
    )


@dataclass(frozen=True)
class Ended:
    """A search that has ended, as it is stored."""

    folder: Path
    seen: StudyView
    study: Study

    @property
    def cache(self) -> Path:
        """What its trials have left."""
        return self.folder / ".greenfront"

    def task(self) -> Task:
        """Its data."""
        file = self.seen.file
        return load_task(file.task, cache=self.cache / "data", seed=file.study.seed)

    def session(self, row: ScoredTrial) -> InferenceSession:
        """The file of one of its trials, opened."""
        return open_artefact(self.cache / "lineage" / row.outcome.artefact, threads=1)


def run(folder: Path, text: str) -> Ended:
    """Carries a study out, or what is left of it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(text)
    command = [sys.executable, "-m", "greenfront", "run", "study.toml"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"run ended with {ended.returncode}: {ended.stderr[-2000:]}")
    storage = Storage(f"sqlite:///{folder}/greenfront.db")
    return Ended(folder, view(storage, "s"), Study.open(storage, "s"))


Values = dict[int, tuple[float, ...]]


def answers_kwh(searches: Sequence[Ended]) -> dict[str, float]:
    """What one prediction of each graph takes, by its key, all of them measured in turns, now.

    What was measured during the searches is no basis to compare them: on a busy machine readings
    of equal graphs lay half apart, and whoever tries many has the luckiest on its front.
    """
    works: dict[str, Work] = {}
    for search in searches:
        models = ModelFactory(search.task(), "cpu")
        for row in search.seen.complete:
            graph = row.outcome.graph or row.outcome.artefact
            if graph not in works:
                split = models.data(row.candidate).validation
                works[graph] = predictions(
                    search.session(row), split.inputs.cpu().numpy(), 1, split.padding
                )
    turned = in_turns(
        list(works.values()),
        LocalContext(detect()),
        phase="compared",
        measuring=Measuring(block_seconds=BLOCK_SECONDS),
        rounds=TURNS,
    )
    return {
        graph: each.cost.reading.kwh
        for graph, each in zip(works, turned, strict=True)
        if each.cost.reading.kwh is not None
    }


def compared(searches: Sequence[Ended]) -> list[Values]:
    """Values by trial of each search, equal for what is equal.

    Predictions cost what :func:`answers_kwh` has measured and, for their preprocessing, the mean of
    all searches; a training the mean over those that did it.
    """
    rows = [row for search in searches for row in search.seen.complete]
    answers, trainings = answers_kwh(searches), defaultdict[str, list[float]](list)
    before = [r.outcome.preprocessing.kwh for r in rows if r.outcome.preprocessing is not None]
    preprocessing = statistics.fmean(kwh for kwh in before if kwh is not None) if before else 0.0
    for row in rows:
        training = row.outcome.training.kwh
        if training is not None:  # a complete trial without has no values
            trainings[row.candidate.key].append(training)

    def values(row: ScoredTrial, count: float) -> tuple[float, ...]:
        score, energy, co2 = row.values
        answer = answers[row.outcome.graph or row.outcome.artefact] + preprocessing
        found = statistics.fmean(trainings[row.candidate.key]) + count * answer
        return score, found, co2 * found / energy

    return [
        {
            row.trial: values(row, search.seen.file.objectives.predictions)
            for row in search.seen.complete
        }
        for search in searches
    ]


def searched(search: Ended, values: Values, box: Corners) -> Searched:
    """What a search has come to."""
    seen = search.seen
    metric = seen.file.metric(seen.facts)
    steps = progress(search.study, maximised(metric), box, values)
    return Searched(
        kwh=seen.spent.kwh,
        curve=[(step.kwh_spent, step.hypervolume) for step in steps],
        begun=sum(seen.counts.values()),
        whole=len(seen.complete),
        phases_kwh={phase: spent.kwh for phase, spent in seen.spent_by_phase.items()},
        test_hypervolume=tested(search, values, box),
    )


def tested(search: Ended, values: Values, box: Corners) -> float:
    """Hypervolume of the front with the accuracy that its files have on the test split."""
    seen, task = search.seen, search.task()
    models, maximise = ModelFactory(task, "cpu"), maximised(seen.file.metric(seen.facts))
    found = []
    for row in seen.front.rows:
        split = models.encoded(row.candidate, task.test)
        padding = models.data(row.candidate).validation.padding
        right = answers_of(search.session(row), split.inputs, padding).argmax(1) == task.test.labels
        found.append((float(right.mean()), *values[row.trial][1:]))
    assert box.best is not None
    signed, worst, best = (minimised(v, maximise) for v in (found, [box.worst], [box.best]))
    return float(hypervolume((signed - best) / (worst - best), [1.0] * signed.shape[1]))


def pair(data: str, tables: Path, seed: int, trials: int, share: float, folder: Path) -> Pair:
    """The three searches of one data set and seed; what lies in the folder is gone on with."""

    def text(sampler: str, budget: str) -> str:
        return study_file(data, tables, seed, sampler, budget)

    plain = run(folder / "nsga2", text("nsga2", f"trials = {trials}"))
    most = f"trials = {trials}\nkwh = {share * plain.seen.spent.kwh!r}"
    green = run(folder / "green", text("green", most))
    most = f"trials = {trials}\nkwh = {green.seen.spent.kwh!r}"
    random = run(folder / "random", text("random", most))
    searches = (plain, green, random)
    values = compared(searches)
    keys = plain.seen.file.baseline_keys(plain.seen.facts)
    baselines = [values[0][r.trial] for r in plain.seen.complete if r.candidate.key in keys]
    box = corners(baselines, plain.seen.file.metric(plain.seen.facts))
    if box is None:
        raise SystemExit("no baseline has finished: give the search more trials")
    ours = (searched(s, v, box) for s, v in zip(searches, values, strict=True))
    return Pair(data, seed, *ours)


def shown(found: Pair) -> str:
    """A few lines for people."""
    lines = [f"{found.data}, seed {found.seed}"]
    for name in ("nsga2", "green", "random"):
        one: Searched = getattr(found, name)
        at = "  ".join(f"{share:.0%} {one.at(share * found.nsga2.kwh):.4f}" for share in SHARES)
        parts = sorted(one.phases_kwh.items(), key=lambda item: -item[1])[:4]
        spent = ", ".join(f"{phase} {kwh / one.kwh:.0%}" for phase, kwh in parts)
        lines.append(
            f"  {name:7} {1e6 * one.kwh:7.1f} mWh  hypervolume {one.hypervolume:.4f} (test "
            f"{one.test_hypervolume:.4f})  at {at}  begun {one.begun}, whole {one.whole}  {spent}"
        )
    share = found.share_to_wanted
    told = "never" if share is None else f"{share:.0%} of NSGA-II's energy"
    lines.append(f"  green reaches {WANTED:.0%} of NSGA-II's hypervolume: {told}")
    return "\n".join(lines)


def summary(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Medians over seeds, for each data set."""
    found = {}
    for data in dict.fromkeys(each.data for each in pairs):
        mine = [each for each in pairs if each.data == data]
        shares = [float("inf") if p.share_to_wanted is None else p.share_to_wanted for p in mine]
        middle = statistics.median(shares)
        found[data] = {
            "pairs": len(mine),
            "median_share_to_99_percent": None if middle == float("inf") else middle,
            "never": sum(share == float("inf") for share in shares),
            "better_than_random": sum(p.beats_random for p in mine),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TRIALS} trials, one seed")
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    parser.add_argument(
        "--only", nargs="*", default=["digits", "mnist5k"], help="or a table's name"
    )
    parser.add_argument("--data", type=Path, default=Path(), help="folder of NAME.csv.gz")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--folder", type=Path, help="keeps the studies; called again, goes on")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.4, help="of NSGA-II's energy, for green")
    asked = parser.parse_args()
    trials, seeds = (QUICK_TRIALS, 1) if asked.quick else (TRIALS, asked.seeds)
    pairs = []
    with tempfile.TemporaryDirectory(prefix="greenfront-real-") as temporary:
        kept = asked.folder or Path(temporary)
        for seed in range(asked.first_seed, asked.first_seed + seeds):
            for data in asked.only:
                folder = kept / f"{data}-{trials}-{seed}"
                found = pair(data, asked.data.absolute(), seed, trials, asked.share, folder)
                pairs.append(found)
                print(shown(found), flush=True)
    medians = summary(pairs)
    print(medians)
    if asked.json:
        print(json.dumps({"summary": medians, "pairs": [asdict(each) for each in pairs]}))


if __name__ == "__main__":
    main()

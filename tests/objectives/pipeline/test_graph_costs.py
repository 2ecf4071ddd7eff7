"""The costs of graphs on disk, and how far a decision has them measured."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from contracts.bench import CNN, MLP, PRUNED, TEACHER, Bench
from contracts.waiting import PATIENCE_SECONDS
from greenfront.errors import SearchAborted
from greenfront.objectives.outcome import GraphReading, Outcome, Standing
from greenfront.objectives.pipeline import prediction_costs
from greenfront.objectives.pipeline.graph_costs import GraphCosts
from greenfront.objectives.pipeline.prediction_costs import PredictionCosts
from greenfront.objectives.readings import Reading, total
from greenfront.objectives.stages.metered import InferenceCost
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Task

KEY = "ab12"


def energy(joules: float | None) -> Reading:
    kind = "unavailable" if joules is None else "measured"
    return Reading(joules, joules, joules, kind, "counter", 1.0, 1.0)  # type: ignore[arg-type]


def one(joules: float) -> GraphReading:
    return GraphReading(f"id {joules}", energy(joules), 0.5, 0.03)


# --- on disk -----------------------------------------------------------------------------------


def test_measurements_are_kept_in_order(tmp_path: Path) -> None:
    costs = GraphCosts(tmp_path / "new", "study")
    assert costs.readings(KEY) == ()
    assert costs.add(KEY, one(1.0)) == (one(1.0),)
    assert GraphCosts(tmp_path / "new").add(KEY, one(2.0)) == (one(1.0), one(2.0))
    assert costs.readings(KEY) == (one(1.0), one(2.0))
    assert costs.readings("other") == ()


TORN = {
    "empty": b"",
    "zeros": bytes(40),
    "cut": b'{"readings": [{',
    "another list": b"[]",
    "no list": b'{"readings": 3}',
}


@pytest.mark.parametrize("content", TORN.values(), ids=TORN)
def test_a_torn_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    costs = GraphCosts(tmp_path)
    costs.add(KEY, one(1.0))
    (tmp_path / "graphs" / f"{KEY}.json").write_bytes(content)
    assert costs.readings(KEY) == ()
    assert costs.add(KEY, one(2.0)) == (one(2.0),)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = GraphCosts(tmp_path)
    costs.add(KEY, one(1.0))

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("json.dump", full)
    with pytest.raises(SearchAborted, match="disk full"):
        costs.add(KEY, one(2.0))
    assert costs.readings(KEY) == (one(1.0),)
    assert {path.suffix for path in (tmp_path / "graphs").iterdir()} <= {".json", ".lock"}


WRITER = """
import sys
from pathlib import Path
from greenfront.objectives.outcome import GraphReading
from greenfront.objectives.pipeline.graph_costs import GraphCosts
from greenfront.objectives.readings import Reading

reading = Reading(1.0, 1.0, 1.0, "measured", "counter", 1.0, 1.0)
for number in range(20):
    GraphCosts(Path(sys.argv[1])).add("ab12", GraphReading(f"{sys.argv[2]} {number}", reading, 1.0))
"""


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    assert [writer.wait(timeout=PATIENCE_SECONDS) for writer in writers] == [0, 0]
    assert len({reading.id for reading in GraphCosts(tmp_path).readings(KEY)}) == 40


# --- as a decision needs it --------------------------------------------------------------------


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return load_task(TaskSettings(kind="digits"), cache=tmp_path_factory.mktemp("cache"), seed=7)


@pytest.fixture
def bench(task: Task, tmp_path: Path) -> Bench:
    return Bench(task, tmp_path / "store", teacher=TEACHER)


class Blocks:
    """Stands in for the measuring of blocks: the median is 1 J, and each halves its interval."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, joules: float | None = 1.0) -> None:
        self.taken: list[int] = []
        self.joules = joules
        monkeypatch.setattr(prediction_costs, "inference_cost", self)

    def __call__(self, *_arguments: object, enough: object, **_options: object) -> InferenceCost:
        assert callable(enough)
        for block in range(1, 20):
            cost = InferenceCost(energy(self.joules), 0.5, None if not self.joules else 0.5**block)
            if enough(cost):
                break
        self.taken.append(block)
        return cost


def standings(bench: Bench, monkeypatch: pytest.MonkeyPatch, *said: Standing) -> list[float]:
    """Makes the search answer so, the last for ever; returns the widths that it was asked about."""
    answers: Iterator[Standing] = iter(said)
    widths: list[float] = []
    last: list[Standing] = []

    def standing(cheap: Outcome, dear: Outcome) -> Standing:
        assert (cheap.inference.joules, dear.inference.joules) != (None, None)
        widths.append(((dear.inference.joules or 0) - (cheap.inference.joules or 0)) / 2)
        last.append(next(answers, last[-1] if last else "in"))
        return last[-1]

    monkeypatch.setattr(bench.context, "standing", standing)
    return widths


@pytest.mark.parametrize(
    ("said", "blocks", "asked"),
    [
        (["out"], 1, [0.5]),
        # Not dominated: as precise as 5 %, which 0.5⁵ is.
        (["in"], 5, [0.5**n for n in (1, 2, 3, 4, 5)]),
        (["open", "open", "out"], 3, [0.5, 0.25, 0.125]),
        # For ever open: twice as precise.
        (["open"], 6, [0.5**n for n in (1, 2, 3, 4, 5)]),
    ],
    ids=["dominated", "member", "decided", "open"],
)
def test_it_is_measured_until_the_decision_is_clear(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    said: Sequence[Standing],
    blocks: int,
    asked: list[float],
) -> None:
    measured = Blocks(monkeypatch)
    widths = standings(bench, monkeypatch, *said)
    costs, outcome = PredictionCosts(bench.runtime), unmeasured()
    file = costs.file(exported(bench), MLP)
    found = costs.measured(file, outcome)
    assert measured.taken == [blocks]
    assert widths == pytest.approx(asked)
    assert (found.inference, found.measurements) == (energy(1.0), 1)
    assert found.inference_spread == 0.5**blocks
    # The next file of this graph asks, too, but finds it precise enough, or measures once more.
    again = costs.measured(file, outcome)
    assert again.measured[0] == found.measured[0]
    assert len(measured.taken) == 1 if said != ["open", "open", "out"] else again is not None


def test_what_is_unavailable_is_not_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = Blocks(monkeypatch, joules=None)
    costs = PredictionCosts(bench.runtime)
    file = costs.file(exported(bench), MLP)
    for _ in range(2):
        found = costs.measured(file, unmeasured())
        assert (found.inference.joules, found.inference_spread) == (None, None)
    assert len(blocks.taken) == 2
    blocks.joules = 2.0
    assert costs.sizing(file).inference.joules == 2.0
    blocks.joules = None  # what is known stays known
    assert costs.sizing(file).inference.joules == 2.0
    assert len(blocks.taken) == 3


def test_trials_of_one_graph_share_its_measurements(bench: Bench) -> None:
    outcomes = [bench.run(MLP), bench.run(MLP), bench.run(PRUNED), bench.run(CNN)]
    keys = [outcome.graph for outcome in outcomes]
    assert len(set(keys)) == 3
    assert outcomes[0].measured == outcomes[1].measured
    assert outcomes[0].inference == outcomes[1].inference
    repeat = bench.runner.repeat(MLP, outcomes[0].artefact, batched=False)
    assert repeat is not None
    assert repeat.id not in {reading.id for reading in outcomes[0].measured}
    last = bench.run(MLP)
    assert [reading.id for reading in last.measured] == [outcomes[0].measured[0].id, repeat.id]
    assert last.measurements == 2


def unmeasured() -> Outcome:
    return Outcome(0.9, {"train": energy(1.0)}, total([]), 0.0, 1, 1, 1, 0.0, 1, None, "x")


def exported(bench: Bench) -> Path:
    from greenfront.objectives.stages.export import to_onnx

    path = bench.store.root.parent / "model.onnx"
    to_onnx(bench.runtime.models.build(MLP), (1, 8, 8), path)
    return path

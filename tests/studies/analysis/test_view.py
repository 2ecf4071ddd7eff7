from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from contracts.problems import Menu
from greenfront import SearchOptions, optimize_problem
from greenfront.errors import StudyError
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.objectives.scores import Scoring
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.network_space import baseline_candidates
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.studies.analysis.payback.break_even import BreakEven, Verdict
from greenfront.studies.analysis.view import view
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import Trials

FILE = StudyFile.from_stored(
    {
        "study": {"name": "digits"},
        "task": {"kind": "digits"},
        "carbon": {"g_per_kwh": 100.0},
        "objectives": {"predictions": 3_600_000, "floor": 0.9},
    }
)
METERS = [{"component": "cpu", "kind": "modelled", "source": "watts"}]


def begin(storage: Storage, facts: StudyFacts, trials: int = 0) -> Study:
    made = Study.create(
        storage,
        "digits",
        directions=["maximize", "minimize", "minimize"],
        identity="one",
        configuration=FILE.to_json(),
        meters=METERS,
        facts=to_json(facts),
    )
    held = optuna.load_study(study_name="digits", storage=storage.optuna)
    for number in range(trials):
        assert held.ask().number == number
    return made


def finish(book: Trials, number: int, tried: Candidate, outcome: Outcome) -> None:
    book.claim("run", number, tried.key, tried.to_json(), None)
    values = Scoring(FILE.objectives.predictions, FILE.carbon.model()).values(outcome)
    assert values is not None
    book.finish("run", number, "complete", values=values, detail=to_json(outcome))


def spend(storage: Storage, study_id: int, phase: str, kwh: float) -> None:
    joules = kwh * JOULES_PER_KWH
    reading = Reading(joules, joules, joules, "modelled", "watts", 1.0, 1.0)
    ledger = Ledger(storage, study_id).writer("run", FILE.carbon.model())
    ledger.charge(phase, {"cpu": reading}, number=0, started_at=0.0, ended_at=1.0)


def test_everything_is_read_from_the_storage(
    storage: Storage, image_facts: StudyFacts, make_outcome: Callable[..., Outcome]
) -> None:
    record = begin(storage, image_facts, trials=6)
    book = Trials(storage, record.study_id)
    mlp, cnn, *_ = baseline_candidates(FILE.options(image_facts))
    pruned = replace(cnn, pruning=Pruning(0.5))
    worse = replace(cnn, precision=Precision(8))
    finish(book, 0, mlp, make_outcome(0.80, 0.004, 2e-3))
    finish(book, 1, cnn, make_outcome(0.95, 0.002, 5e-3))
    finish(book, 2, pruned, make_outcome(0.94, 0.003, 1e-3))
    finish(book, 3, worse, make_outcome(0.90, 0.004, 9e-3))
    book.claim("run", 4, "k4", mlp.to_json(), None)
    book.claim("run", 5, "k5", mlp.to_json(), None)
    book.finish("run", 5, "failed", reason="diverged: it did")
    spend(storage, record.study_id, "train", 0.75)
    spend(storage, record.study_id, "prune", 0.25)

    seen = view(storage, "digits")
    assert (seen.name, seen.file, seen.facts, seen.meters) == ("digits", FILE, image_facts, METERS)
    assert [row.number for row in seen.trials] == [0, 1, 2, 3, 4, 5]
    assert seen.counts == Counter(complete=4, requeued=1, failed=1)  # by a run that is gone
    assert [row.trial for row in seen.complete] == [0, 1, 2, 3]
    assert seen.complete[2].candidate == pruned
    assert seen.complete[2].outcome == make_outcome(0.94, 0.003, 1e-3)
    # 3.6 million predictions of 1 J are 1 kWh; trials 0 and 3 are dominated by trial 2.
    assert seen.complete[2].energy_kwh == pytest.approx(0.003 + 1e-3)
    assert seen.complete[2].co2_kg == pytest.approx(0.1 * (0.003 + 1e-3))
    assert [(row.trial, row.eligible) for row in seen.front.rows] == [(2, True), (1, True)]
    assert seen.front.floor is not None
    assert seen.front.floor.limit == pytest.approx(0.9 * 0.95)
    assert seen.front.floor.metric.nothing == 0.5
    assert seen.baseline is not None
    assert seen.baseline.trial == 1
    # From chance at the price of the dearest baseline to 1 for nothing; CO₂ counts once.
    dearest, mlp_kwh, pruned_kwh = 0.007, 0.006, 0.004
    first = (0.8 - 0.5) / 0.5 * (1 - mlp_kwh / dearest)
    third = (0.94 - 0.5) / 0.5 * (1 - pruned_kwh / dearest)
    assert [step.finished for step in seen.steps] == [1, 2, 3, 4, 5]
    assert [step.hypervolume for step in seen.steps] == pytest.approx(
        [first, first, third, third, third]
    )
    assert (seen.spent.kwh, seen.spent.co2_kg) == (pytest.approx(1.0), pytest.approx(0.1))
    assert {phase: s.kwh for phase, s in seen.spent_by_phase.items()} == pytest.approx(
        {"train": 0.75, "prune": 0.25}
    )
    # 1 kWh are 3.6 MJ, and each prediction saves 4 mJ.
    assert seen.break_even.predictions == pytest.approx(3.6e6 / 4e-3)
    json.dumps(seen.front.to_json(), allow_nan=False)


def test_a_study_that_has_only_begun(storage: Storage, image_facts: StudyFacts) -> None:
    begin(storage, image_facts)
    seen = view(storage, "digits")
    assert (seen.trials, seen.complete, seen.steps, seen.front.rows) == ((), (), (), ())
    assert (seen.baseline, seen.front.floor) == (None, None)
    assert seen.break_even == BreakEven("no eligible model")
    assert (seen.spent.entries, seen.spent_by_phase) == (0, {})


@pytest.mark.parametrize(
    ("chosen", "usual", "verdict"),
    [
        (5e-3, 5e-3, "best is baseline"),
        (9e-3, 5e-3, "best is baseline"),
        (None, 5e-3, "best is baseline"),
        (1e-3, None, "inference unknown"),
    ],
)
def test_a_search_that_saves_nothing_never_pays(
    storage: Storage,
    image_facts: StudyFacts,
    make_outcome: Callable[..., Outcome],
    chosen: float | None,
    usual: float | None,
    verdict: Verdict,
) -> None:
    record = begin(storage, image_facts, trials=2)
    book = Trials(storage, record.study_id)
    baseline = baseline_candidates(FILE.options(image_facts))[0]
    best = replace(baseline, precision=Precision(8))
    for number, (tried, joules, co2) in enumerate([(baseline, usual, 2.0), (best, chosen, 1.0)]):
        detail = to_json(make_outcome(0.9, 0.001, joules))
        book.claim("run", number, tried.key, tried.to_json(), None)
        book.finish("run", number, "complete", values=(0.9, co2, co2), detail=detail)
    spend(storage, record.study_id, "train", 1.0)
    seen = view(storage, "digits")
    assert seen.front.greenest is not None
    assert seen.baseline is not None
    assert seen.baseline.trial == 0
    assert seen.break_even == BreakEven(verdict)


def test_a_study_from_python_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    optimize_problem(Menu(), trials=2, storage=url, options=SearchOptions(name="toy"))
    with closing(Storage(url)) as storage:
        with pytest.raises(StudyError, match=r"study 'toy' was begun from Python .*ledger toy"):
            view(storage, "toy")
        with pytest.raises(StudyError, match=r"study 'tow' does not exist in .*: it holds toy"):
            view(storage, "tow")


def test_facts_survive_json(image_facts: StudyFacts) -> None:
    facts = replace(image_facts, device="cuda", mixed_precision=True)
    assert from_json(StudyFacts, json.loads(json.dumps(to_json(facts)))) == facts

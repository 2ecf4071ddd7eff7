from __future__ import annotations

import json

import optuna

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.codec import to_json
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.studies.analysis.listing import StudyEntry, list_studies
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger import Ledger
from greenfront.studies.store.runs import Runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import Trials


def begin(storage: Storage, name: str, configuration: dict[str, object]) -> Study:
    return Study.create(
        storage,
        name,
        directions=["maximize"],
        identity="one",
        configuration=configuration,
        meters=None,
        facts=None,
    )


def test_an_empty_storage_lists_nothing(storage: Storage) -> None:
    assert list_studies(storage) == []


def test_each_study_is_one_line(storage: Storage) -> None:
    file = StudyFile.from_stored({"task": {"kind": "digits"}, "budget": {"trials": 9}})
    wine = begin(storage, "wine", file.to_json())
    begin(storage, "python", {"sampler": "nsga2", "seed": 0})
    run, over = Runs(storage, wine.study_id).begin(), Runs(storage, wine.study_id).begin()
    over.end()
    book = Trials(storage, wine.study_id)
    held = optuna.load_study(study_name="wine", storage=storage.optuna)
    for number in range(5):
        assert held.ask().number == number
        book.claim("dead" if number == 4 else "run", number, f"k{number}", {}, None)
    book.finish("run", 0, "complete", values=[1.0])
    book.finish("run", 1, "stopped")
    book.finish("run", 2, "failed")
    book.requeue(["dead"])
    carbon = CarbonModel(Intensity(50.0, "here", "as told"))
    ledger = Ledger(storage, wine.study_id).writer(run.run_id, carbon)
    joules = 0.5 * JOULES_PER_KWH
    reading = Reading(joules, joules, joules, "modelled", "watts", 1.0, 1.0)
    ledger.charge("train", {"cpu": reading}, number=0, started_at=0.0, ended_at=1.0)

    entries = list_studies(storage)
    assert entries == [
        StudyEntry("wine", "digits", 3, 9, 1, entries[0].kwh, entries[0].co2_kg, "modelled"),
        StudyEntry("python", None, 0, None, 0, 0.0, None, "not metered"),
    ]
    assert abs((entries[0].kwh or 0.0) - 0.5) < 1e-12
    assert abs((entries[0].co2_kg or 0.0) - 0.025) < 1e-12
    assert json.loads(json.dumps(to_json(entries[0]), allow_nan=False))["running_processes"] == 1
    run.end()
    assert list_studies(storage)[0].running_processes == 0

"""A record says what the study has stored, and nothing that only the exported file can tell."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from contracts.records import RECORDS, exported
from contracts.reports import study
from greenfront.errors import StudyError
from greenfront.objectives.resampling import DRAWS, packed
from greenfront.objectives.scores import Scoring
from greenfront.studies.analysis.scores.interval import percentile_interval
from greenfront.studies.export.card import model_card
from greenfront.studies.export.facts import paired_difference, record_of
from greenfront.studies.export.record import VERSION, ModelRecord

VIEW = study(embodied=0.002)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_a_record_survives_json(record: ModelRecord) -> None:
    text = json.dumps(record.to_json(), allow_nan=False)
    assert ModelRecord.from_json(json.loads(text)) == record


def test_a_record_of_an_earlier_form_takes_defaults() -> None:
    data = exported().to_json()
    for key in ("takes", "pretrained", "needs_no_network", "licence"):
        del data[key]
    del data["model"]["plain"], data["hardware"]["system"]
    assert ModelRecord.from_json(data).takes == ""


def test_a_record_of_a_later_form_is_refused() -> None:
    with pytest.raises(ValueError, match=f"reads {VERSION}: update greenfront"):
        ModelRecord.from_json({**exported().to_json(), "version": VERSION + 1})


def test_of_a_study_on_a_gpu_the_card_is_named() -> None:
    source = "NVML total energy counter (whole card) of NVIDIA L4, minus its idle power"
    meter = {"component": "gpu", "kind": "measured", "source": source}
    view = replace(VIEW, facts=replace(VIEW.facts, device="cuda"), meters=[*VIEW.meters, meter])
    record = replace(exported(), hardware=record_of(view, 0).hardware)
    assert record.hardware.gpu == "NVIDIA L4"
    assert "NVIDIA L4" in model_card(record)
    assert "GPU not recorded" not in model_card(record)


def test_energy_and_carbon_add_up_to_what_the_study_scores() -> None:
    for row in VIEW.front.rows:
        model, scoring = record_of(VIEW, row.trial).model, VIEW.scoring
        assert model.training.reading.kwh is not None
        assert model.answer.reading.kwh is not None
        whole = model.training.reading.kwh + scoring.predictions * model.answer.reading.kwh
        assert whole == pytest.approx(row.energy_kwh, rel=1e-12)
        unused = Scoring(0, scoring.carbon).values(row.outcome)
        assert unused is not None
        assert model.training.co2_kg == pytest.approx(unused[2])
        assert model.training.co2_kg is not None
        assert model.answer.co2_kg is not None
        carbon = model.training.co2_kg + scoring.predictions * model.answer.co2_kg
        assert carbon == pytest.approx(row.co2_kg, rel=1e-12)


def test_the_search_counts_every_trial() -> None:
    search = record_of(VIEW, 0).search
    assert search.trials == len(VIEW.trials)
    assert search.kwh == VIEW.spent.kwh
    assert sum(search.phases_kwh.values()) == pytest.approx(VIEW.spent.kwh)
    assert search.finished == len(VIEW.complete)


def test_what_only_the_exported_file_tells_is_unknown() -> None:
    record = record_of(VIEW, 0)
    assert record.is_baseline
    model = record.model
    assert (model.test, model.plain, model.file_sha256, record.takes) == (None, None, "", "")
    assert model.prediction == model.answer


def test_a_trial_without_a_result_is_no_model() -> None:
    failed = next(trial for trial in VIEW.trials if trial.state == "failed")
    with pytest.raises(StudyError, match=r"has no result to export: it is failed \(out of memory"):
        record_of(VIEW, failed.number)
    with pytest.raises(StudyError, match="has no trial 99; its trials are 0 to 26"):
        record_of(VIEW, 99)
    with pytest.raises(StudyError, match="none yet"):
        record_of(replace(VIEW, trials=(), complete=(), front=replace(VIEW.front, rows=())), 0)


def test_an_interval_holds_the_middle_95_percent() -> None:
    scores = np.linspace(0, 1, 201)
    found = percentile_interval(scores)
    assert (found.low, found.high) == (pytest.approx(0.025), pytest.approx(0.975))


def test_a_difference_is_paired() -> None:
    drawn = np.random.default_rng(0).normal(0.9, 0.05, DRAWS).astype(np.float32)
    better = packed(drawn + np.linspace(0.0, 0.02, DRAWS, dtype=np.float32))
    found = paired_difference(0.91, better, 0.9, packed(drawn))
    assert found.value == pytest.approx(0.01)
    assert found.low == pytest.approx(0.0005, abs=1e-6)
    assert found.high == pytest.approx(0.0195, abs=1e-6)
    assert paired_difference(0.91, None, 0.9, packed(drawn)).low is None


@pytest.mark.parametrize(
    ("family", "pretrained"),
    [
        ("cnn", False),
        ("timm:resnet18", False),
        ("timm:resnet18@hub", True),
        ("hf:bert-base-uncased", True),
        ("frozen:minilm", True),
    ],
)
def test_pretrained_weights_are_told(family: str, pretrained: bool) -> None:
    first, *others = VIEW.complete
    choice = replace(first.candidate.architecture, family=family)
    row = replace(first, candidate=replace(first.candidate, architecture=choice))
    front = replace(VIEW.front, rows=())
    record = record_of(replace(VIEW, complete=(row, *others), front=front), row.trial)
    assert record.pretrained == (family if pretrained else "")

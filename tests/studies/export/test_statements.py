"""Each statement holds what its published form asks for, and says what the record says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT4
from spdx_python_model.bindings import v3_0_1 as spdx3

from contracts.records import RECORDS, exported, unmetered
from greenfront.objectives.tasks.tables.schema import ColumnReport, Schema
from greenfront.studies.export.forms import plain_decimal
from greenfront.studies.export.record import Licence, ModelRecord
from greenfront.studies.export.statements import ai_act, boamps, cyclonedx, sci, spdx

BOAMPS = Path(__file__).parents[2] / "fixtures" / "schemas" / "boamps"
PLACE = "https://raw.githubusercontent.com/Boavizta/BoAmps/main/model/"

every_record = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())


def boamps_faults(report: Any) -> list[str]:
    from jsonschema import Draft4Validator  # here: it builds a grammar for seconds

    held = {path.name: json.loads(path.read_text()) for path in BOAMPS.glob("*.json")}
    registry = Registry().with_resources(
        (PLACE + name, DRAFT4.create_resource(schema)) for name, schema in held.items()
    )
    checker = Draft4Validator(held["report_schema.json"], registry=registry)
    return [error.message for error in checker.iter_errors(report)]


def cyclonedx_faults(bom: Any) -> object:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom))


def spdx_objects(document: Any) -> Any:
    """The graph as the published model reads and writes it; raises where it is not one."""
    held = spdx3.SHACLObjectSet()
    spdx3.JSONLDDeserializer().deserialize_data(document, held)
    spdx3.JSONLDSerializer().serialize_data(held)  # which asks for what every class requires
    return held


@every_record
def test_boamps_reports_follow_the_schema(record: ModelRecord) -> None:
    for report in (boamps.training(record), boamps.inference(record)):
        assert (report is None) == (record.search.kwh is None)
        assert report is None or boamps_faults(report) == []
        assert report is None or report["header"]["formatVersion"] == "1.1.0"


@pytest.mark.parametrize(
    ("region", "country"),
    [("FRA", "FRA"), ("DE", "DE"), ("SE3", "SE3"), ("USA-OREGON", "USA-OREGON")]
    + [(region, "unknown") for region in ("WORLD", "as stated", "trace", "gcp:us-west1")],
)
def test_a_boamps_report_names_no_country_that_is_none(region: str, country: str) -> None:
    record = exported()
    carbon = record.scoring.carbon
    carbon = replace(carbon, intensity=replace(carbon.intensity, region=region))
    report = boamps.training(replace(record, scoring=replace(record.scoring, carbon=carbon)))
    assert report is not None
    assert report["environment"]["country"] == country


def test_the_boamps_schema_refuses_what_is_no_report() -> None:
    report = boamps.training(exported())
    assert report is not None
    assert boamps_faults({**report, "quality": "splendid"})
    assert boamps_faults({**report, "measures": [{"measurementMethod": "greenfront"}]})
    del report["infrastructure"]
    assert boamps_faults(report)


def test_boamps_counts_the_whole_search_in_kwh() -> None:
    record = exported()
    training, inference = boamps.training(record), boamps.inference(record)
    assert training is not None
    assert inference is not None
    assert training["measures"][0]["powerConsumption"] == record.search.kwh
    assert training["measures"][0]["unit"] == "kWh"
    joules = record.model.answer.reading.joules
    assert joules is not None
    assert inference["measures"][0]["powerConsumption"] == pytest.approx(joules / 3.6e6, rel=1e-12)
    assert inference["task"]["nbRequest"] == 1
    assert training["task"]["measuredAccuracy"] == 0.9694  # of the test split, where it is known


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(95.0, 110.0, "high"), (90.0, 111.0, "medium"), (75.0, 120.0, "medium"), (60.0, 170.0, "low")],
)
def test_boamps_quality_is_the_error(low: float, high: float, word: str) -> None:
    assert boamps.quality(100.0, low, high) == word


@every_record
def test_cyclonedx_follows_the_schema(record: ModelRecord) -> None:
    assert cyclonedx_faults(cyclonedx.bom(record)) is None


def test_the_cyclonedx_schema_refuses_what_is_no_bill() -> None:
    bom = cyclonedx.bom(exported())
    considered = bom["components"][0]["modelCard"]["considerations"]["environmentalConsiderations"]
    considered["energyConsumptions"][0]["activityEnergyCost"]["unit"] = "J"
    assert cyclonedx_faults(bom) is not None


def test_cyclonedx_says_training_and_inference_in_kwh_and_tonnes() -> None:
    record = exported()
    considered = cyclonedx.bom(record)["components"][0]["modelCard"]["considerations"]
    training, inference = considered["environmentalConsiderations"]["energyConsumptions"]
    assert training["activity"] == "training"
    assert training["activityEnergyCost"] == {"value": record.search.kwh, "unit": "kWh"}
    assert record.search.co2_kg is not None
    tonnes = pytest.approx(record.search.co2_kg / 1000, rel=1e-12)
    assert training["co2CostEquivalent"] == {"value": tonnes, "unit": "tCO2eq"}
    assert inference["activityEnergyCost"]["value"] == record.model.answer.reading.kwh
    told = {each["name"]: each["value"] for each in training["properties"]}
    assert told["greenfront:kind"] == "modelled"
    assert float(told["greenfront:this_model_alone_kwh"]) == record.model.training.reading.kwh


def test_cyclonedx_leaves_out_what_is_unknown() -> None:
    considered = cyclonedx.bom(unmetered())["components"][0]["modelCard"]["considerations"]
    assert considered["environmentalConsiderations"]["energyConsumptions"] == []


@every_record
def test_spdx_is_read_by_the_published_model(record: ModelRecord) -> None:
    held = spdx_objects(spdx.document(record))
    (package,) = held.foreach_type("ai_AIPackage")
    assert package.name == record.study
    assert held.obj_by_id  # every element has its identity


def test_the_spdx_model_refuses_what_is_no_package() -> None:
    document = spdx.document(exported())
    package = next(each for each in document["@graph"] if each["type"] == "ai_AIPackage")
    package["ai_energyConsumption"]["ai_trainingEnergyConsumption"][0]["ai_energyUnit"] = "horse"
    with pytest.raises(ValueError, match="horse"):
        spdx_objects(document)


@pytest.mark.parametrize("key", ["ai_energyUnit", "ai_energyQuantity"])
def test_the_spdx_model_misses_what_it_requires(key: str) -> None:
    document = spdx.document(exported())
    package = next(each for each in document["@graph"] if each["type"] == "ai_AIPackage")
    del package["ai_energyConsumption"]["ai_trainingEnergyConsumption"][0][key]
    with pytest.raises(ValueError, match=key.removeprefix("ai_")):
        spdx_objects(document)


def test_spdx_says_energy_in_plain_decimals() -> None:
    record = exported()
    (package,) = spdx_objects(spdx.document(record)).foreach_type("ai_AIPackage")
    (training,) = package.ai_energyConsumption.ai_trainingEnergyConsumption
    (inference,) = package.ai_energyConsumption.ai_inferenceEnergyConsumption
    assert float(training.ai_energyQuantity) == record.search.kwh
    assert float(inference.ai_energyQuantity) == record.model.answer.reading.kwh
    raw = json.dumps(spdx.document(record))
    one = record.model.answer.reading.kwh
    assert one is not None
    assert f'"{plain_decimal(one)}"' in raw


def test_a_leak_is_among_the_limits() -> None:
    record = exported()
    column = ColumnReport("code", "category", "one-hot", gives_away=True)
    record = replace(record, task=replace(record.task, schema=Schema(9, (column,))))
    (package,) = spdx_objects(spdx.document(record)).foreach_type("ai_AIPackage")
    assert "Column 'code' alone predicts the target" in package.ai_limitation
    bom = cyclonedx.bom(record)
    assert cyclonedx_faults(bom) is None
    limits = bom["components"][0]["modelCard"]["considerations"]["technicalLimitations"]
    assert limits[-1].startswith("Column 'code' alone predicts the target")


@pytest.mark.parametrize(
    ("identifier", "said"), [("mit", "mit"), ("my own licence", "LicenseRef-my-own-licence")]
)
def test_spdx_names_a_licence(identifier: str, said: str) -> None:
    record = replace(exported(), licence=Licence(identifier))
    held = spdx_objects(spdx.document(record))
    (licence,) = held.foreach_type("simplelicensing_LicenseExpression")
    assert licence.simplelicensing_licenseExpression == said


def test_sci_for_ai_gives_both_scores_in_closed_form() -> None:
    record = exported()
    told = sci.scores(record)
    carbon = record.scoring.carbon
    kwh = record.model.answer.reading.kwh
    assert kwh is not None
    grams = kwh * carbon.pue * carbon.intensity.g_per_kwh  # no embodied share in this study
    assert told["consumer"]["sci_g_per_inference"] == pytest.approx(grams, rel=1e-12)
    for part in (told["consumer"], told["provider"]):
        assert part["embodied_g"] is None
        assert "embodied emissions: the study states none" in part["excluded"]
    assert record.search.co2_kg is not None
    billions = record.model.parameters / 1e9
    provider = told["provider"]
    assert provider["sci_g_per_billion_parameters"] == pytest.approx(
        1000 * record.search.co2_kg / billions, rel=1e-12
    )
    # Training counts every run, not only the one that made this model.
    assert provider["energy_kwh"] == record.search.kwh
    assert provider["runs"] == record.search.trials
    assert provider["energy_kwh"] > provider["this_model_alone_kwh"]


def test_sci_for_ai_adds_the_making_of_the_machine() -> None:
    record = exported()
    carbon = replace(record.scoring.carbon, embodied_kg_per_device_hour=0.02, device_threads=4)
    told = sci.scores(replace(record, scoring=replace(record.scoring, carbon=carbon)))
    hours = record.search.cpu_seconds / 3600
    assert told["provider"]["embodied_g"] == pytest.approx(1000 * 0.02 * hours / 4, rel=1e-12)
    assert not any("embodied" in each for each in told["provider"]["excluded"])


def test_sci_for_ai_leaves_open_what_is_unknown() -> None:
    told = sci.scores(unmetered())
    assert told["consumer"]["sci_g_per_inference"] is None
    assert told["provider"]["sci_g_per_billion_parameters"] is None
    assert told["provider"]["operational_g"] is None


def test_annex_xi_wants_mwh_in_two_figures() -> None:
    record = exported()
    search = replace(record.search, kwh=0.0031415, low_kwh=0.00188, high_kwh=0.00534)
    told = ai_act.quantities(replace(record, search=search))
    assert told["training_energy"]["mwh"] == 3.1e-6
    assert told["training_energy"]["text"] == "0.0000031 MWh"
    assert told["training_energy"]["label"].startswith("modelled: the whole search of 27 trials")
    assert "general purpose" in told["status"]
    assert any("floating-point operations of training" in each for each in told["missing"])


def test_annex_xi_names_what_is_missing() -> None:
    told = ai_act.quantities(unmetered())
    assert told["training_energy"] == {
        "mwh": None,
        "text": "unknown",
        "label": "not metered: the whole search of 27 trials",
        "low_mwh": None,
        "high_mwh": None,
    }
    assert any(each.startswith("training energy") for each in told["missing"])

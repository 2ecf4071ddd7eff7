"""The card as the Hugging Face hub's own client reads it, and as people do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, ModelInfo
from huggingface_hub.utils.endpoint_helpers import _is_emission_within_threshold
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.records import RECORDS, exported, stored, unmetered
from greenfront.errors import DataError
from greenfront.objectives.tasks.tables.schema import ColumnReport, Schema
from greenfront.studies.export.card import model_card
from greenfront.studies.export.documents import WRITERS, write_documents
from greenfront.studies.export.record import RECORD, VERSION, ModelRecord, read_record

every_record = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())


def emitting(grams: float) -> ModelRecord:
    record = exported()
    return replace(record, search=replace(record.search, co2_kg=grams / 1000))


def card_of(record: ModelRecord) -> Any:
    return ModelCard(model_card(record))


@settings(max_examples=40, deadline=None)
@given(st.floats(min_value=1e-9, max_value=1e6))
def test_emissions_survive_the_hubs_parsers(grams: float) -> None:
    """Its reader of cards, and its filter of models, which looks for a number in the text."""
    told = card_of(emitting(grams)).data.to_dict()["co2_eq_emissions"]
    assert float(told["emissions"]) == pytest.approx(grams, rel=1e-9)
    info = ModelInfo(id="me/model", cardData={"co2_eq_emissions": told}, tags=[])
    assert _is_emission_within_threshold(info, grams * (1 - 1e-9), grams * (1 + 1e-9))


@settings(max_examples=40, deadline=None)
@given(st.floats(min_value=1e-9, max_value=1e6))
def test_no_exponent_is_written(grams: float) -> None:
    (line,) = re.findall(r"^  emissions: (.*)$", model_card(emitting(grams)), flags=re.MULTILINE)
    assert re.fullmatch(r"'?\d+\.?\d*'?", line)


def test_a_float_would_not_have_survived() -> None:
    info = ModelInfo(id="me/model", cardData={"co2_eq_emissions": {"emissions": 8.1e-05}}, tags=[])
    assert _is_emission_within_threshold(info, 8.0, 8.2)


@every_record
def test_the_hub_reads_every_card(record: ModelRecord) -> None:
    data = card_of(record).data
    assert data.library_name == "onnx"
    assert data.pipeline_tag == "image-classification"
    known = record.search.kwh is not None
    assert (data.get("co2_eq_emissions") is not None) == known


def test_a_leak_is_among_the_limits() -> None:
    record = exported()
    column = ColumnReport("code", "category", "one-hot", gives_away=True)
    record = replace(record, task=replace(record.task, schema=Schema(9, (column,))))
    _, limits = model_card(record).split("## Limits")
    assert "Column 'code' alone predicts the target" in limits.split("## ")[0]


def test_results_name_their_split() -> None:
    found = card_of(exported()).data.eval_results
    assert {(each.dataset_split, each.metric_type, each.metric_value) for each in found} == {
        ("test", "accuracy", 0.9694),
        ("validation", "accuracy", exported().model.validation.value),  # type: ignore[union-attr]
    }
    (only,) = card_of(stored()).data.eval_results
    assert only.dataset_split == "validation"


def test_emissions_are_those_of_the_whole_search() -> None:
    record = exported()
    told = card_of(record).data["co2_eq_emissions"]
    assert record.search.co2_kg is not None
    assert float(told["emissions"]) == pytest.approx(1000 * record.search.co2_kg)
    assert "whole search of 27 trials, modelled" in told["source"]
    assert told["geographical_location"].startswith("as stated")
    alone = replace(record, search=replace(record.search, co2_kg=None, kwh=None))
    told = card_of(alone).data["co2_eq_emissions"]
    assert record.model.training.co2_kg is not None
    assert float(told["emissions"]) == pytest.approx(1000 * record.model.training.co2_kg)
    assert "this model alone" in told["source"]


def test_what_is_modelled_is_called_modelled() -> None:
    text = model_card(exported())
    assert re.search(r"\| one prediction \| .* µJ .*\| modelled \|", text)
    assert "**Modelled** energy is computed from CPU time" in text
    measured = model_card(exported(kind="measured"))
    assert "odelled" not in measured.partition("## Where the numbers come from")[0]


def test_unknown_is_a_dash_and_never_zero() -> None:
    text = model_card(unmetered())
    assert "| one prediction | – | – | unavailable |" in text
    assert "| the whole search, 27 trials | – | – | not metered |" in text
    assert not re.search(r"\| 0 (J|Wh|g) ", text)


def test_a_card_has_what_a_reader_needs() -> None:
    text = model_card(exported())
    for heading in ("Run it", "Results", "Energy and carbon", "Intended use", "Limits", "Licence"):
        assert f"## {heading}\n" in text
    assert "| test | 96.9% (95.1% to 98.5%) | 97.5% (95.8% to 98.9%) |" in text
    assert "−0.56 points (−2.10 to +1.01)" in text
    assert "### Confusion matrix (test)" in text
    assert "oes not pay for itself" in text


def test_a_study_of_hostile_names_makes_a_harmless_card() -> None:
    text = model_card(exported(nasty=True)).partition("\n---\n")[2]
    assert "<script" not in text


@every_record
def test_a_folder_holds_record_card_and_statements(record: ModelRecord, tmp_path: Path) -> None:
    written = write_documents(record, tmp_path)
    assert {path.relative_to(tmp_path) for path in written} == {
        path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()
    }
    assert read_record(tmp_path) == record
    unknown = record.search.kwh is None
    absent = {name for name in WRITERS if not (tmp_path / "statements" / name).exists()}
    assert absent == ({"boamps-training.json", "boamps-inference.json"} if unknown else set())


def test_a_statement_that_can_no_longer_be_made_is_removed(tmp_path: Path) -> None:
    write_documents(exported(), tmp_path)
    write_documents(unmetered(), tmp_path)
    assert not (tmp_path / "statements" / "boamps-training.json").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is no exported model: it has no record.json"),
        ("{", "cannot be used"),
        ("[]", "cannot be used"),
        ("{}", "cannot be used"),
        (json.dumps({"version": VERSION + 1}), "update greenfront"),
    ],
)
def test_a_folder_that_cannot_be_read_is_told(text: str | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / RECORD).write_text(text)
    with pytest.raises(DataError, match=said):
        read_record(tmp_path)

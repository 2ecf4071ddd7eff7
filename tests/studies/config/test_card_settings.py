"""What a study says of bits where its predictions are measured on a GPU."""

from __future__ import annotations

from typing import Any

from greenfront.studies.analysis.machine.remarks import compression_remarks
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile


def told(facts: StudyFacts, device: str, bits: list[int]) -> list[str]:
    sections: dict[str, Any] = {"objectives": {"device": device}, "space": {"bits": bits}}
    file = StudyFile.from_stored({"task": {"kind": "digits"}, **sections})
    assert file.options(facts).scope.measured_on == device
    return [remark for remark in compression_remarks(file, facts) if "packed" in remark]


def test_half_floats_are_computed_on_a_gpu_and_int8_is_not(image_facts: StudyFacts) -> None:
    packed = "bits are packed weights: smaller files, no cheaper predictions"
    assert told(image_facts, "cpu", [32, 16, 8]) == [f"16 {packed}"]
    why = "since ONNX Runtime has no int8 kernels for them on a GPU"
    assert told(image_facts, "cuda", [32, 16, 8, 4]) == [f"8 and 4 {packed}, {why}"]
    assert told(image_facts, "cuda", [32, 16, 4]) == [f"4 {packed}"]
    assert told(image_facts, "cuda", [32, 16]) == []

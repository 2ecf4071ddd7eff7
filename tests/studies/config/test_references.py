"""Which fitted models a study is compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from greenfront.errors import StudyFileError
from greenfront.objectives.tasks.task import TargetScale
from greenfront.spaces.network_space import baseline_candidates
from greenfront.studies.analysis.machine.remarks import reference_remarks
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile

TABLES = ["sklearn:logistic", "sklearn:hist_gradient_boosting", "sklearn:extra_trees"]


def study(**sections: dict[str, Any]) -> StudyFile:
    return StudyFile.from_stored({"task": {"kind": "digits"}, **sections})


def names(file: StudyFile, facts: StudyFacts) -> list[str]:
    return [candidate.architecture.family for candidate in file.references(facts)]


@pytest.fixture
def number_facts(table_facts: StudyFacts) -> StudyFacts:
    task = replace(table_facts.task, class_names=(), target=TargetScale(0.0, 1.0, 1.0, 1.0))
    return replace(table_facts, task=task)


def test_those_that_suit_the_data_but_for_studies_of_the_first_release(
    table_facts: StudyFacts, number_facts: StudyFacts
) -> None:
    assert names(study(), table_facts) == TABLES
    assert names(study(), number_facts) == ["sklearn:ridge", *TABLES[1:]]
    assert names(study(space={"references": False}), table_facts) == []
    before = {"name": "a", "cache": "kept"}
    assert names(study(study=before), table_facts) == []
    assert names(study(study=before, space={"references": True}), table_facts) == TABLES


def test_on_a_gpu_those_that_have_kernels_there(
    table_facts: StudyFacts, number_facts: StudyFacts
) -> None:
    on_card = study(objectives={"device": "cuda"})
    assert names(on_card, table_facts) == TABLES[:1]
    assert names(on_card, number_facts) == ["sklearn:ridge"]


def test_what_is_searched_is_no_reference(table_facts: StudyFacts) -> None:
    file = study(space={"architectures": ["mlp", "sklearn:extra_trees"]})
    assert names(file, table_facts) == TABLES[:2]
    assert file.options(table_facts).scope.families == ("mlp", "sklearn:extra_trees")


def test_the_untouched_baselines_are_networks_where_there_are_any(table_facts: StudyFacts) -> None:
    both = study(space={"architectures": ["sklearn:extra_trees", "mlp"]})
    alone = study(space={"architectures": TABLES[1:]})
    for file, wanted in ((both, ["mlp"]), (alone, TABLES[1:])):
        baselines = baseline_candidates(file.options(table_facts))
        assert [candidate.architecture.family for candidate in baselines] == wanted


def test_they_are_no_part_of_a_studys_identity() -> None:
    told = {study(space=space).identity("f00d") for space in ({}, {"references": False})}
    assert len(told) == 1


def test_a_family_that_predicts_something_else_is_refused(
    table_facts: StudyFacts, number_facts: StudyFacts
) -> None:
    for name, facts, other in (
        ("sklearn:ridge", table_facts, "classes"),
        ("sklearn:logistic", number_facts, "numbers"),
    ):
        with pytest.raises(StudyFileError, match=f"'{name}' does not fit .* predict {other}"):
            study(space={"architectures": [name]}).families(facts)


def test_those_that_are_tried_first_are_named(table_facts: StudyFacts) -> None:
    assert reference_remarks(study(), table_facts) == [
        f"references are tried first, as trials like any other: {', '.join(TABLES)}"
    ]
    assert reference_remarks(study(space={"references": False}), table_facts) == []


def test_a_teacher_is_a_network(table_facts: StudyFacts) -> None:
    def file(*names: str, **space: Any) -> StudyFile:
        return study(space={"architectures": names, "temperature": 4.0, **space})

    teacher = file("mlp", TABLES[2]).teacher(table_facts)
    assert teacher is not None
    assert teacher.architecture.family == "mlp"
    assert file(TABLES[2]).teacher(table_facts) is None
    with pytest.raises(StudyFileError, match="is fitted, not trained: take one of the networks m"):
        file("mlp", TABLES[2], teacher=TABLES[2]).teacher(table_facts)

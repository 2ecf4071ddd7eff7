"""What a study file means on given data: families, options, the teacher."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from greenfront.errors import StudyFileError
from greenfront.spaces.network_space import baseline_candidates, network_space
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile


def study(**sections: dict[str, Any]) -> StudyFile:
    return StudyFile.from_stored({"task": {"kind": "digits"}, **sections})


def test_options_carry_every_setting_over(image_facts: StudyFacts) -> None:
    file = study(
        space={
            **{"architectures": ["cnn"], "pruning": [0.1, 0.3], "bits": [8, 32]},
            **{"temperature": [2, 3], "distillation_weight": [0.6, 0.7]},
        },
        training={
            **{"optimizer": ["sgd"], "learning_rate": [0.01, 0.02], "batch_size": [16]},
            **{"patience": [1, 2], "epochs": 3, "fine_tune_epochs": 4},
        },
    )
    options = file.options(replace(image_facts, device="cuda"))
    space, training = options.space, options.training
    assert (options.scope.families, space.pruning, space.bits) == (("cnn",), (0.1, 0.3), (8, 32))
    assert (space.temperature, space.distillation_weight) == ((2.0, 3.0), (0.6, 0.7))
    assert (training.optimizer, training.learning_rate) == (("sgd",), (0.01, 0.02))
    assert (training.batch_size, training.patience) == ((16,), (1, 2))
    assert (training.epochs, training.fine_tune_epochs) == ((3, 3), 4)
    assert (options.scope.fine_tune_epochs, options.scope.device) == (4, "cuda")


def test_all_families_that_fit_the_data_by_default(
    image_facts: StudyFacts, table_facts: StudyFacts
) -> None:
    assert study().options(image_facts).scope.families == ("mlp", "cnn", "lenet")
    before = {"name": "a", "cache": "kept"}  # by the first release
    assert study(study=before).options(image_facts).scope.families == ("mlp", "cnn")
    assert study().options(table_facts).scope.families == ("mlp", "tabular")


def test_a_family_that_does_not_fit_is_refused(table_facts: StudyFacts) -> None:
    file = study(space={"architectures": ["mlp", "cnn"]})
    for use in (file.options, file.baseline_keys):
        with pytest.raises(StudyFileError) as error:
            use(table_facts)
        assert str(error.value) == (
            "[space] architectures: 'cnn' does not fit task 'wine' with inputs of shape [13]: it "
            "needs images [channels, height, width]; leave it out"
        )


@pytest.mark.parametrize(
    ("setting", "gains", "expected"),
    [
        ("auto", False, (False,)),
        ("auto", True, (False, True)),
        ([True], False, (True,)),
        ([False], True, (False,)),
        ([True, False], False, (True, False)),
    ],
)
def test_mixed_precision_is_searched_where_it_gains(
    image_facts: StudyFacts, setting: Any, gains: bool, expected: tuple[bool, ...]
) -> None:
    file = study(training={"mixed_precision": setting})
    options = file.options(replace(image_facts, mixed_precision=gains))
    knobs = {knob.name: knob for knob in network_space(options).knobs}
    assert baseline_candidates(options)[0].training.mixed_precision == min(expected)
    if len(expected) > 1:
        assert knobs["mixed_precision"].values() == expected
    else:
        assert "mixed_precision" not in knobs


def test_the_teacher_is_an_untouched_baseline(image_facts: StudyFacts) -> None:
    def teacher(**space: Any) -> str | None:
        chosen = study(space=space).teacher(image_facts)
        assert chosen is None or chosen.untouched
        return chosen and chosen.architecture.family

    distilled = {"temperature": [1.0, 8.0]}
    assert teacher() is None
    assert teacher(teacher="mlp") is None
    assert teacher(**distilled) == "lenet"
    assert teacher(**distilled, architectures=["cnn", "mlp"]) == "mlp"
    assert teacher(**distilled, teacher="mlp") == "mlp"
    with pytest.raises(StudyFileError, match=r"\[space\] teacher: 'cnn' is not among .*: add it"):
        teacher(**distilled, architectures=["mlp"], teacher="cnn")


def test_baseline_keys_are_those_of_the_families(image_facts: StudyFacts) -> None:
    file = study(space={"temperature": [1.0, 8.0]})
    baselines = baseline_candidates(file.options(image_facts))
    assert [b.architecture.family for b in baselines] == ["mlp", "cnn", "lenet"]
    assert file.baseline_keys(image_facts) == [b.key for b in baselines]
    teacher = file.teacher(image_facts)
    assert teacher is not None
    assert teacher.key == file.baseline_keys(image_facts)[-1]

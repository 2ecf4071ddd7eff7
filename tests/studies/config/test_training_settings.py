"""What a study file may say of augmentation, rates by block, hidden states and compiling."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenfront.errors import StudyFileError
from greenfront.spaces.network_space import baseline_candidates
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile


def study(**sections: dict[str, object]) -> StudyFile:
    return StudyFile.from_stored({"task": {"kind": "digits"}, **sections})


def test_by_default_images_are_moved_and_nothing_else_of_it_is_done(
    image_facts: StudyFacts, table_facts: StudyFacts
) -> None:
    options = study().options(image_facts)
    assert {c.training.augmentation for c in baseline_candidates(options)} == {"affine"}
    on_a_table = baseline_candidates(study().options(table_facts))
    assert {c.training.augmentation for c in on_a_table} == {"none"}
    assert options.training.layer_decay == (1.0,)
    assert (options.space.hidden_weight, options.training.compile) == ((0.0, 0.0), "never")


def test_what_the_file_says_reaches_the_space(image_facts: StudyFacts, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        '[task]\nkind = "digits"\n[space]\ntemperature = 4\nhidden_weight = [0, 2.5]\n'
        '[training]\naugmentation = ["none", "shift+flip"]\nlayer_decay = [1.0, 0.75]\n'
        'compile = "auto"\n'
    )
    file = StudyFile.read(path)
    options = file.options(image_facts)
    assert options.training.augmentation == ("none", "shift+flip")
    assert options.training.layer_decay == (1.0, 0.75)
    assert options.space.hidden_weight == (0.0, 2.5)
    assert options.training.compile == "auto"
    assert StudyFile.from_stored(file.to_json()) == file


def test_single_values_will_do(image_facts: StudyFacts) -> None:
    file = study(
        training={"augmentation": "flip", "layer_decay": 0.9},
        space={"temperature": 2.0, "hidden_weight": 1.5},
    )
    options = file.options(image_facts)
    assert (options.training.augmentation, options.training.layer_decay) == (("flip",), (0.9,))
    assert options.space.hidden_weight == (1.5, 1.5)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"training": {"augmentation": "turn"}}, r"\[training\] augmentation: .*'shift\+flip'"),
        ({"training": {"augmentation": []}}, r"\[training\] augmentation: "),
        ({"training": {"augmentation": ["flip", "flip"]}}, "the same value stands in it twice"),
        ({"training": {"layer_decay": 0}}, r"layer_decay: .*greater than 0, not 0"),
        ({"training": {"layer_decay": [1.0, 1.5]}}, r"layer_decay: .*less than or equal to 1"),
        ({"training": {"compile": True}}, r"compile: .*'never', 'auto' or 'always', not True"),
        ({"space": {"hidden_weight": 1}}, r"\[space\]: hidden_weight needs distillation: add a "),
        (
            {"space": {"temperature": 2, "hidden_weight": [2, 1]}},
            "hidden_weight: the low end 2 is above the high end 1",
        ),
        ({"space": {"temperature": 2, "hidden_weight": -1}}, "hidden_weight: .*or equal to 0"),
    ],
)
def test_other_values_are_refused(sections: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        study(**sections)


def test_only_images_are_augmented(table_facts: StudyFacts) -> None:
    name = table_facts.task.name
    for listed in (["shift"], ["none", "flip"]):
        with pytest.raises(
            StudyFileError,
            match=rf"\[training\] augmentation: .* moves images, but task '{name}' has tables: ",
        ):
            study(training={"augmentation": listed}).options(table_facts)
    assert study(training={"augmentation": "none"}).options(table_facts).training.augmentation == (
        "none",
    )


def test_each_of_them_makes_another_study() -> None:
    changed = [
        study(),
        study(training={"augmentation": "flip"}),
        study(training={"layer_decay": 0.5}),
        study(training={"compile": "auto"}),
        study(space={"temperature": 4}),
        study(space={"temperature": 4, "hidden_weight": 1}),
    ]
    assert len({file.identity("data") for file in changed}) == len(changed)

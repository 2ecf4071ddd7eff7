"""What a study file may say of importances and zeros, and what is told of them."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from greenfront.errors import StudyFileError
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.scores import Scoring, Tolerance
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.pruning import IMPORTANCES
from greenfront.spaces.techniques.sparsity import Sparsity
from greenfront.studies.analysis.machine.remarks import compression_remarks
from greenfront.studies.analysis.ranking.front import finished, rank
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.presets.compose import compose
from greenfront.studies.report.tables import front_table
from greenfront.studies.store.ledger import Spent
from greenfront.studies.store.trials import Trial

TASK = '[task]\nkind = "digits"\n[space]\n'


def read(folder: Path, line: str) -> StudyFile:
    path = folder / "study.toml"
    path.write_text(TASK + line)
    return StudyFile.read(path)


def study(space: dict[str, object]) -> StudyFile:
    return StudyFile.from_stored({"task": {"kind": "digits"}, "space": space})


# --- the study file ----------------------------------------------------------------------------


def test_every_importance_there_is_may_be_named() -> None:
    assert study({"importance": list(IMPORTANCES)}).space.importance == IMPORTANCES
    with pytest.raises(StudyFileError, match=r"\[space\] importance: .*'nni:movement', not 'nni'"):
        study({"importance": "nni"})


def test_a_missing_nni_is_told_when_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nni", None)
    with pytest.raises(StudyFileError) as error:
        read(tmp_path, 'importance = ["magnitude", "nni:taylor"]')
    assert str(error.value) == (
        f"{tmp_path}/study.toml: [space] importance: 'nni:taylor' needs the package 'nni', which "
        "is not installed: pip install 'greenfront[nni]' && pip install --no-deps nni==3.0, or "
        "leave it out"
    )
    assert read(tmp_path, 'importance = "magnitude"').space.importance == ("magnitude",)
    # What a study has kept can still be looked at.
    assert study({"importance": "nni:taylor"}).space.importance == ("nni:taylor",)


@pytest.mark.skipif(importlib.util.find_spec("nni") is None, reason="nni is not installed")
def test_nni_is_found_without_being_imported(tmp_path: Path) -> None:
    before = "nni" in sys.modules
    assert read(tmp_path, 'importance = "nni:l1"').space.importance == ("nni:l1",)
    assert ("nni" in sys.modules) == before


def test_zeros_are_a_range(image_facts: StudyFacts, tmp_path: Path) -> None:
    assert study({}).options(image_facts).space.sparsity == (0.0, 0.0)
    assert read(tmp_path, "sparsity = [0.0, 0.9]").options(image_facts).space.sparsity == (0.0, 0.9)
    assert read(tmp_path, "sparsity = 0.5").options(image_facts).space.sparsity == (0.5, 0.5)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("sparsity = 0.96", "less than or equal to 0.95, not 0.96"),
        ("sparsity = [0.9, 0.5]", "the low end 0.9 is above the high end 0.5"),
        ("sparsity = [-0.1, 0.5]", "greater than or equal to 0, not -0.1"),
    ],
)
def test_other_shares_are_refused(tmp_path: Path, line: str, rule: str) -> None:
    with pytest.raises(StudyFileError) as error:
        read(tmp_path, line)
    assert "[space] sparsity: " in str(error.value)
    assert rule in str(error.value)


def test_init_tells_of_both() -> None:
    text = compose("digits")
    assert "# sparsity = " in text
    assert all(name in text for name in IMPORTANCES)


# --- plan and report ---------------------------------------------------------------------------


def test_the_plan_says_what_zeros_do_not_save(image_facts: StudyFacts) -> None:
    told = [r for r in compression_remarks(study({"sparsity": 0.5}), image_facts) if "zeros" in r]
    assert told == [
        "zeros among the weights (sparsity) are stored and multiplied like any other weight: they "
        "save no bytes of the file and no energy, only a part of a compressed download"
    ]
    assert not any("zeros" in r for r in compression_remarks(study({}), image_facts))


def page_table(file: StudyFile, facts: StudyFacts, outcomes: dict[Candidate, Outcome]) -> str:
    rows = []
    for number, (tried, outcome) in enumerate(outcomes.items()):
        values = Scoring(file.objectives.predictions, file.carbon.model()).values(outcome)
        row = (tried.key, "complete", tried, values, outcome, None, 0.0, 1.0)
        rows.append(Trial(number, number, *row))
    front = rank("digits", rows, Tolerance(share=0.5), Metric("accuracy", 0.5))
    assert front.floor is not None
    seen = StudyView(
        name="digits",
        file=file,
        facts=facts,
        scoring=file.scoring(facts),
        meters=[],
        kind="not metered",
        trials=tuple(rows),
        counts=Counter(complete=len(rows)),
        complete=tuple(finished(row, front.floor) for row in rows),
        front=front,
        baseline=None,
        steps=(),
        spent=Spent(*(0.0,) * 6, 0, 0),
        spent_by_phase={},
    )
    return front_table(seen)


def test_the_report_shows_zipped_sizes_only_where_zeros_were_tried(
    image_facts: StudyFacts, make_outcome: Callable[..., Outcome]
) -> None:
    dense = Candidate(ArchitectureChoice("mlp", ()))
    outcomes = {
        dense: make_outcome(0.9, 1e-3, 1e-5),
        replace(dense, sparsity=Sparsity(0.6)): replace(
            make_outcome(0.95, 2e-3, 1e-5), zeros=0.598, compressed_bytes=2048
        ),
    }
    table = page_table(study({"sparsity": [0.0, 0.9]}), image_facts, outcomes)
    assert "Zipped <small>saves no energy</small>" in table
    assert "2.05 kB, 59.8% zeros" in table
    assert "60% zeros" in table  # what was asked for, in the model's own words
    # Of both rows two probabilities are unknown, of one the zipped size.
    assert table.count("<td class='number'>–</td>") == 5
    assert "Zipped" not in page_table(study({}), image_facts, outcomes)

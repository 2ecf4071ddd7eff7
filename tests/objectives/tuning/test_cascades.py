"""Pairs that are worth a cascade, and the threshold that keeps the score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contracts.shipped import Shipped, shipped, table
from greenfront.objectives.stages.cascade import merged_answers, sureness
from greenfront.objectives.tuning.cascades import cascade_plans
from greenfront.objectives.tuning.members import Validation, gain
from greenfront.objectives.tuning.plans import Member
from greenfront.spaces.candidate import ArchitectureChoice, Candidate


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shipped, Member, Member]:
    folder = tmp_path_factory.mktemp("members")
    model = shipped(table(folder), "mlp", folder)
    linear = Candidate(ArchitectureChoice("sklearn:logistic", (("c", 1.0),)))
    artefact = model.runner.run(linear).artefact
    cheap = Member(0, linear.to_json(), artefact, 1.0)
    return model, cheap, Member(1, model.candidate.to_json(), model.artefact, 10.0)


def test_a_plan_keeps_the_score_for_less(members: tuple[Shipped, Member, Member]) -> None:
    model, cheap, dear = members
    runtime = model.runner.runtime
    validation, root = Validation(runtime), runtime.store.root
    paths = [root / each.artefact for each in (cheap, dear)]
    first, second = (
        validation.answers(path, each.model)
        for path, each in zip(paths, (cheap, dear), strict=True)
    )
    # The more accurate of the two is what is to be kept, whichever it is.
    target, other = (
        (dear, cheap)
        if validation.score(second) > validation.score(first)
        else (replace(cheap, joules=10.0), replace(dear, joules=1.0))
    )
    found = cascade_plans([other, target], target.trial, validation, root)
    for plan in found:
        assert (plan.first, plan.second) == (other.trial, target.trial)
        assert plan.joules == pytest.approx(other.joules + plan.share * target.joules)
        assert plan.joules < 0.9 * target.joules
        one, two = (
            validation.answers(root / each.artefact, each.model) for each in (other, target)
        )
        assert plan.score == validation.score(merged_answers(one, two, plan.threshold))
        assert plan.score >= validation.score(two)
        assert float((sureness(one) < plan.threshold).mean()) == pytest.approx(plan.share)
    # A first model that takes nearly as much as the second is in nobody's way.
    near = replace(other, joules=0.95 * target.joules)
    assert cascade_plans([near, target], target.trial, validation, root) == []
    gone = replace(other, artefact=str(Path("nowhere") / "model.onnx"))
    assert cascade_plans([gone, target], target.trial, validation, root) == []
    assert cascade_plans([other], target.trial, validation, root) == []


def test_a_gain_is_paired(members: tuple[Shipped, Member, Member]) -> None:
    runtime = members[0].runner.runtime
    validation = Validation(runtime)
    labels = np.asarray(validation.labels)
    right = np.eye(2, dtype=np.float32)[labels]
    good, bad = validation.judged(right), validation.judged(right[:, ::-1].copy())
    assert gain(runtime, bad, good).lost
    same = gain(runtime, good, good)
    assert (same.value, same.low, same.high, same.lost) == (0, 0, 0, False)

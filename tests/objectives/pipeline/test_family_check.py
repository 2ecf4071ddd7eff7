"""Networks of the kinds that people write: what each is taken for before a search begins."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import pytest

from contracts.lives import toy_task
from contracts.peculiar_networks import SOURCE
from greenfront.errors import TrialFailed, UsageError
from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages.metered import Measuring
from greenfront.spaces.architectures.architecture import FamilyFacts
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.training import Training

MODULE = "greenfront_checked_networks"


@pytest.fixture(scope="module", autouse=True)
def working_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("project")
    (folder / f"{MODULE}.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield
    sys.modules.pop(MODULE, None)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> TrialRunner:
    runtime = Runtime(
        ModelFactory(toy_task((1, 6, 6)), "cpu"),
        LineageStore(tmp_path_factory.mktemp("lineage")),
        LocalContext(detect(4.0)),
        seed=3,
        measuring=Measuring(block_seconds=0.004, least_blocks=1, most_blocks=1),
    )
    return TrialRunner(runtime)


def checked(runner: TrialRunner, name: str) -> FamilyFacts:
    return runner.check(f"{MODULE}:{name}")


REFUSED = {
    "noisy": "must answer alike each time in evaluation, .* differ by .* while self.training",
    "always_drop": "must answer alike each time",
    "numpy_noise": "must answer alike each time",
    "batch_mean": "whatever stands beside it in a batch, but answers differ by",
    "batch_statistics": "whatever stands beside it in a batch, .* track_running_stats=True",
    "branch": "whatever stands beside it in a batch",
    "in_place": "must leave its inputs as they are, but changes them in place",
    "int_batch": "takes? batches of any size, but fails for 2: the network fixes the batch of 1",
    "squeezer": r"must answer \[2, 3\] for a batch of 2 .* but answers \[1, 2, 3\]: .* name the",
    "squeezed": r"must give logits \[1, 3\] for a batch of 1, but gave \[3\]: .* squeeze no axis",
    "counting": "fixes the batch of 1 .* loop over no examples",
    "exported": "exported file must answer as the network does, but their answers differ by",
    "infinite": "must answer finite numbers, but 8 of 8 examples got NaN or infinity before",
    "in_place_weights": "must be trainable by gradients, but raised RuntimeError: one of the",
    "frozen": "must be trainable by gradients, but raised",
    "own_generator": "answers differ by .*: '_basis' differs, .*register_buffer",
    "plain_statistics": "answers differ by .*: 'center' differs, which its state dictionary does",
    "passing_buffer": "'center' differs, which its state dictionary does not hold",
}


@pytest.mark.parametrize(("name", "message"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_searched_is_refused_in_words(
    runner: TrialRunner, name: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        checked(runner, name)
    assert str(refusal.value).startswith(f"architecture '{MODULE}:{name}'")


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "plain_basis",
        "numpy_basis",
        "constant_buffer",
        "cumulative_norm",
        "clamped",
        "two_names",
        "shared_conv",
        "log_probabilities",
        "lazy",
        "double",
    ],
)
def test_what_can_be_searched_and_pruned_is_taken(runner: TrialRunner, name: str) -> None:
    found = checked(runner, name)
    assert (found.cannot_prune, found.remarks) == (None, ())


def test_a_family_that_cannot_be_pruned_says_why(runner: TrialRunner) -> None:
    told = "the gates of its recurrent layers (LSTM) stay as they are"
    assert checked(runner, "recurrent").cannot_prune == told
    why = checked(runner, "kept_statistics").cannot_prune
    assert why is not None
    assert "cannot be narrowed together" in why
    assert checked(runner, "told").cannot_prune == "it is not mine to prune"


def test_what_works_but_not_well_is_remarked(runner: TrialRunner) -> None:
    (remark,) = checked(runner, "probabilities").remarks
    assert remark.startswith("answers probabilities where logits are wanted")
    (remark,) = checked(runner, "own_weights").remarks
    assert remark.startswith("its first weights do not follow the seed")


def test_a_family_is_tried_once(runner: TrialRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checked(runner, "plain")
    monkeypatch.setattr(ModelFactory, "build", lambda *_: pytest.fail("built again"))
    assert checked(runner, "plain") == first


def candidate(name: str, ratio: float) -> Candidate:
    return Candidate(
        ArchitectureChoice(f"{MODULE}:{name}", ()),
        Training(learning_rate=1e-2, batch_size=12, epochs=2, patience=0, fine_tune_epochs=1),
        Pruning(ratio),
    )


@pytest.mark.parametrize("name", ["plain_basis", "numpy_basis", "two_names", "cumulative_norm"])
def test_a_restored_network_is_the_trained_one_through_all_stages(
    runner: TrialRunner, name: str
) -> None:
    outcome = runner.run(candidate(name, 0.5))
    assert outcome.max_error is not None
    assert outcome.max_error < 1e-4
    assert outcome.unreal == ()
    assert outcome.pruned_ratio > 0.4


def test_pruning_is_held_against_the_file_of_the_unpruned_network(runner: TrialRunner) -> None:
    # Each use of the shared weight is one tensor of the file.
    outcome = runner.run(candidate("shared_conv", 0.3))
    assert outcome.unreal == ()
    whole = runner.run(candidate("shared_conv", 0.0))
    assert math.isclose(whole.parameters, 1 * 24 * 9 + 3 * 24 * 24 * 9 + 24 * 3)
    assert outcome.parameters < 0.6 * whole.parameters


def test_a_network_that_does_not_come_back_equal_fails_its_trial(runner: TrialRunner) -> None:
    with pytest.raises(TrialFailed, match="'center' differs") as failure:
        runner.run(candidate("plain_statistics", 0.0))
    assert failure.value.cause == "not restored"

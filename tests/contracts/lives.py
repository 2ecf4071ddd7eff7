"""The whole life of a network, which every family must survive: what is promised is measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from unittest.mock import patch

import numpy as np
import pytest

from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.outcome import Outcome, Sizing
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages import int8
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.tasks.task import Labelled, Task, TaskFacts
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.training import Training

CLASSES = 3
EXAMPLES = 24
WORDS = [
    "the",
    "a",
    "green",
    "red",
    "cold",
    "warm",
    "sun",
    "rain",
    "wind",
    "runs",
    "falls",
    "rises",
    "over",
    "under",
    "again",
    "never",
]

PRECISIONS = (
    Precision(32),
    Precision(16),
    Precision(8),
    Precision(8, weight_only=True),
    Precision(4),
    Precision(2),
)


def toy_task(input_shape: tuple[int, ...]) -> Task:
    """A few examples of each class; texts where the shape is ``()``."""
    rng = np.random.default_rng(0)

    def split(count: int) -> Labelled:
        labels = np.arange(count) % CLASSES
        if input_shape:
            patterns = np.random.default_rng(1).standard_normal((CLASSES, *input_shape))
            noise = rng.standard_normal((count, *input_shape))
            return Labelled((patterns[labels] + 0.5 * noise).astype(np.float32), labels)
        texts = [
            " ".join(rng.choice(WORDS[label * 4 : label * 4 + 8], size=rng.integers(3, 12)))
            for label in labels
        ]
        return Labelled(np.array(texts, dtype=object), labels)

    splits = {"train": split(EXAMPLES), "validation": split(EXAMPLES), "test": split(EXAMPLES)}
    facts = TaskFacts(
        "toy", input_shape, ("a", "b", "c"), dict.fromkeys(splits, EXAMPLES), 1 / 3, "toy"
    )
    return Task(facts, splits["train"], splits["validation"], splits["test"])


class Life(TrialRunner):
    """Sizes a network at 32 bits for all bit-widths.

    Every other graph of it is made and measured anyway: from trained weights by each trial, and
    in int8 from untrained ones where the recipe is chosen.
    """

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._sized: dict[Candidate, Sizing] = {}

    def size(self, candidate: Candidate) -> Sizing:
        candidate = replace(candidate, precision=Precision(32))
        if candidate not in self._sized:
            self._sized[candidate] = super().size(candidate)
        return self._sized[candidate]


class LifeContract:
    """Build, train, prune, tune, every bit-width, export, reload, compare.

    Attributes:
        name: The family, as in a study file.
        input_shape: Of one input; ``()`` for texts.
        shape: Settings of the family's knobs that differ from its baseline.
        largest_share: Of the weights that may be left after pruning half of the channels.
    """

    name: ClassVar[str]
    input_shape: ClassVar[tuple[int, ...]] = (3, 32, 32)
    shape: ClassVar[dict[str, object]] = {}
    largest_share: ClassVar[float] = 0.6

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialRunner]:
        runtime = Runtime(
            ModelFactory(toy_task(cls.input_shape), "cpu"),
            LineageStore(tmp_path_factory.mktemp("lineage")),
            LocalContext(detect(4.0)),
            seed=0,
            measuring=Measuring(block_seconds=0.01, least_blocks=1, most_blocks=1),
        )
        # How a recipe is chosen, and which layers keep 32 bits, is no matter of a family.
        with patch.multiple(int8, ROUNDS=1, BLOCK_SECONDS=0.002, KEPT_SHARES=()):
            yield Life(runtime)

    @classmethod
    def candidate(cls, precision: Precision, ratio: float) -> Candidate:
        settings = {**architecture(cls.name).baseline(), **cls.shape}
        return Candidate(
            ArchitectureChoice(cls.name, tuple(sorted(settings.items()))),
            Training(learning_rate=1e-3, batch_size=12, epochs=1, patience=0, fine_tune_epochs=1),
            Pruning(ratio),
            precision,
        )

    @pytest.fixture(scope="class")
    @classmethod
    def outcomes(cls, runner: TrialRunner) -> dict[Precision, Outcome]:
        """What became of the network at every bit-width, pruned by half where that is possible."""
        ratio = 0.5 if architecture(cls.name).cannot_prune is None else 0.0
        return {p: runner.run(cls.candidate(p, ratio)) for p in PRECISIONS}

    def test_the_file_answers_as_the_module_does(self, outcomes: dict[Precision, Outcome]) -> None:
        whole = outcomes[Precision(32)]
        assert whole.max_error is not None
        assert whole.max_error < 1e-3
        assert whole.agreement == 1
        for precision in (Precision(16), Precision(8, weight_only=True)):
            assert outcomes[precision].agreement is not None
            assert outcomes[precision].agreement >= 0.75, precision

    def test_what_encodes_texts_lies_beside_the_file(
        self, runner: TrialRunner, outcomes: dict[Precision, Outcome]
    ) -> None:
        family, shape = (
            architecture(self.name),
            {**architecture(self.name).baseline(), **self.shape},
        )
        folder = (runner.runtime.store.root / outcomes[Precision(32)].artefact).parent
        file = folder / "tokenizer.json"
        assert file.exists() == (family.padding is not None)
        if family.padding is not None:
            from tokenizers import Tokenizer

            task = runner.runtime.models.task
            some = task.validation.inputs[:7]
            rows = [e.ids for e in Tokenizer.from_file(str(file)).encode_batch(some.tolist())]
            np.testing.assert_array_equal(rows, family.encode(shape, some, task.train.inputs))

    def test_every_saving_is_real(self, outcomes: dict[Precision, Outcome]) -> None:
        assert {p: o.unreal for p, o in outcomes.items()} == dict.fromkeys(outcomes, ())

    def test_half_of_the_channels_are_gone(
        self, runner: TrialRunner, outcomes: dict[Precision, Outcome]
    ) -> None:
        if architecture(self.name).cannot_prune:
            pytest.skip(str(architecture(self.name).cannot_prune))
        untouched = runner.size(self.candidate(Precision(32), 0.0))
        pruned = outcomes[Precision(32)]
        assert pruned.pruned_ratio > 1 - self.largest_share
        assert pruned.parameters < self.largest_share * untouched.parameters
        assert pruned.flops < self.largest_share * untouched.flops
        assert pruned.artefact_bytes < untouched.artefact_bytes

    def test_fewer_bits_are_fewer_bytes(self, outcomes: dict[Precision, Outcome]) -> None:
        size = {p: o.artefact_bytes for p, o in outcomes.items()}
        packed = [size[p] for p in (Precision(32), Precision(16), Precision(8, True), Precision(4))]
        assert packed == sorted(packed, reverse=True)
        assert size[Precision(2)] < size[Precision(4)] < 0.6 * size[Precision(16)]

    def test_it_can_be_tuned_with_rounded_weights(self, runner: TrialRunner) -> None:
        outcome = runner.run(self.candidate(Precision(4, quantization_aware=True), 0.0))
        assert outcome.unreal == ()
        # The module that was tuned holds the very numbers that are packed.
        assert outcome.agreement == 1

    def test_its_files_lie_in_the_store(
        self, runner: TrialRunner, outcomes: dict[Precision, Outcome]
    ) -> None:
        root = runner.runtime.store.root
        files = {root / Path(outcome.artefact) for outcome in outcomes.values()}
        assert len(files) == len(PRECISIONS)
        assert all(file.is_file() for file in files)

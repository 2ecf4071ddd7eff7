"""Which layers of a network gain by 8 bits, by measured joules; the others stay at 32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from greenfront.errors import TrialFailed
from greenfront.objectives.judging import Judgement
from greenfront.objectives.pipeline.int8_policy import quantized, uniform_int8
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages.evaluate import open_artefact, predictions
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.turns import Turned, in_turns
from greenfront.objectives.tuning.members import Validation, gain
from greenfront.objectives.tuning.plans import TUNE, Gain, LayerPlan, Member, TriedLayer
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.layer_bits import LayerBits

__all__ = ["layer_plan"]

MOST_LAYERS = 40
"""Of a network: each is measured by itself."""
AT_ONCE = 12
"""Files that are measured in turns with one another."""


def layer_plan(
    runner: TrialRunner, member: Member, validation: Validation, scratch: Path
) -> LayerPlan:
    """Begins with all layers in 8 bits, and once more with all at 32, and changes one by one.

    Every layer is first changed alone: what the file takes then is the layer's cost, and how it
    scores its sensitivity. Then the changes that save are made one upon the other, the largest
    first; each stays only if the file takes clearly less than before. What is reached does no worse
    than the picked model, as far as the validation examples can tell.

    Args:
        runner: Of the study.
        member: The picked trial, a network.
        validation: Judges; the test split is never read.
        scratch: Takes the files.

    Raises:
        TrialFailed: The network is no longer kept, or has no int8 form.
    """
    files = _Files.of(runner, member, validation, scratch)
    names = files.names
    if not 1 < len(names) <= MOST_LAYERS:
        why = f"it has {len(names)} layers, and bits by layer are for 2 to {MOST_LAYERS}"
        return LayerPlan((), len(names), None, None, (), why)
    all_int8, all_float = frozenset(files.uniform), frozenset(names)
    tried: list[TriedLayer] = []
    mixed = []
    for begun in (all_int8, all_float):
        some = list(files.tried(begun))
        tried += some
        reached = _reached(files, begun, some)
        if reached not in (all_int8, all_float) and not files.gain(reached).lost:
            mixed.append(reached)
    if not mixed:
        why = "no layer takes clearly less with other bits, be the others in 8 or at 32"
        return LayerPlan((), len(names), None, None, tuple(tried), why)
    ratios = [each.ratio for each in files.in_turns([all_int8, *mixed])[1:]]
    _, best = min((ratio.value if ratio else 1.0, place) for place, ratio in enumerate(ratios))
    over_float = files.in_turns([all_float, mixed[best]])[1].ratio
    if over_float is not None and over_float.low > 1:
        why = (
            f"the best mix takes {over_float.value:.0%} ({over_float.low:.0%} to "
            f"{over_float.high:.0%}) of the joules of 32 bits in all layers, which is the better "
            "choice here"
        )
        return LayerPlan((), len(names), ratios[best], over_float, tuple(tried), why)
    floating = tuple(sorted(mixed[best]))
    return LayerPlan(floating, len(names), ratios[best], over_float, tuple(tried))


def _reached(files: _Files, begun: frozenset[str], tried: Sequence[TriedLayer]) -> frozenset[str]:
    """Changes what saves alone, the largest first, as long as each saves upon the others."""
    saving = [each for each in tried if each.ratio is not None and each.ratio.value < 1]
    current = begun
    for each in sorted(saving, key=lambda layer: layer.ratio.value if layer.ratio else 1.0):
        changed = current ^ {each.name}
        step = files.in_turns([current, changed])[1].ratio
        # What does worse already may do so for now, if it does no worse than before.
        worse = files.gain(changed).lost and files.gain(changed).value < files.gain(current).value
        if step is not None and step.high < 1 and not worse:
            current = changed
    return current


@dataclass
class _Files:
    """The files of one network by which layers stay at 32 bits."""

    runner: TrialRunner
    candidate: Candidate
    validation: Validation
    reference: Path
    names: list[str]
    uniform: list[str]
    picked: Judgement
    _gains: dict[frozenset[str], Gain] = field(default_factory=dict)
    _written: dict[frozenset[str], Path] = field(default_factory=dict)

    @classmethod
    def of(
        cls, runner: TrialRunner, member: Member, validation: Validation, scratch: Path
    ) -> _Files:
        runtime, candidate = runner.runtime, member.model
        delivered = runner.delivered(candidate, member.artefact)
        if delivered.network is None:
            raise TrialFailed("gone", "the torch network of the trial is no longer kept")
        models = runtime.models
        with runtime.context.phase(TUNE):
            network = models.in_target_unit(models.load(candidate, delivered.network), candidate)
            reference = scratch / "reference.onnx"
            to_onnx(network, models.data(candidate).train.inputs[:1], reference)
            picked = validation.judged(validation.answers(delivered.path, candidate))
            found = uniform_int8(runtime, candidate, reference, scratch / "uniform.onnx")
        return cls(
            runner, found.candidate, validation, reference, found.layers, found.floating, picked
        )

    def file(self, floating: frozenset[str]) -> Path:
        """The file with so many layers at 32 bits; with all of them the 32-bit export."""
        if floating == frozenset(self.names):
            return self.reference
        if floating not in self._written:
            path = self.reference.with_name(f"{len(self._written)}.onnx")
            bits = LayerBits(tuple(sorted(floating)))
            candidate = replace(self.candidate, others=(*self.candidate.others, bits))
            with self.runner.runtime.context.phase(TUNE):
                quantized(self.runner.runtime, candidate, self.reference, path, exactly=True)
            self._written[floating] = path
        return self._written[floating]

    def in_turns(self, sets: Sequence[frozenset[str]]) -> list[Turned]:
        """Predictions of some files, measured in turns as the study measures."""
        runtime, validation = self.runner.runtime, self.validation
        inputs, padding = validation.inputs(self.candidate), validation.padding(self.candidate)
        measuring = runtime.measuring
        works = [
            predictions(
                open_artefact(self.file(each), measuring.threads), inputs, measuring.batch, padding
            )
            for each in sets
        ]
        return in_turns(works, runtime.context, phase=TUNE, measuring=measuring)

    def gain(self, floating: frozenset[str]) -> Gain:
        """What a file scores on validation, less what the picked one does."""
        if floating not in self._gains:
            path = self.file(floating)
            with self.runner.runtime.context.phase(TUNE):
                answers = self.validation.answers(path, self.candidate)
                judged = self.validation.judged(answers)
            self._gains[floating] = gain(self.runner.runtime, judged, self.picked)
        return self._gains[floating]

    def tried(self, begun: frozenset[str]) -> Iterator[TriedLayer]:
        """Each layer changed by itself."""
        for start in range(0, len(self.names), AT_ONCE):
            some = self.names[start : start + AT_ONCE]
            self.runner.runtime.context.progress(
                f"layers {start + 1} to {start + len(some)} of {len(self.names)}, each by itself"
            )
            found = self.in_turns([begun, *(begun ^ {name} for name in some)])[1:]
            for name, turned in zip(some, found, strict=True):
                to_bits = 8 if name in begun else 32
                yield TriedLayer(name, to_bits, turned.ratio, self.gain(begun ^ {name}))

"""What an evaluator can be asked about picked models after a search."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from greenfront.objectives.codec import from_json
from greenfront.objectives.metering.power_limit import PowerRange
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages.turns import in_turns
from greenfront.objectives.tuning.cascades import cascade_plans
from greenfront.objectives.tuning.ensembles import best_together
from greenfront.objectives.tuning.layer_plan import layer_plan
from greenfront.objectives.tuning.members import Validation, gain, plain_work
from greenfront.objectives.tuning.plans import ENSEMBLE, TUNE, Beside, Member
from greenfront.objectives.tuning.power_sweep import power_advice
from greenfront.objectives.tuning.runtime_sweep import Sweep, runtime_advice
from greenfront.search.evaluator.child import Calls

__all__ = ["tune_calls"]

ENGINES = "tensorrt"
"""Folder of TensorRT's engines, below a study's cache."""
COMPARED = 15
"""Turns by which a model is taken or not: more than those that only order several."""


def tune_calls(runner: TrialRunner) -> Calls:
    """The calls ``sweep``, ``power``, ``cascades``, ``ensemble``, ``layers`` and ``beside``.

    ``sweep`` takes a :class:`Member` and says how its file is best run; ``power`` takes a
    ``member`` and the ``range`` of a card, and says what limits of its power bring; ``cascades``
    takes ``members`` and the number of a ``target`` among them; ``ensemble`` takes members and says
    which are best together; ``layers`` takes a member and says which of its layers gain by 8 bits;
    ``beside`` takes two and compares the ``one`` with the ``other``, charged to a ``phase``.
    """
    runtime, root = runner.runtime, runner.runtime.store.root

    def file_of(member: Member) -> Path:
        return runner.delivered(member.model, member.artefact).path

    def sweep_of(member: Member) -> Sweep:
        validation, model = Validation(runtime), member.model
        # What a cascade takes depends on how many examples it passes on.
        measuring = replace(runtime.measuring, entire=model.second is not None)
        return Sweep(
            path=file_of(member),
            inputs=validation.inputs(model),
            padding=validation.padding(model),
            context=runtime.context,
            measuring=measuring,
            engines=root.parent / ENGINES,
        )

    def sweep(argument: Any) -> Any:
        return runtime_advice(sweep_of(from_json(Member, argument)))

    def power(argument: Any) -> Any:
        member = from_json(Member, argument["member"])
        return power_advice(sweep_of(member), from_json(PowerRange, argument["range"]))

    def cascades(argument: Any) -> Any:
        members = [from_json(Member, each) for each in argument["members"]]
        with runtime.context.phase(TUNE):
            return cascade_plans(members, int(argument["target"]), Validation(runtime), root)

    def ensemble(argument: Any) -> Any:
        members = [from_json(Member, each) for each in argument]
        with runtime.context.phase(ENSEMBLE):
            return best_together(members, Validation(runtime), root)

    def beside(argument: Any) -> Any:
        one, other = (from_json(Member, argument[name]) for name in ("one", "other"))
        validation, phase = Validation(runtime), argument["phase"]
        pairs = [(file_of(each), each.model) for each in (other, one)]
        works, measuring = plain_work(pairs, validation)
        found = in_turns(works, runtime.context, phase=phase, measuring=measuring, rounds=COMPARED)
        with runtime.context.phase(phase):
            theirs, mine = (validation.judged(validation.answers(*each)) for each in pairs)
        return Beside(found[1].ratio, gain(runtime, mine, theirs))

    def layers(argument: Any) -> Any:
        member = from_json(Member, argument)
        with tempfile.TemporaryDirectory() as folder:
            return layer_plan(runner, member, Validation(runtime), Path(folder))

    return {
        "sweep": sweep,
        "power": power,
        "cascades": cascades,
        "ensemble": ensemble,
        "layers": layers,
        "beside": beside,
    }

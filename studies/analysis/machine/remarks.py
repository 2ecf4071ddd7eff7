"""What compression brings on this machine, and what models are judged by: for plan and report."""

from __future__ import annotations

from greenfront.spaces.techniques.batch_scaling import rate_factor
from greenfront.spaces.techniques.registry import techniques
from greenfront.studies.analysis.words.quantities import number, percent
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import INT8_PAYS, StudyFile

__all__ = ["compression_remarks", "metric_remarks", "reference_remarks"]

LOPSIDED = 0.8
"""Where always the same answer is right as often, accuracy tells little."""


def compression_remarks(file: StudyFile, facts: StudyFacts) -> list[str]:
    """One sentence for each family that is special, and those of the techniques.

    Args:
        file: The study.
        facts: Of its data and machine.
    """
    scope, remarks = file.options(facts).scope, []
    for name in scope.families:
        family = scope.family(name)
        if family.cannot_prune:
            remarks.append(f"{name} is not pruned: {family.cannot_prune}")
        remarks += [f"{name}: {remark}" for remark in family.remarks]
    for name, ratio in facts.int8.items():
        taken = f"{name}: int8 kernels take {ratio:.2f} times the CPU time of 32 bits here"
        remarks.append(
            taken
            if ratio <= INT8_PAYS
            else f"{taken}, so its 8 bits are packed weights, which save bytes and no energy"
        )
    remarks += _batch_remarks(file, facts)
    for technique in techniques():
        remarks += technique.remarks(getattr(file, technique.table), scope)
    return remarks


def _batch_remarks(file: StudyFile, facts: StudyFacts) -> list[str]:
    """What ``[training] adaptive`` does to each family."""
    remarks = []
    for name, scale in file.batch_scales(facts).items():
        if scale == 1:
            remarks.append(f"{name}: larger batches gain too little here, they stay as asked for")
            continue
        seconds = facts.batch_seconds[name]
        share = percent(seconds[scale.bit_length() - 1] / seconds[0])
        higher = f"{number(rate_factor('adamw', scale))} times as high (of sgd {scale} times)"
        remarks.append(
            f"{name}: batches are {scale} times as large as asked for, and rates {higher}: an "
            f"example of a step then takes {share} of the time here"
        )
    return remarks


def metric_remarks(file: StudyFile, facts: StudyFacts) -> list[str]:
    """What models are judged by, and whether accuracy would tell much here.

    Args:
        file: The study.
        facts: Of its data.
    """
    metric, task = file.metric(facts), facts.task
    nothing = f"a model that has learnt nothing has {metric.text(metric.nothing)}"
    remarks = [f"models are judged by {metric.told}; {nothing}"]
    if not metric.of_numbers and task.classes == 2 and metric.name != "accuracy":
        remarks[0] += f"; the positive class is {task.class_names[metric.positive]!r}"
    if metric.name == "accuracy" and metric.nothing >= LOPSIDED:
        remarks.append(
            "most examples are of one class, of which accuracy tells little: balanced_accuracy, "
            "f1_macro, roc_auc or average_precision as [objectives] metric look at each class"
        )
    return remarks


def reference_remarks(file: StudyFile, facts: StudyFacts) -> list[str]:
    """Which references are tried first."""
    names = [candidate.architecture.family for candidate in file.references(facts)]
    told = "references are tried first, as trials like any other"
    return [f"{told}: {', '.join(names)}"] if names else []

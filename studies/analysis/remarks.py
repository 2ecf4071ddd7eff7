"""What compression brings on this machine, in words: for the plan and for the report."""

from __future__ import annotations

from greenfront.spaces.architectures.registry import is_fitted, network
from greenfront.spaces.techniques.registry import techniques
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import INT8_PAYS, StudyFile

__all__ = ["compression_remarks"]


def compression_remarks(file: StudyFile, facts: StudyFacts) -> list[str]:
    """One sentence for each family that is special, and those of the techniques.

    Args:
        file: The study.
        facts: Of its data and machine.
    """
    remarks = [
        f"{name} is not pruned: {reason}"
        for name in file.families(facts)
        if not is_fitted(name) and (reason := network(name).cannot_prune)
    ]
    for name, ratio in facts.int8.items():
        taken = f"{name}: int8 kernels take {ratio:.2f} of the CPU time of 32 bits here"
        remarks.append(
            taken
            if ratio <= INT8_PAYS
            else f"{taken}, so its 8 bits are packed weights, which save bytes and no energy"
        )
    for technique in techniques():
        remarks += technique.remarks(getattr(file, technique.table))
    return remarks

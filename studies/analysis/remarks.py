"""What compression brings on this machine, in words: for the plan and for the report."""

from __future__ import annotations

from greenfront.spaces.architectures.registry import architecture
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.study_file import INT8_PAYS, StudyFile

__all__ = ["compression_remarks"]


def compression_remarks(file: StudyFile, facts: StudyFacts) -> list[str]:
    """One sentence for each family that is special, and one for bits that save bytes alone.

    Args:
        file: The study.
        facts: Of its data and machine.
    """
    remarks = [
        f"{name} is not pruned: {reason}"
        for name in file.families(facts)
        if (reason := architecture(name).cannot_prune)
    ]
    for name, ratio in facts.int8.items():
        taken = f"{name}: int8 kernels take {ratio:.2f} of the CPU time of 32 bits here"
        remarks.append(
            taken
            if ratio <= INT8_PAYS
            else f"{taken}, so its 8 bits are packed weights, which save bytes and no energy"
        )
    if file.space.sparsity[1] > 0:
        remarks.append(
            "zeros among the weights (sparsity) are stored and multiplied like any other weight: "
            "they save no bytes of the file and no energy, only a part of a compressed download"
        )
    packed = [str(bits) for bits in sorted(file.space.bits, reverse=True) if bits not in (32, 8)]
    if packed:
        remarks.append(
            f"{' and '.join(packed)} bits are packed weights: smaller files, no cheaper predictions"
        )
    return remarks

"""What a study stores of its instruments, compared with those at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from greenfront.errors import MeterError
from greenfront.objectives.metering.settings import Machines

__all__ = [
    "MACHINE",
    "metered_card",
    "metered_machines",
    "meters_gpu",
    "reference_machine",
    "require_pinned",
    "with_machine_of",
    "with_reference",
]

MACHINE = "machine"
"""Key of the processor's model."""

OTHERS = "other_machines"
"""Key of further ones, parted by semicolons."""

REFERENCE = "reference_machine"
"""Key of the one on which the front was measured again, in the first entry."""


def metered_machines(pinned: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The processors on which a study was metered, the first one first; empty where unknown."""
    found = next((entry for entry in pinned if MACHINE in entry), {})
    return tuple(filter(None, (found.get(MACHINE), *found.get(OTHERS, "").split("; "))))


def metered_card(pinned: Sequence[Mapping[str, str]]) -> str:
    """The model of the GPUs on which a study was metered, with which their meter's source ends.

    Such as ``"NVIDIA L4"``; empty where no GPU was metered.
    """
    source = next((entry["source"] for entry in pinned if entry["component"] == "gpu"), "")
    return source.rpartition(" of ")[2].partition(", minus ")[0]


def meters_gpu(pinned: Sequence[Mapping[str, str]]) -> bool:
    """Whether a study meters a GPU: one that has none may not get one later."""
    return any(entry["component"] == "gpu" for entry in pinned)


def with_machine_of(
    pinned: Sequence[Mapping[str, str]], here: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """What a study stores once it was metered here too."""
    known, new = metered_machines(pinned), metered_machines(here)
    others = "; ".join((*known[1:], *(name for name in new if name not in known)))
    return [
        {**entry, OTHERS: others} if others and MACHINE in entry else dict(entry)
        for entry in pinned
    ]


def reference_machine(pinned: Sequence[Mapping[str, str]]) -> str | None:
    """The processor by whose readings a study is ranked; ``None`` where each model has its own."""
    return next((entry[REFERENCE] for entry in pinned if REFERENCE in entry), None)


def with_reference(pinned: Sequence[Mapping[str, str]], machine: str) -> list[dict[str, str]]:
    """What a study stores once its front was measured again on a machine."""
    first, *others = (dict(entry) for entry in pinned)
    return [{**first, REFERENCE: machine}, *others]


def require_pinned(
    pinned: Sequence[Mapping[str, str]],
    here: Sequence[Mapping[str, str]],
    machines: Machines = "alike",
) -> None:
    """Refuses other instruments than :meth:`Instruments.pin` told at the study's start.

    Args:
        pinned: What the study stores; one that knows no processor takes any.
        here: What :meth:`Instruments.pin` tells of this machine.
        machines: Whether another model of processor is refused.

    Raises:
        MeterError: A component has another kind or source, appeared, or is gone, or the processor
            is another one; the message names both and the way out.
    """
    known, new = metered_machines(pinned), metered_machines(here)
    if machines == "alike" and known and new and new[0] not in known:
        raise MeterError(
            f"machine: must be like that of the study, {known[0]!r}, got {new[0]!r}: joules of "
            "unlike machines cannot be compared; resume on a machine like the first, start a new "
            'study, or allow it by [metering] machines = "any": every figure will say so, and '
            "'greenfront remeasure' then measures the front on one of them"
        )
    then = {entry["component"]: f"{entry['kind']}: {entry['source']}" for entry in pinned}
    now = {entry["component"]: f"{entry['kind']}: {entry['source']}" for entry in here}
    differences = [
        f"{component} energy was '{then.get(component, 'not metered')}' when the study began and "
        f"is '{now.get(component, 'not metered')}' here"
        for component in dict.fromkeys((*then, *now))
        if then.get(component) != now.get(component)
    ]
    if differences:
        raise MeterError(
            f"instruments: must be those that the study is pinned to, but "
            f"{' and '.join(differences)}; resume on a machine like the first, make the first "
            "instruments readable here ('greenfront doctor' says how), or start a new study"
        )

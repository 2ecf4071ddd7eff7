"""On which machines a study's joules were read, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenfront.objectives.metering.pinned import metered_machines
from greenfront.studies.analysis.words.wording import named_trials, unlike_machines_sentence

if TYPE_CHECKING:  # a list of studies has use for a few words alone
    from greenfront.studies.analysis.view import StudyView

__all__ = ["machine_sentences"]


def machine_sentences(view: StudyView) -> list[str]:
    """On which machines joules were read; none for a study of one machine.

    Args:
        view: The study.
    """
    made = metered_machines(view.meters)
    if view.machine is not None and (view.machine,) != made:
        told = (
            f"Models are ranked by what {view.machine} read of their predictions; making them was "
            f"metered on {', '.join(made) or 'a processor that is not known'}."
        )
        if view.unread:
            several = view.unread > 1
            told += (
                f" {view.unread} finished model{'s were' if several else ' was'} not measured "
                f"there and {'are' if several else 'is'} not ranked."
            )
        return [told]
    unlike = unlike_machines_sentence(view.meters)
    if view.machine is not None or unlike is None:
        return []
    rows = {row.trial: row for row in view.front.rows}
    if view.baseline is not None:
        rows[view.baseline.trial] = view.baseline
    read: dict[str, list[int]] = {}
    for number, row in sorted(rows.items()):
        machine = row.outcome.machine or "a processor that is not known"
        read.setdefault(machine, []).append(number)
    told = "; ".join(f"of {named_trials(each)} on {machine}" for machine, each in read.items())
    way_out = "'greenfront remeasure' measures the front on one of them"
    return [unlike, f"Predictions were read {told}; {way_out}."] if read else [unlike]

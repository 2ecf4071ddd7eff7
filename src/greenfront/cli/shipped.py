"""What people read of an exported model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenfront.studies.analysis.quantities import joules, seconds

if TYPE_CHECKING:
    from greenfront.search.exporting import Exported

__all__ = ["exported_text"]


def exported_text(done: Exported, folder: str) -> str:
    """What was written, what it does, and how to go on."""
    claims, record = done.claims, done.record
    metric = record.metric
    test = f"{metric.text(claims.test.score)} on the {claims.test.examples} test examples"
    if claims.baseline is not None:
        test += f" (the untouched baseline {metric.text(claims.baseline.score)})"
    lines = [
        f"Wrote {done.folder}: trial {done.row.trial} of {claims.study}",
        f"{metric.title} {test}, which no search has seen.",
        f"A prediction from raw input to answer: {joules(claims.cost.energy.joules)} "
        f"({claims.cost.energy.kind}), {seconds(claims.cost.latency_seconds)}; in a session "
        f"without options {joules(claims.plain_cost.energy.joules)}.",
        *(f"Note: {note}." for note in claims.notes),
        "",
        f"  python {folder}/predict.py INPUT      needs only {folder}/requirements.txt",
        f"  greenfront verify {folder}            holds it to what is claimed",
    ]
    return "\n".join(lines)

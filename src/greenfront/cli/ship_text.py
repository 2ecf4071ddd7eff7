"""What people read of an exported model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenfront.studies.analysis.words.quantities import joules, seconds

if TYPE_CHECKING:
    from rich.console import Group

    from greenfront.objectives.readings import Reading
    from greenfront.search.afterwards.exporting import Exported
    from greenfront.search.afterwards.verifying import Verification

__all__ = ["exported_text", "verified_table"]


def exported_text(done: Exported, folder: str, spent: Reading) -> str:
    """What was written, what it does, and how to go on."""
    from greenfront.studies.store.ledger import PACKAGE

    claims, record = done.claims, done.record
    metric = record.metric
    test = f"{metric.text(claims.test.score)} on the {claims.test.examples} test examples"
    if claims.baseline is not None:
        test += f" (the untouched baseline {metric.text(claims.baseline.score)})"
    lines = [
        f"Wrote {done.folder}: trial {done.row.trial} of {claims.study}",
        f"{metric.title} {test}, which no search has seen.",
        f"A prediction, raw input to answer: {joules(claims.plain_cost.energy.joules)} "
        f"({claims.plain_cost.energy.kind}), {seconds(claims.plain_cost.latency_seconds)} in ONNX "
        f"Runtime without options; {joules(claims.cost.energy.joules)}, "
        f"{seconds(claims.cost.latency_seconds)} as predict.py runs it.",
        *(f"Note: {note}." for note in claims.notes),
        f"The export itself took {joules(spent.joules)} ({spent.kind}): {PACKAGE!r} in the ledger.",
        "",
        f"  greenfront verify {folder}    # holds it to what is claimed",
        f"  python {folder}/predict.py INPUT    # needs only its requirements.txt",
    ]
    return "\n".join(lines)


def verified_table(found: Verification) -> Group:
    """Claimed beside found, then what does not hold and why."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from greenfront.objectives.metrics import Metric
    from greenfront.studies.analysis.words.metric_words import change

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("claim", "claimed", "found", ""):
        table.add_column(title, overflow="fold")
    marks = {True: "holds", False: "DOES NOT HOLD", None: "not compared"}
    for check in found.checks:
        cells = (check.name, check.claimed, check.found, marks[check.holds])
        table.add_row(*map(Text, cells))
    lines = [f"{check.name}: {check.why}." for check in found.checks if check.holds is False]
    lines += [f"Not compared, {c.name}: {c.why}." for c in found.checks if c.holds is None]
    if found.difference is not None:
        metric, told = Metric(found.claims.setting.metric, 0.0), found.difference
        apart = change(metric, told.value, told.low, told.high)
        lines.append(
            f"Test split, beside the untouched baseline: {metric.word} {apart}"
            + (", with its paired 95 % interval." if told.low is not None else ".")
        )
    if found.spent is not None:
        lines.append(f"Looking took {joules(found.spent.joules)} ({found.spent.kind}).")
    of = f"{found.folder!s} (trial {found.claims.trial} of {found.claims.study})"
    lines.append(
        f"Every claim of {of} that can be judged here holds."
        if found.holds
        else f"{of} is not what it claims to be."
    )
    return Group(table, Text("\n".join(lines)))

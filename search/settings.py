"""The settings of a search."""

from __future__ import annotations

from dataclasses import dataclass, field

from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.meter import Meter
from greenfront.search.electricity.scheduler import Electricity
from greenfront.search.runs.quota import Quota
from greenfront.search.status import Observer
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.ledger_writer import Charged

__all__ = ["SearchSettings"]


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How a study is searched.

    Attributes:
        sampler: Its name; see :data:`~greenfront.search.samplers.named.SamplerName`.
        seed: Of the sampler; resumed studies draw other numbers than they began with.
        population: Parents kept by a genetic sampler; ``None``: a quarter of the budget's trials,
            8 to 50.
        workers: Evaluations at once, each in a thread.
        budget: Of the whole study.
        carbon: Converts energy into CO₂ in the ledger.
        electricity: Intensities over time for the ledger, and when to pause.
        instruments: Meter this process; ``None`` leaves the search's own energy out.
        heat_meters: Tell whether heat slows this machine down, which then gets fewer trials.
        prepaid: Energy of preparing this run, charged to the search itself.
        observer: Is told of all progress.
        quota: How much of the study this run does.
    """

    sampler: str = "nsga2"
    seed: int = 0
    population: int | None = None
    workers: int = 1
    budget: Budget = field(default_factory=Budget)
    carbon: CarbonModel | None = None
    electricity: Electricity | None = None
    instruments: Instruments | None = None
    heat_meters: tuple[Meter, ...] = ()
    prepaid: tuple[Charged, ...] = ()
    observer: Observer | None = None
    quota: Quota = field(default_factory=Quota)

    @property
    def waiting_workers(self) -> int:
        """How many workers wait at a time while the whole run does."""
        schedule = None if self.electricity is None else self.electricity.settings
        elastic = schedule is not None and schedule.throughput is not None
        return self.workers if elastic else 1

    def note(self, message: str) -> None:
        """Passes a message to the observer, if there is one."""
        if self.observer is not None:
            self.observer.note(message)

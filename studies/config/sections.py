"""The tables of a study file, each checked key by key."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from greenfront.objectives.metering.settings import (
    CpuSource,
    DramSource,
    GpuSource,
    MeteringSettings,
)
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.table import Table
from greenfront.studies.config.budget import Budget
from greenfront.studies.store.storage import DEFAULT_URL

__all__ = [
    "BudgetSection",
    "LimitsSection",
    "MeteringSection",
    "ObjectivesSection",
    "SearchSection",
    "StudySection",
    "TaskSection",
]


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Share = Annotated[float, Field(gt=0, lt=1)]


class StudySection(Table):
    """``[study]``: what it is called and where it is kept."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.-]+$")] = "study"
    storage: str = DEFAULT_URL
    cache: str = ".greenfront"
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    threads: Count = 1


class TaskSection(Table):
    """``[task]``: the data."""

    kind: str
    path: str | None = None
    target: str | None = None
    drop_columns: list[str] = Field(default_factory=list)
    text_column: str | None = None
    image_column: str | None = None
    subset: str | None = None
    image_size: Annotated[int, Field(ge=4, le=1024, strict=True)] | None = None
    channels: Literal[1, 3] | None = None
    validation_fraction: Share = 0.2
    test_fraction: Share = 0.2
    eval_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0

    def settings(self) -> TaskSettings:
        """The section as the task loader takes it."""
        return TaskSettings(
            kind=self.kind,
            path=self.path,
            target=self.target,
            drop_columns=tuple(self.drop_columns),
            text_column=self.text_column,
            image_column=self.image_column,
            subset=self.subset,
            image_size=self.image_size,
            channels=self.channels,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
            eval_fraction=self.eval_fraction,
        )


class ObjectivesSection(Table):
    """``[objectives]``: what the model will be used for, and what is good enough."""

    predictions: Annotated[float, Field(ge=0, le=1e15)] = 1_000_000
    floor: Annotated[float, Field(ge=0, le=1)] = 0.95
    batch: Count = 1
    repeats: Annotated[int, Field(ge=1, le=100, strict=True)] = 3
    torch_file: bool = False


class MeteringSection(Table):
    """``[metering]``: where joules come from, and what you know better about this machine."""

    cpu: CpuSource = "auto"
    dram: DramSource = "auto"
    gpu: GpuSource = "auto"
    watts_per_thread: Annotated[float, Field(gt=0, le=1000)] | None = None
    watts_per_gb: Annotated[float, Field(gt=0, le=100)] | None = None
    idle_watts: Annotated[float, Field(ge=0, le=10_000)] | None = None
    dram_idle_watts: Annotated[float, Field(ge=0, le=10_000)] | None = None
    gpu_idle_watts: Annotated[float, Field(ge=0, le=10_000)] | None = None
    block_seconds: Annotated[float, Field(gt=0, le=60)] = 0.1

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.watts_per_thread is not None and self.cpu not in {"auto", "model"}:
            raise ValueError('watts_per_thread is for the model: leave it out, or cpu = "model"')
        if self.watts_per_gb is not None and self.dram not in {"auto", "model"}:
            raise ValueError('watts_per_gb is for the model: leave it out, or dram = "model"')
        return self

    def settings(self) -> MeteringSettings:
        """The section as the instruments take it."""
        return MeteringSettings(**self.model_dump(exclude={"block_seconds"}))


class SearchSection(Table):
    """``[search]``: how candidates are found."""

    sampler: Literal["nsga2", "nsga3", "tpe", "gp", "random"] = "nsga2"
    population: Annotated[int, Field(ge=4, le=1000, strict=True)] | None = None
    workers: Annotated[int, Field(ge=1, le=64, strict=True)] = 1


class BudgetSection(Table):
    """``[budget]``: the whole study's, over all runs; the first one to be reached ends it."""

    trials: Annotated[int, Field(ge=1, strict=True)] | None = 40
    kwh: Positive | None = None
    co2_kg: Positive | None = None
    minutes: Positive | None = None

    def limits(self) -> Budget:
        """The section as the engine takes it."""
        return Budget(self.trials, self.kwh, self.co2_kg, self.minutes)


class LimitsSection(Table):
    """``[limits]``: what a trial may take and a model may cost; beyond it, it is stopped."""

    trial_minutes: Positive = 30.0
    memory_gb: Positive | None = None
    inference_joules: Positive | None = None
    latency_seconds: Positive | None = None
    artefact_bytes: Positive | None = None

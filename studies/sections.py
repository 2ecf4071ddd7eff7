"""The tables of a study file, each checked key by key."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from greenfront.errors import UsageError
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity, region_intensity, world_average
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.architectures.registry import architecture
from greenfront.studies.budget import Budget
from greenfront.studies.storage import DEFAULT_URL

__all__ = [
    "BudgetSection",
    "CarbonSection",
    "LimitsSection",
    "MeteringSection",
    "ObjectivesSection",
    "SearchSection",
    "Section",
    "SpaceSection",
    "StudySection",
    "TaskSection",
    "TrainingSection",
]


def _as_range(value: object) -> object:
    if isinstance(value, (int, float)):
        return (value, value)
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return tuple(value)
    raise ValueError("give one number, or a low and a high end")


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"the low end {value[0]:g} is above the high end {value[1]:g}")
    return value


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("the same value stands in it twice")
    return values


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A table: unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class StudySection(Section):
    """``[study]``: what it is called and where it is kept."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.-]+$")] = "study"
    storage: str = DEFAULT_URL
    cache: str = ".greenfront"
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    threads: Count = 1


class TaskSection(Section):
    """``[task]``: the data."""

    kind: str
    path: str | None = None
    target: str | None = None
    drop_columns: list[str] = []
    text_column: str | None = None
    image_size: Annotated[int, Field(ge=4, le=1024, strict=True)] | None = None
    channels: Literal[1, 3] | None = None
    validation_fraction: Share = 0.2
    test_fraction: Share = 0.2

    def settings(self) -> TaskSettings:
        """The section as the task loader takes it."""
        return TaskSettings(
            kind=self.kind,
            path=self.path,
            target=self.target,
            drop_columns=tuple(self.drop_columns),
            text_column=self.text_column,
            image_size=self.image_size,
            channels=self.channels,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
        )


class SpaceSection(Section):
    """``[space]``: architectures and compression."""

    architectures: Annotated[list[str], Field(min_length=1), BeforeValidator(_as_list)] | None = (
        None
    )
    pruning: Annotated[
        tuple[Annotated[float, Field(ge=0, le=0.95)], Annotated[float, Field(ge=0, le=0.95)]],
        BeforeValidator(_as_range),
    ] = (0.0, 0.8)
    pruning_scope: Annotated[
        list[Literal["uniform", "global"]], Field(min_length=1), BeforeValidator(_as_list)
    ] = ["uniform"]
    importance: Annotated[
        list[Literal["magnitude", "taylor", "fpgm", "random"]],
        Field(min_length=1),
        BeforeValidator(_as_list),
    ] = ["magnitude"]
    gradual: Annotated[list[bool], Field(min_length=1), BeforeValidator(_as_list)] = [False]
    bits: Annotated[
        list[Literal[32, 16, 8, 4, 2]], Field(min_length=1), BeforeValidator(_as_list)
    ] = [32, 16, 8]
    quantization_aware: Annotated[list[bool], Field(min_length=1), BeforeValidator(_as_list)] = [
        False
    ]
    temperature: (
        Annotated[
            tuple[Annotated[float, Field(ge=1, le=100)], Annotated[float, Field(ge=1, le=100)]],
            BeforeValidator(_as_range),
        ]
        | None
    ) = None
    distillation_weight: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]],
        BeforeValidator(_as_range),
    ] = (0.5, 0.9)
    teacher: str | None = None

    @field_validator("pruning", "temperature", "distillation_weight")
    @classmethod
    def _range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if value is None else _ordered(value)

    @field_validator(
        "architectures", "bits", "pruning_scope", "importance", "gradual", "quantization_aware"
    )
    @classmethod
    def _no_repeats(cls, value: list[Any] | None) -> list[Any] | None:
        return None if value is None else _distinct(value)

    @field_validator("architectures")
    @classmethod
    def _known(cls, value: list[str] | None) -> list[str] | None:
        for name in value or []:
            _known_family(name)
        return value

    @field_validator("teacher")
    @classmethod
    def _known_teacher(cls, value: str | None) -> str | None:
        return None if value is None else _known_family(value)


def _known_family(name: str) -> str:
    try:
        return architecture(name).name
    except UsageError as error:
        raise ValueError(str(error)) from error


class TrainingSection(Section):
    """``[training]``: how weights are found."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    epochs: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 10
    fine_tune_epochs: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 5
    patience: Annotated[
        list[Annotated[int, Field(ge=0, strict=True)]],
        Field(min_length=1),
        BeforeValidator(_as_list),
    ] = [3]
    optimizer: Annotated[
        list[Literal["adamw", "sgd"]], Field(min_length=1), BeforeValidator(_as_list)
    ] = ["adamw", "sgd"]
    learning_rate: Annotated[
        tuple[Annotated[float, Field(gt=0, le=10)], Annotated[float, Field(gt=0, le=10)]],
        BeforeValidator(_as_range),
    ] = (1e-3, 3e-2)
    batch_size: Annotated[
        list[Annotated[int, Field(ge=2, strict=True)]],
        Field(min_length=1),
        BeforeValidator(_as_list),
    ] = [32, 64, 128]
    mixed_precision: (
        Literal["auto"]
        | Annotated[
            list[Annotated[bool, Field(strict=True)]],
            Field(min_length=1),
            BeforeValidator(_as_list),
        ]
    ) = "auto"

    @field_validator("learning_rate")
    @classmethod
    def _range(cls, value: tuple[float, float]) -> tuple[float, float]:
        return _ordered(value)

    @field_validator("patience", "optimizer", "batch_size")
    @classmethod
    def _no_repeats(cls, value: list[Any]) -> list[Any]:
        return _distinct(value)


class ObjectivesSection(Section):
    """``[objectives]``: what the model will be used for, and what is good enough."""

    predictions: Annotated[float, Field(ge=0, le=1e15)] = 1_000_000
    floor: Annotated[float, Field(ge=0, le=1)] = 0.95
    batch: Count = 1


class CarbonSection(Section):
    """``[carbon]``: where the energy comes from."""

    region: str | None = None
    g_per_kwh: Annotated[float, Field(ge=0, le=5000)] | None = None
    pue: Annotated[float, Field(ge=1, le=10)] = 1.0
    embodied_kg_per_device_hour: Annotated[float, Field(ge=0, le=10)] = 0.0
    device_threads: Count | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.region is not None and self.g_per_kwh is not None:
            raise ValueError("give either region or g_per_kwh, not both")
        return self

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                region_intensity(value)
            except UsageError as error:
                raise ValueError(str(error).removeprefix("region: ").rstrip(".")) from error
        return value

    def model(self) -> CarbonModel:
        """The section as a carbon model."""
        return CarbonModel(
            self._intensity(),
            self.pue,
            self.embodied_kg_per_device_hour,
            self.device_threads or os.cpu_count() or 1,
        )

    def _intensity(self) -> Intensity:
        if self.g_per_kwh is not None:
            return Intensity(self.g_per_kwh, "as stated", "stated in the study file")
        return world_average() if self.region is None else region_intensity(self.region)


class MeteringSection(Section):
    """``[metering]``: what you know better about this machine."""

    watts_per_thread: Annotated[float, Field(gt=0, le=1000)] | None = None


class SearchSection(Section):
    """``[search]``: how candidates are found."""

    sampler: Literal["nsga2", "nsga3", "tpe", "gp", "random"] = "nsga2"
    population: Annotated[int, Field(ge=4, le=1000, strict=True)] | None = None
    workers: Annotated[int, Field(ge=1, le=64, strict=True)] = 1


class BudgetSection(Section):
    """``[budget]``: the whole study's, over all runs; the first one to be reached ends it."""

    trials: Annotated[int, Field(ge=1, strict=True)] | None = 40
    kwh: Positive | None = None
    co2_kg: Positive | None = None
    minutes: Positive | None = None

    def limits(self) -> Budget:
        """The section as the engine takes it."""
        return Budget(self.trials, self.kwh, self.co2_kg, self.minutes)


class LimitsSection(Section):
    """``[limits]``: what a trial may take and a model may cost; beyond it, it is stopped."""

    trial_minutes: Positive = 30.0
    memory_gb: Positive | None = None
    inference_joules: Positive | None = None
    latency_seconds: Positive | None = None
    artefact_bytes: Positive | None = None

"""The tables of a study file, each checked key by key."""

from __future__ import annotations

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
from greenfront.objectives.metering.settings import (
    CpuSource,
    DramSource,
    GpuSource,
    MeteringSettings,
)
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.architectures.registry import architecture
from greenfront.studies.config.budget import Budget
from greenfront.studies.config.carbon import CarbonSection
from greenfront.studies.store.storage import DEFAULT_URL

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
        list[
            Literal[
                "magnitude",
                "taylor",
                "fpgm",
                "random",
                "nni:l1",
                "nni:fpgm",
                "nni:taylor",
                "nni:movement",
            ]
        ],
        Field(min_length=1),
        BeforeValidator(_as_list),
    ] = ["magnitude"]
    gradual: Annotated[list[bool], Field(min_length=1), BeforeValidator(_as_list)] = [False]
    sparsity: Annotated[
        tuple[Annotated[float, Field(ge=0, le=0.95)], Annotated[float, Field(ge=0, le=0.95)]],
        BeforeValidator(_as_range),
    ] = (0.0, 0.0)
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
    hidden_weight: Annotated[
        tuple[Annotated[float, Field(ge=0, le=1000)], Annotated[float, Field(ge=0, le=1000)]],
        BeforeValidator(_as_range),
    ] = (0.0, 0.0)
    teacher: str | None = None

    @model_validator(mode="after")
    def _taught(self) -> Self:
        if self.hidden_weight[1] and self.temperature is None:
            raise ValueError(
                "hidden_weight needs distillation: add a temperature, or leave hidden_weight out"
            )
        return self

    @field_validator("pruning", "sparsity", "temperature", "distillation_weight", "hidden_weight")
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
    augmentation: Annotated[
        list[Literal["none", "shift", "flip", "shift+flip"]],
        Field(min_length=1),
        BeforeValidator(_as_list),
    ] = ["none"]
    layer_decay: Annotated[
        list[Annotated[float, Field(gt=0, le=1)]],
        Field(min_length=1),
        BeforeValidator(_as_list),
    ] = [1.0]
    compile: Literal["never", "auto", "always"] = "never"

    @field_validator("learning_rate")
    @classmethod
    def _range(cls, value: tuple[float, float]) -> tuple[float, float]:
        return _ordered(value)

    @field_validator("patience", "optimizer", "batch_size", "augmentation", "layer_decay")
    @classmethod
    def _no_repeats(cls, value: list[Any]) -> list[Any]:
        return _distinct(value)


class ObjectivesSection(Section):
    """``[objectives]``: what the model will be used for, and what is good enough."""

    predictions: Annotated[float, Field(ge=0, le=1e15)] = 1_000_000
    floor: Annotated[float, Field(ge=0, le=1)] = 0.95
    batch: Count = 1
    repeats: Annotated[int, Field(ge=1, le=100, strict=True)] = 3
    torch_file: bool = False


class MeteringSection(Section):
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

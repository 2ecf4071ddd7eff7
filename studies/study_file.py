"""The study file: what a user writes, checked key by key."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from greenfront.errors import StudyFileError, UsageError
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity, region_intensity, world_average
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.architectures.registry import architecture, architecture_names
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.network import NetworkOptions, baseline_candidates
from greenfront.spaces.space import stable_hash
from greenfront.studies.budget import Budget
from greenfront.studies.facts import StudyFacts
from greenfront.studies.storage import DEFAULT_URL

__all__ = ["StudyFile"]

CANDIDATE_FORMAT = 2
"""Raised when candidates get other keys: an older study would never find its trials again."""

INT8_PAYS = 0.9
"""Int8 kernels are used where they take at most this share of the time of single precision."""


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


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class StudySection(_Section):
    """``[study]``: what it is called and where it is kept."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.-]+$")] = "study"
    storage: str = DEFAULT_URL
    cache: str = ".greenfront"
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    threads: Count = 1


class TaskSection(_Section):
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


class SpaceSection(_Section):
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


class TrainingSection(_Section):
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


class ObjectivesSection(_Section):
    """``[objectives]``: what the model will be used for, and what is good enough."""

    predictions: Annotated[float, Field(ge=0, le=1e15)] = 1_000_000
    floor: Annotated[float, Field(ge=0, le=1)] = 0.95
    batch: Count = 1


class CarbonSection(_Section):
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


class MeteringSection(_Section):
    """``[metering]``: what you know better about this machine."""

    watts_per_thread: Annotated[float, Field(gt=0, le=1000)] | None = None


class SearchSection(_Section):
    """``[search]``: how candidates are found."""

    sampler: Literal["nsga2", "nsga3", "tpe", "gp", "random"] = "nsga2"
    population: Annotated[int, Field(ge=4, le=1000, strict=True)] | None = None
    workers: Annotated[int, Field(ge=1, le=64, strict=True)] = 1


class BudgetSection(_Section):
    """``[budget]``: the whole study's, over all runs; the first one to be reached ends it."""

    trials: Annotated[int, Field(ge=1, strict=True)] | None = 40
    kwh: Positive | None = None
    co2_kg: Positive | None = None
    minutes: Positive | None = None

    def limits(self) -> Budget:
        """The section as the engine takes it."""
        return Budget(self.trials, self.kwh, self.co2_kg, self.minutes)


class LimitsSection(_Section):
    """``[limits]``: what a trial may take and a model may cost; beyond it, it is stopped."""

    trial_minutes: Positive = 30.0
    memory_gb: Positive | None = None
    inference_joules: Positive | None = None
    latency_seconds: Positive | None = None
    artefact_bytes: Positive | None = None


class StudyFile(_Section):
    """A whole study file; every key but ``[task] kind`` has a default that works."""

    study: StudySection = StudySection()
    task: TaskSection
    space: SpaceSection = SpaceSection()
    training: TrainingSection = TrainingSection()
    objectives: ObjectivesSection = ObjectivesSection()
    carbon: CarbonSection = CarbonSection()
    metering: MeteringSection = MeteringSection()
    search: SearchSection = SearchSection()
    budget: BudgetSection = BudgetSection()
    limits: LimitsSection = LimitsSection()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a TOML file; a relative data path is taken from the file's folder.

        Raises:
            StudyFileError: It cannot be read, or keys break rules; the message names each.
        """
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise StudyFileError(
                f"study file {str(path)!r} does not exist: make one with greenfront init"
            ) from error
        except OSError as error:
            raise StudyFileError(
                f"study file {str(path)!r} cannot be read: {error.strerror}"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise StudyFileError(f"study file {str(path)!r} is not TOML: {error}") from error
        task = data.get("task")
        if isinstance(task, dict) and isinstance(task.get("path"), str):
            task["path"] = str((path.absolute().parent / task["path"]).resolve())
        return cls._checked(data, str(path))

    @classmethod
    def from_stored(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_json`, for a configuration that a study has kept.

        Raises:
            StudyFileError: It was kept by a version whose keys are unknown here.
        """
        return cls._checked(data, "the stored configuration")

    @classmethod
    def _checked(cls, data: dict[str, Any], where: str) -> Self:
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            lines = dict.fromkeys(_explain(detail, where) for detail in error.errors())
            raise StudyFileError("\n".join(lines)) from error

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        return self.model_dump(mode="json")

    def changed(
        self,
        *,
        trials: int | None = None,
        kwh: float | None = None,
        minutes: float | None = None,
        workers: int | None = None,
        storage: str | None = None,
    ) -> Self:
        """The same study with what the command line says; ``None`` leaves the file's word.

        Raises:
            StudyFileError: A value breaks the rule of its key.
        """
        data = self.to_json()
        for section, key, value in (
            ("budget", "trials", trials),
            ("budget", "kwh", kwh),
            ("budget", "minutes", minutes),
            ("search", "workers", workers),
            ("study", "storage", storage),
        ):
            if value is not None:
                data[section][key] = value
        return self._checked(data, "the command line")

    def identity(self, fingerprint: str) -> str:
        """Hash of everything that may not change while a study goes on.

        Budgets, limits of time and memory, the number of workers and the places of storage and
        cache may.

        Args:
            fingerprint: Of the data.
        """
        data = self.to_json()
        for section, key in (("study", "storage"), ("study", "cache"), ("search", "workers")):
            del data[section][key]
        del data["budget"], data["limits"]["trial_minutes"], data["limits"]["memory_gb"]
        # The same data in another place are the same data.
        del data["task"]["path"]
        return stable_hash([CANDIDATE_FORMAT, data, fingerprint])

    def options(self, facts: StudyFacts) -> NetworkOptions:
        """What the search may choose from, on these data and this machine.

        Raises:
            StudyFileError: A family that was asked for cannot take these inputs.
        """
        training = self.training
        mixed = (
            ([False, True] if facts.mixed_precision else [False])
            if training.mixed_precision == "auto"
            else training.mixed_precision
        )
        return NetworkOptions(
            architectures=tuple(self.families(facts)),
            pruning=self.space.pruning,
            pruning_scopes=tuple(self.space.pruning_scope),
            importances=tuple(self.space.importance),
            gradual=tuple(self.space.gradual),
            bits=tuple(self.space.bits),
            quantization_aware=tuple(self.space.quantization_aware),
            int8_pays=frozenset(n for n, ratio in facts.int8.items() if ratio <= INT8_PAYS),
            temperature=self.space.temperature,
            distillation_weight=self.space.distillation_weight,
            optimizers=tuple(training.optimizer),
            learning_rate=training.learning_rate,
            batch_sizes=tuple(training.batch_size),
            mixed_precision=tuple(mixed),
            patience=tuple(training.patience),
            epochs=training.epochs,
            fine_tune_epochs=training.fine_tune_epochs,
            device=facts.device,
        )

    def families(self, facts: StudyFacts) -> Sequence[str]:
        """The families that the search may choose from.

        Raises:
            StudyFileError: One that was asked for cannot take these inputs.
        """
        shape = facts.task.input_shape
        if self.space.architectures is None:
            return [n for n in architecture_names() if architecture(n).objection(shape) is None]
        inputs = "texts" if facts.task.is_text else f"inputs of shape {list(shape)}"
        for name in self.space.architectures:
            objection = architecture(name).objection(shape)
            if objection:
                raise StudyFileError(
                    f"[space] architectures: {name!r} does not fit task {facts.task.name!r} with "
                    f"{inputs}: {objection}; leave it out"
                )
        return self.space.architectures

    def teacher(self, facts: StudyFacts) -> Candidate | None:
        """The network that students learn from: an untouched baseline.

        That of the family named by ``[space] teacher``, else of the last family in the list:
        families are listed from the simplest to the most capable.
        """
        if self.space.temperature is None:
            return None
        baselines = baseline_candidates(self.options(facts))
        name = self.space.teacher
        chosen = [b for b in baselines if name is None or b.architecture.family == name]
        if not chosen:
            raise StudyFileError(
                f"[space] teacher: {name!r} is not among the study's architectures: add it there"
            )
        return chosen[-1]

    def baseline_keys(self, facts: StudyFacts) -> list[str]:
        """Keys of the families' untouched baselines."""
        return [candidate.key for candidate in baseline_candidates(self.options(facts))]


def _explain(detail: ErrorDetails, where: str) -> str:
    """One broken rule in words: file, key, rule, value."""
    place = [
        str(part) for part in detail["loc"] if not str(part).startswith(("function-", "list["))
    ]
    section = f"[{place[0]}]" if place else "the file"
    key = " ".join([section, *place[1:2]])
    given = detail["input"]
    if detail["type"] == "extra_forbidden":
        known = _keys_at(place[:-1])
        near = get_close_matches(place[-1], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{where}: {key}: unknown key: {hint}"
    if detail["type"] == "missing":
        return f"{where}: {key}: is missing: every study needs it"
    rule = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {key}: {rule[0].lower()}{rule[1:]}, not {given!r}"


def _keys_at(place: Sequence[str]) -> list[str]:
    if not place:
        return list(StudyFile.model_fields)
    section = StudyFile.model_fields[place[0]].annotation
    return (
        list(section.model_fields)
        if isinstance(section, type) and issubclass(section, BaseModel)
        else []
    )

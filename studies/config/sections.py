"""The tables of a study file, each checked key by key."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from greenfront.errors import StudyFileError, UsageError
from greenfront.objectives.metrics import MetricName
from greenfront.objectives.runtime_options import Device
from greenfront.objectives.scores import Tolerance, Weights
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.spaces.table import Positive, Table
from greenfront.studies.store.patience import PATIENCE_MINUTES
from greenfront.studies.store.storage import DEFAULT_URL

__all__ = [
    "LimitsSection",
    "ObjectivesSection",
    "OperationSection",
    "SearchSection",
    "StudySection",
    "TargetsSection",
]


MAX_DROP = 0.01
"""How much less accurate than the best a model may be by default: one point."""

EURO_PER_KWH = 0.19
"""What electricity costs others than households in the European Union, without what they get back:
0.1902 euro in the first half of 2025 (Eurostat, nrg_pc_205)."""

SMALL_SPLIT = 500
"""Examples of a validation split up to which ``folds = "auto"`` looks at further ones: with so many
an accuracy of 90 % is known to 2.6 points."""

USUAL_FOLDS = 4
"""Then so many at most: all there are of the usual split in 60, 20 and 20 %."""

AUTO_SHARE = 0.5
"""Of what a search has cost, which ``folds = "auto"`` may cost at most."""

Count = Annotated[int, Field(ge=1, strict=True)]


def _name(value: object) -> object:
    """The name of a class that is called by a number, such as 1."""
    return str(value) if isinstance(value, int) else value


def _as_tuple(value: object) -> object:
    """Three numbers, which TOML and JSON write as a list."""
    if isinstance(value, list) and len(value) != 3:
        raise ValueError("must be three numbers, of loss, energy and CO₂")
    return tuple(value) if isinstance(value, list) else value


class StudySection(Table):
    """``[study]``: what it is called and where it is kept.

    Attributes:
        defaults: Which defaults stand for what the file leaves out: 1 are those of the first
            form, before there were families for tables, texts and small images; 2 those before
            patience grew with the best epoch.
        cache_gb: How large the cache may become; ``None``: as large as it gets.
        shared_cache: URL of a folder through which machines share their caches; ``None``: none.
        patience_minutes: How long a search waits for a database server that is away.
    """

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.-]+$")] = "study"
    storage: str = DEFAULT_URL
    patience_minutes: Annotated[float, Field(ge=0, le=10_000)] = PATIENCE_MINUTES
    cache: str = ".greenfront"
    cache_gb: Positive | None = None
    shared_cache: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    threads: Count = 1
    defaults: Literal[1, 2, 3] = 3


class ObjectivesSection(Table):
    """``[objectives]``: what the model will be used for, and what is good enough.

    Attributes:
        metric: What models are judged by; ``None``: R² of numbers, accuracy of classes.
        positive: Of two classes the one that is looked for; ``None``: the rarer one.
        threshold: From which probability on it is decided for; see
            :class:`~greenfront.objectives.judging.Judging`.
        search: What samplers learn of: all objectives (``"pareto"``), or one number, the
            :func:`~greenfront.objectives.scores.weighted_loss`. The front is that of all objectives
            either way.
        weights: Of loss, energy and CO₂ in it, each over the baseline's.
        device: What predictions are measured on: the CPU, or one GPU, by ONNX Runtime's CUDA
            provider.
        folds: On how many validation splits the models are judged that the search finds best, all
            on as many training splits; ``"auto"``: see
            :mod:`greenfront.search.afterwards.cross_validating`.
    """

    metric: MetricName | None = None
    positive: Annotated[str, BeforeValidator(_name)] | None = None
    threshold: Literal["auto", "tuned"] | Annotated[float, Field(gt=0, lt=1)] = "auto"

    predictions: Annotated[float, Field(ge=0, le=1e15)] = 1_000_000
    max_drop: Annotated[float, Field(ge=0, lt=1)] | None = None
    floor: Annotated[float, Field(ge=0, le=1)] | None = None
    search: Literal["pareto", "weighted"] = "pareto"
    weights: Annotated[tuple[float, float, float], BeforeValidator(_as_tuple)] = (1.0, 1.0, 1.0)
    batch: Count = 1
    device: Device = "cpu"
    repeats: Annotated[int, Field(ge=1, le=100, strict=True)] = 3
    folds: Literal["auto"] | Annotated[int, Field(ge=1, le=100, strict=True)] = "auto"
    torch_file: bool = False

    @model_validator(mode="before")
    @classmethod
    def _one_rule(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("floor") is None:
            return {"max_drop": MAX_DROP} | data if isinstance(data, dict) else data
        if data.get("max_drop") is not None:
            raise ValueError(
                "max_drop and floor say the same thing: give one of them, max_drop as a "
                "difference of accuracies, or floor as a share of the best"
            )
        return data

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        try:
            Weights(*value)
        except UsageError as error:
            raise ValueError(str(error).removeprefix("weights: ")) from error
        return value

    @property
    def weights_of_search(self) -> Weights | None:
        """Of a single-objective search; ``None`` of one for a whole front."""
        return Weights(*self.weights) if self.search == "weighted" else None

    def folds_of(self, task: TaskFacts) -> int:
        """On how many validation splits of a task the best models are judged at most.

        Raises:
            StudyFileError: The task has fewer than are asked for.
        """
        if self.folds == "auto":
            small = task.folds > 1 and task.sizes["validation"] <= SMALL_SPLIT
            return min(USUAL_FOLDS, task.folds) if small else 1
        if self.folds > task.folds:
            why = (
                "its validation split is your own, judged in part (eval_fraction), or has classes "
                "with too few examples to take another one"
                if task.folds == 1
                else "a smaller validation_fraction leaves more"
            )
            raise StudyFileError(
                f"[objectives] folds: must be at most {task.folds} for this task, got "
                f"{self.folds}: {why}"
            )
        return self.folds

    @property
    def folds_share(self) -> float:
        """Of what the search has cost, which judging on further splits may cost at most."""
        return AUTO_SHARE if self.folds == "auto" else math.inf

    @property
    def tolerance(self) -> Tolerance:
        """How much less accurate than the best model one may be."""
        return Tolerance(self.max_drop, self.floor)


class OperationSection(Table):
    """``[operation]``: the working life of a model, by which a year is told; it changes no score.

    Attributes:
        years: How long the predictions of ``[objectives]`` are spread over.
        euro_per_kwh: Price of the electricity.
    """

    years: Annotated[float, Field(gt=0, le=100)] = 1.0
    euro_per_kwh: Annotated[float, Field(ge=0, le=10)] = EURO_PER_KWH

    @property
    def price_source(self) -> str:
        """Where the price is from, in words."""
        if self.euro_per_kwh != EURO_PER_KWH:
            return "as stated"
        return "average of the EU for others than households, first half of 2025, Eurostat"


class SearchSection(Table):
    """``[search]``: how candidates are found.

    Attributes:
        warm_start: A study whose front is tried after the baselines, within the script's share;
            ``"auto"``: those of all studies of the same data in the storage; ``None``: none.
        stop_hopeless: Whether a training is stopped between two epochs when a finished trial is
            better than what can still come of it; see
            :func:`~greenfront.objectives.learning_curve.least_error`. Under ``green``, which
            judges at rungs, nothing is.
        stop_below: Hypervolume that a further kWh has to be expected to add; the search ends below
            it, once its sampler had a generation. ``"worth"``: what it saves over the stated
            predictions, in CO₂, has to be worth what it emits. 0: it goes on until a budget is
            reached.
    """

    sampler: Literal["green", "nsga2", "nsga3", "tpe", "gp", "random"] = "nsga2"
    population: Annotated[int, Field(ge=4, le=1000, strict=True)] | None = None
    workers: Annotated[int, Field(ge=1, le=64, strict=True)] = 1
    warm_start: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    stop_hopeless: bool = True
    stop_below: Literal["worth"] | Annotated[float, Field(ge=0, allow_inf_nan=False)] = "worth"


class LimitsSection(Table):
    """``[limits]``: what a trial may take and a model may cost; beyond it, it is stopped."""

    trial_minutes: Positive = 30.0
    import_seconds: Positive = 120.0
    memory_gb: Positive | None = None
    inference_joules: Positive | None = None
    latency_seconds: Positive | None = None
    artefact_bytes: Positive | None = None


class TargetsSection(Table):
    """``[targets]``: what a model should reach; those that nearly do are followed up.

    Attributes:
        energy_reduction: Share of the energy of the most accurate untouched baseline to save.
        accuracy_drop: How much less accurate than the best one may be; ``[objectives] max_drop``
            counts where it is left out.
        latency_seconds: Of one prediction.
        size_bytes: Of the delivered file.
        share: Of the trials, at most, that follow others up.
    """

    energy_reduction: Annotated[float, Field(gt=0, lt=1)] | None = None
    accuracy_drop: Annotated[float, Field(ge=0, lt=1)] | None = None
    latency_seconds: Positive | None = None
    size_bytes: Positive | None = None
    share: Annotated[float, Field(gt=0, le=0.5)] = 0.25

    @property
    def are_set(self) -> bool:
        """Whether there is any target."""
        wanted = (self.energy_reduction, self.accuracy_drop, self.latency_seconds, self.size_bytes)
        return any(target is not None for target in wanted)

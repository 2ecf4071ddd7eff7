"""Distillation: learning from a teacher's softened outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from greenfront.spaces.families import Family
from greenfront.spaces.knobs import Categorical, Knob, Point, Real, Value, When
from greenfront.spaces.table import Range, Table
from greenfront.spaces.techniques.technique import (
    Opening,
    Scope,
    Settings,
    Technique,
    Together,
    nearest,
)

__all__ = ["TECHNIQUE", "Distillation", "DistillationOptions"]


@dataclass(frozen=True, slots=True)
class Distillation(Settings):
    """Learning from a teacher's softened outputs (Hinton, Vinyals and Dean, arXiv 1503.02531).

    Attributes:
        temperature: Divides both sets of logits; at least 1. Numbers have none: 1.
        weight: Share of the soft loss, 0 to 1; the rest is the loss by the labels.
        hidden_weight: Of the squared difference between what the last layers of student and
            teacher read (Romero et al., FitNets, arXiv 1412.6550), added to both; 0 leaves it out.
    """

    section: ClassVar[str] = "distillation"

    temperature: float
    weight: float
    hidden_weight: float = 0.0

    @property
    def untouched(self) -> bool:
        """Never: a network without a teacher has no such settings."""
        return False

    def describe(self) -> str:
        """How soft the teacher's outputs are."""
        return f"distilled T={self.temperature:g}" if self.temperature > 1 else "distilled"


class DistillationOptions(Table):
    """What of distillation may be searched: see :class:`Distillation`.

    Attributes:
        temperature: Absent: never distil. For numbers it says so much and nothing else.
        distillation_weight: Share of the soft loss.
        hidden_weight: Of a teacher's hidden states.
        teacher: The family whose untouched baseline teaches; the last of the study by default.
    """

    temperature: Range[Annotated[float, Field(ge=1, le=100)]] | None = None
    distillation_weight: Range[Annotated[float, Field(gt=0, le=1)]] = (0.5, 0.9)
    hidden_weight: Range[Annotated[float, Field(ge=0, le=1000)]] = (0.0, 0.0)
    teacher: Family | None = None

    @model_validator(mode="after")
    def _taught(self) -> Self:
        if self.hidden_weight[1] and self.temperature is None:
            raise ValueError(
                "hidden_weight needs distillation: add a temperature, or leave hidden_weight out"
            )
        return self


class DistillationTechnique(Technique[Distillation, DistillationOptions]):
    """A teacher, where a temperature is given."""

    settings = Distillation
    options = DistillationOptions
    order = 40

    def knobs(self, options: DistillationOptions, scope: Scope) -> Iterator[Knob]:
        """Whether to distil, and how."""
        if options.temperature is None:
            return
        when = (When("distillation", (True,)),)
        yield Categorical("distillation", (False, True))
        if not scope.regression:
            yield Real("temperature", *options.temperature, step=0.5, when=when)
        yield Real("distillation_weight", *options.distillation_weight, step=0.1, when=when)
        yield Real("hidden_weight", *options.hidden_weight, step=0.1, when=when)

    def decode(
        self, point: Point, family: str, options: DistillationOptions, scope: Scope
    ) -> Distillation | None:
        """``None`` without a teacher."""
        if not point.get("distillation"):
            return None
        return Distillation(
            float(point.get("temperature", 1.0)),
            float(point["distillation_weight"]),
            float(point["hidden_weight"]),
        )

    def baseline(self, options: DistillationOptions, scope: Scope) -> Mapping[str, Value]:
        """No teacher."""
        return {"distillation": False}

    def opening(
        self, options: DistillationOptions, scope: Scope, knobs: Mapping[str, Knob]
    ) -> Opening:
        """A warm teacher, alone and in most combinations."""
        distil: dict[str, Value] = {}
        if "distillation" in knobs:
            distil = {"distillation": True, "distillation_weight": options.distillation_weight[0]}
        if "temperature" in knobs:
            distil["temperature"] = nearest(knobs["temperature"], 4.0)
        taught = [step for step in Together if "TAUGHT" in step.name]
        return Opening(alone=[distil], together=dict.fromkeys(taught, distil))


TECHNIQUE = DistillationTechnique()

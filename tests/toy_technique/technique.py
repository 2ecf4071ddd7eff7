"""A technique of one file: weights are rounded to few decimals after training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from greenfront.spaces.knobs import Integer, Knob, Point, Value
from greenfront.spaces.table import Range, Table
from greenfront.spaces.techniques.technique import (
    Opening,
    Scope,
    Settings,
    Surroundings,
    Technique,
)


@dataclass(frozen=True, slots=True)
class Toy(Settings):
    section: ClassVar[str] = "toy"

    strength: int = 0

    @property
    def untouched(self) -> bool:
        return self.strength == 0

    def describe(self) -> str:
        return f"toy {self.strength}" if self.strength else ""


class ToyOptions(Table):
    toy: Range[Annotated[int, Field(ge=0, le=9)]] = (0, 0)


class ToyTechnique(Technique[Toy, ToyOptions]):
    settings = Toy
    options = ToyOptions
    order = 60

    def knobs(self, options: ToyOptions, scope: Scope) -> Iterator[Knob]:
        yield Integer("toy", *options.toy)

    def decode(self, point: Point, family: str, options: ToyOptions, scope: Scope) -> Toy:
        return Toy(int(point["toy"]))

    def baseline(self, options: ToyOptions, scope: Scope) -> Mapping[str, Value]:
        return {"toy": 0}

    def stricter(self, point: Point, around: Surroundings) -> Point:
        return {"toy": int(point["toy"]) + 1} if "toy" in point else {}

    def opening(self, options: ToyOptions, scope: Scope, knobs: Mapping[str, Knob]) -> Opening:
        return Opening(alone=[{"toy": options.toy[1]}] if "toy" in knobs else [])


TECHNIQUE = ToyTechnique()

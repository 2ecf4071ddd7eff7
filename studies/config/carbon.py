"""``[carbon]`` of a study file: whose electricity, and when to use it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from greenfront.errors import DataError, UsageError
from greenfront.objectives.carbon.clock import Clock
from greenfront.objectives.carbon.embodied import embodied_default
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity, region_intensity, world_average
from greenfront.objectives.carbon.scaling import gains
from greenfront.objectives.carbon.schedule import usual_best
from greenfront.objectives.carbon.trace_files import read_trace
from greenfront.objectives.carbon.traces import Trace
from greenfront.objectives.carbon.units import SECONDS_PER_HOUR
from greenfront.spaces.table import Table
from greenfront.studies.config.facts import StudyFacts, TraceFacts

__all__ = ["CarbonSection", "embodied_objection"]

USUAL_JOB_SECONDS = SECONDS_PER_HOUR
"""Length of the job by which the making of a model is scored when it waits: an hour of work."""


def _as_text(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def embodied_objection(embodied: str | None, facts: StudyFacts) -> str | None:
    """Why the making of a kind of device cannot be charged to a study; ``None`` where it can.

    Args:
        embodied: The kind; ``None`` for none.
        facts: Of the study.

    Raises:
        UsageError: There is no such kind.
    """
    by_gpu = embodied is not None and embodied_default(embodied).component == "gpu"
    if not by_gpu or facts.device == "cuda":
        return None
    return (
        f"embodied: {embodied!r} counts the hours in which a metered GPU is held, but this study "
        'trains on the CPU; take "laptop", "workstation" or "server", or a study with [training] '
        'device = "cuda"'
    )


class CarbonSection(Table):
    """``[carbon]``: where the energy comes from, and whether to wait for cleaner hours."""

    region: str | None = None
    g_per_kwh: Annotated[float, Field(ge=0, le=5000)] | None = None
    trace: str | None = None
    factors: Literal["life-cycle", "direct"] = "life-cycle"
    live: Literal["uk", "electricitymaps"] | None = None
    zone: Annotated[str, Field(min_length=1)] | None = None
    pue: Annotated[float, Field(ge=1, le=10)] = 1.0
    embodied: Literal["laptop", "workstation", "server", "gpu"] | None = None
    embodied_kg_per_device_hour: Annotated[float, Field(ge=0, le=10)] = 0.0
    device_threads: Annotated[int, Field(ge=1, strict=True)] | None = None
    schedule: Literal["now", "greenest"] = "now"
    deadline_hours: Annotated[float, Field(ge=1, le=10_000)] | None = None
    pause_above: Annotated[float, Field(ge=0, le=5000)] | None = None
    throughput: Annotated[list[float], Field(min_length=2, max_length=64)] | None = None
    replay_start: Annotated[str, BeforeValidator(_as_text)] | None = None
    replay_speed: Annotated[float, Field(gt=0, le=1e6)] = 1.0

    @model_validator(mode="after")
    def _sources(self) -> Self:
        given = [
            name for name in ("region", "g_per_kwh", "trace") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"give either {' or '.join(given)}, not both")
        if self.trace is not None and self.live is not None:
            raise ValueError("give either trace or live, not both")
        if (self.live == "electricitymaps") != (self.zone is not None):
            raise ValueError(
                'zone goes with live = "electricitymaps", such as zone = "DE": give both or neither'
            )
        if self.factors == "direct" and self.trace is None:
            raise ValueError("factors chooses a column of the trace: give a trace, or leave it out")
        if self.embodied is not None and self.embodied_kg_per_device_hour:
            raise ValueError("give either embodied or embodied_kg_per_device_hour, not both")
        return self

    @model_validator(mode="after")
    def _waiting(self) -> Self:
        asked = 'schedule = "greenest"' if self.schedule == "greenest" else "pause_above"
        if self.waits and self.trace is None and self.live is None:
            raise ValueError(
                f"{asked} needs an intensity over time: give a trace, or live, or leave it out"
            )
        if self.waits and self.deadline_hours is None:
            raise ValueError(
                f"{asked} needs deadline_hours, from the begin of the study, so that waiting has "
                "an end"
            )
        if self.schedule == "greenest" and self.pause_above is not None:
            raise ValueError(
                'give either schedule = "greenest" or pause_above: the one looks for the greenest '
                "hours, the other takes what is green enough"
            )
        if self.deadline_hours is not None and not self.waits:
            raise ValueError(
                'deadline_hours says how long to wait: give schedule = "greenest" or pause_above, '
                "or leave it out"
            )
        if self.throughput is not None and self.schedule != "greenest":
            raise ValueError(
                'throughput says how many workers run in which hours: give schedule = "greenest", '
                "or leave it out"
            )
        if self.replay_start is not None and self.trace is None:
            raise ValueError("replay_start plays a trace as if it were now: give a trace")
        if self.replay_speed != 1 and self.replay_start is None:
            raise ValueError("replay_speed needs replay_start, an instant within the trace")
        return self

    @field_validator("throughput")
    @classmethod
    def _rising_ever_less(cls, value: list[float] | None) -> list[float] | None:
        if value is not None:
            try:
                gains(value)
            except UsageError as error:
                raise ValueError(str(error).removeprefix("throughput: ")) from error
        return value

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                region_intensity(value)
            except UsageError as error:
                raise ValueError(str(error).removeprefix("region: ").rstrip(".")) from error
        return value

    @field_validator("replay_start")
    @classmethod
    def _an_instant(cls, value: str | None) -> str | None:
        if value is None:
            return value
        try:
            zoned = datetime.fromisoformat(value).tzinfo is not None
        except ValueError:
            zoned = False
        if not zoned:
            raise ValueError("give an instant with its time zone, such as 2026-03-01T00:00:00Z")
        return value

    @property
    def waits(self) -> bool:
        """Whether the search may wait for cleaner electricity."""
        return self.schedule == "greenest" or self.pause_above is not None

    def clock(self, created_at: float) -> Clock:
        """The grid's time in a study.

        Args:
            created_at: When the study began, in Unix seconds.
        """
        if self.replay_start is None:
            return Clock()
        start = datetime.fromisoformat(self.replay_start).timestamp()
        return Clock(created_at, start, self.replay_speed)

    def read(self) -> tuple[Trace, TraceFacts] | None:
        """The trace, and what the study keeps of it; ``None`` where it has none.

        Raises:
            DataError: It cannot be read, does not hold the replay's start, or is shorter than the
                deadline.
        """
        if self.trace is None:
            return None
        path = Path(self.trace)
        trace = read_trace(path, factors=self.factors)
        if self.replay_start is not None:
            start = datetime.fromisoformat(self.replay_start)
            if not trace.start <= start < trace.end:
                raise DataError(
                    f"[carbon] replay_start: must lie within the trace, from "
                    f"{trace.start.isoformat()} to {trace.end.isoformat()}, got {self.replay_start}"
                )
        best = None
        if self.schedule == "greenest" and self.deadline_hours is not None:
            best = usual_best(trace, USUAL_JOB_SECONDS, SECONDS_PER_HOUR * self.deadline_hours)
        return trace, TraceFacts(
            mean=trace.mean(),
            usual_best=best,
            region=trace.region,
            source=f"{path.name} ({trace.kind}, {trace.basis})",
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )

    def model(self, trace: TraceFacts | None = None) -> CarbonModel:
        """The section as a carbon model; it holds the same for whoever runs when.

        With a trace predictions count with its mean, and so does training a model. Where the study
        waits for the greenest hours, training counts with what an hour of work gets on average that
        waits for its best window within the deadline, over all hours of the trace at which it
        could be handed in.

        Args:
            trace: What the study keeps of its trace; needed where it has one.
        """
        device = None if self.embodied is None else embodied_default(self.embodied)
        training = None
        if trace is not None and trace.usual_best is not None:
            hours = f"best hour within {self.deadline_hours:g} h, on average"
            training = Intensity(trace.usual_best, trace.region, f"{trace.source}: {hours}")
        return CarbonModel(
            self._intensity(trace),
            self.pue,
            device.kg_per_device_hour if device else self.embodied_kg_per_device_hour,
            self.device_threads or os.cpu_count() or 1,
            training,
            device.component if device else "cpu",
        )

    def require(self, facts: StudyFacts) -> None:
        """Checks that a new study with these facts can be charged as the section says.

        Raises:
            UsageError: It cannot.
        """
        objection = embodied_objection(self.embodied, facts)
        if objection is not None:
            raise UsageError(f"[carbon] {objection}")

    def study_model(self, facts: StudyFacts) -> CarbonModel:
        """The same for one study, wherever it is looked at.

        CPU time is a share of the machine that the study began on, and of a GPU that it does not
        use it has no share.
        """
        model = self.model(facts.trace)
        used = embodied_objection(self.embodied, facts) is None
        return replace(
            model,
            device_threads=self.device_threads or facts.threads,
            embodied_kg_per_device_hour=model.embodied_kg_per_device_hour if used else 0.0,
        )

    def _intensity(self, trace: TraceFacts | None) -> Intensity:
        if self.trace is not None:
            if trace is None:
                raise ValueError("a study with a trace is scored by what it keeps of the trace")
            return Intensity(trace.mean, trace.region, f"mean of {trace.source}")
        if self.g_per_kwh is not None:
            return Intensity(self.g_per_kwh, "as stated", "stated in the study file")
        return world_average() if self.region is None else region_intensity(self.region)

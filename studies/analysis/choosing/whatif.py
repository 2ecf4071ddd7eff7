"""What if it ran elsewhere, or were used more often: the same readings, scored anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from greenfront.errors import UsageError
from greenfront.objectives.carbon.embodied import embodied_default
from greenfront.objectives.carbon.footprint import CarbonModel
from greenfront.objectives.carbon.intensity import Intensity, fuel_intensity, region_intensity
from greenfront.objectives.carbon.trace_files import Factors, read_trace
from greenfront.objectives.scores import Scoring, Tolerance
from greenfront.studies.analysis.payback.operation import Year, a_year
from greenfront.studies.analysis.ranking.front import NAMES, ScoredTrial
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.wording import named_trials
from greenfront.studies.config.carbon import CarbonSection, embodied_objection
from greenfront.studies.config.sections import ObjectivesSection, OperationSection

__all__ = ["Comparison", "Scenario"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Settings to score a study with; what is ``None`` stays as the study has it.

    Attributes:
        region: See :func:`~greenfront.objectives.carbon.intensity.region_intensity`.
        g_per_kwh: Carbon intensity of the electricity.
        trace: File with an intensity over time, of which the mean counts.
        renewable_share: Share of the electricity that wind and sun replace, 0 to 1: a scenario,
            not what any grid delivers.
        pue: Power usage effectiveness of the building.
        predictions: How often the model will be used.
        embodied: Kind of device, whose making is spread over its life.
        embodied_kg_per_device_hour: The same as a number.
        max_drop: How much less accurate than the best model one may be.
        euro_per_kwh: Price of the electricity.

    Raises:
        UsageError: A value is out of its range, or two say the same thing.
    """

    region: str | None = None
    g_per_kwh: float | None = None
    trace: Path | None = None
    renewable_share: float | None = None
    pue: float | None = None
    predictions: float | None = None
    embodied: str | None = None
    embodied_kg_per_device_hour: float | None = None
    max_drop: float | None = None
    euro_per_kwh: float | None = None

    def __post_init__(self) -> None:
        for names in (
            ("region", "g_per_kwh", "trace"),
            ("embodied", "embodied_kg_per_device_hour"),
        ):
            given = [name for name in names if getattr(self, name) is not None]
            if len(given) > 1:
                raise UsageError(f"{' and '.join(given)}: give one of them, not both")
        share = self.renewable_share
        if share is not None and not 0 <= share <= 1:
            raise UsageError(f"renewable_share: must be from 0 to 1, got {share:g}; 0.5 is half")
        if self.max_drop is not None and not 0 <= self.max_drop < 1:
            raise UsageError(
                f"max_drop: must be a difference of accuracies from 0 to below 1, got "
                f"{self.max_drop:g}; 0.01 is one point"
            )
        for key in ("g_per_kwh", "pue", "embodied_kg_per_device_hour"):
            _check(CarbonSection, key, getattr(self, key))
        _check(ObjectivesSection, "predictions", self.predictions)
        _check(OperationSection, "euro_per_kwh", self.euro_per_kwh)

    @property
    def tolerance(self) -> Tolerance | None:
        """How much less accurate than the best model one may be; ``None``: as the study says."""
        return None if self.max_drop is None else Tolerance(self.max_drop)

    def operation(self, study: StudyView) -> OperationSection:
        """The working life of a model, under these settings."""
        stated = study.file.operation
        if self.euro_per_kwh is None:
            return stated
        return stated.model_copy(update={"euro_per_kwh": self.euro_per_kwh})

    def applied(self, study: StudyView) -> Scoring:
        """A study's scoring with these settings instead.

        Raises:
            UsageError: A value is out of its range, a region or device is unknown, or the study
                does not use the device.
            DataError: The trace cannot be read.
        """
        scoring = study.scoring
        carbon = scoring.carbon
        objection = embodied_objection(self.embodied, study.facts)
        if objection is not None:
            raise UsageError(objection)
        made, component = carbon.embodied_kg_per_device_hour, carbon.embodied_component
        if self.embodied is not None:
            device = embodied_default(self.embodied)
            made, component = device.kg_per_device_hour, device.component
        elif self.embodied_kg_per_device_hour is not None:
            made, component = self.embodied_kg_per_device_hour, "cpu"
        return Scoring(
            scoring.predictions if self.predictions is None else self.predictions,
            replace(
                carbon,
                intensity=self._mixed(self._intensity(carbon, study.file.carbon.factors)),
                training=self._training(carbon),
                pue=carbon.pue if self.pue is None else self.pue,
                embodied_kg_per_device_hour=made,
                embodied_component=component,
            ),
        )

    def _intensity(self, carbon: CarbonModel, factors: Factors) -> Intensity:
        if self.region is not None:
            return region_intensity(self.region)
        if self.g_per_kwh is not None:
            return Intensity(self.g_per_kwh, "as stated", "stated for this scenario")
        if self.trace is not None:
            trace = read_trace(self.trace, factors=factors)
            return Intensity(trace.mean(), trace.region, f"mean of {trace.source}")
        return carbon.intensity

    def _training(self, carbon: CarbonModel) -> Intensity | None:
        """Of training a model, which waits for clean hours only where the study itself does."""
        elsewhere = (self.region, self.g_per_kwh, self.trace) != (None, None, None)
        return None if carbon.training is None or elsewhere else self._mixed(carbon.training)

    def _mixed(self, grid: Intensity) -> Intensity:
        share = self.renewable_share
        if share is None:
            return grid
        renewable = (fuel_intensity("wind") + fuel_intensity("solar")) / 2
        return Intensity(
            (1 - share) * grid.g_per_kwh + share * renewable,
            grid.region,
            f"scenario: {share:.0%} of wind and sun at {renewable:g} g/kWh, the rest {grid.source}",
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A study as it was scored, and under a scenario.

    Attributes:
        before: As it is.
        after: Under the scenario.
        operation: The working life of a model under it; the study's own if left out.
    """

    before: StudyView
    after: StudyView
    operation: OperationSection | None = None

    @property
    def year(self) -> Year | None:
        """A year of the greenest model under the scenario; ``None`` if there is none."""
        greenest = self.after.front.greenest
        if greenest is None:
            return None
        life = self.operation or self.before.file.operation
        return a_year(greenest.outcome, self.after.scoring, life)

    def flips(self) -> list[str]:
        """Which choices change, in words; empty where none does."""
        return list(self._flips())

    def _flips(self) -> Iterator[str]:
        old, new = self.before.front, self.after.front
        for name in NAMES:
            was, now = old.named[name], new.named[name]
            if was and now and was.trial != now.trial:
                yield f"the {name} model is trial {now.trial} instead of trial {was.trial}"
        ranks = {row.trial: row for row in old.rows}
        later = {row.trial: row for row in new.rows}
        joined, left = sorted(later.keys() - ranks.keys()), sorted(ranks.keys() - later.keys())
        if joined:
            yield f"{named_trials(joined)} joined the front"
        if left:
            yield f"{named_trials(left)} left the front"
        kept_before = [row.trial for row in old.rows if row.trial in later]
        kept_after = [row.trial for row in new.rows if row.trial in ranks]
        if kept_before != kept_after:
            yield "the order of the others changes"

    def rank_before(self, row: ScoredTrial) -> int | None:
        """Rank of a trial before; ``None`` where it was not on the front."""
        return next((r.rank for r in self.before.front.rows if r.trial == row.trial), None)

    def to_json(self) -> dict[str, Any]:
        """The object of ``greenfront whatif --json``."""
        carbon, life = self.after.scoring.carbon, self.operation or self.before.file.operation
        return {
            "study": self.before.name,
            "scenario": {
                "predictions": self.after.scoring.predictions,
                "g_per_kwh": carbon.intensity.g_per_kwh,
                "making_g_per_kwh": (carbon.training or carbon.intensity).g_per_kwh,
                "region": carbon.intensity.region,
                "source": carbon.intensity.source,
                "pue": carbon.pue,
                "embodied_kg_per_device_hour": carbon.embodied_kg_per_device_hour,
                "max_drop": self.after.front.tolerance.max_drop,
                "years": life.years,
                "euro_per_kwh": life.euro_per_kwh,
            },
            "a_year": None if self.year is None else asdict(self.year),
            "flips": self.flips(),
            **self.after.break_even.to_json(self.after.scoring.predictions),
        }


def _check(table: type[BaseModel], key: str, value: float | None) -> None:
    """Raises ``UsageError`` where a number breaks the rule that it has in a study file."""
    if value is None:
        return
    try:
        table.model_validate({key: value})
    except ValidationError as error:
        rule = error.errors()[0]["msg"].replace("Input should", "must")
        raise UsageError(
            f"{key}: {rule}, as in a study file, got {value:g}; correct it, or leave it out"
        ) from error

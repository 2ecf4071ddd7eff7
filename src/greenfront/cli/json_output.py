"""What ``--json`` prints: the same facts as the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenfront.objectives.codec import to_json
from greenfront.studies.analysis.search_cost.early_stops import early_stops
from greenfront.studies.analysis.search_cost.forecast import forecast_json

if TYPE_CHECKING:
    from greenfront.search.optimize import SearchResult
    from greenfront.search.session import PeakMemory
    from greenfront.studies.analysis.choosing.whatif import Comparison
    from greenfront.studies.analysis.history.targets import Goal
    from greenfront.studies.analysis.view import StudyView

__all__ = ["front_json", "run_json", "whatif_json"]


def front_json(view: StudyView) -> dict[str, Any]:
    """The object of ``greenfront front --json``."""
    told = view.front.to_json()
    rows = told.pop("rows")
    kwh, low_kwh, high_kwh = view.spent.shown_kwh
    return {
        **told,
        "predictions": view.scoring.predictions,
        "trials": dict(view.counts),
        "spent_kwh": kwh,
        "spent_low_kwh": low_kwh,
        "spent_high_kwh": high_kwh,
        "spent_co2_kg": view.spent.co2_kg,
        "kind": view.kind,
        "machines": list(view.machines),
        "machine": view.machine,
        "no_network_needed": None if view.no_network is None else view.no_network.model.trial,
        "leaks": list(view.facts.task.leaks),
        "hypervolume": view.hypervolume,
        **view.break_even.to_json(view.scoring.predictions),
        "baseline": None if view.baseline is None else view.baseline.to_json(view.metric),
        "targets": None if view.goal is None else _targets(view, view.goal),
        "follow_ups": to_json(view.links),
        "forecast": forecast_json(view),
        "warm_start": None if view.facts.warm is None else list(view.facts.warm.studies),
        "stopped_between_epochs": [row.number for row in early_stops(view.trials)],
        "rows": rows,
    }


def _targets(view: StudyView, goal: Goal) -> dict[str, Any]:
    return {
        "least_score": goal.least,
        "energy_kwh": goal.limits.get("energy"),
        "latency_seconds": goal.limits.get("latency"),
        "size_bytes": goal.limits.get("size"),
        "reached_by": [row.trial for row in view.on_target],
    }


def run_json(view: StudyView, result: SearchResult, peak: PeakMemory) -> dict[str, Any]:
    """The object of ``greenfront run --json`` and ``greenfront resume --json``."""
    kwh, low_kwh, high_kwh = result.spent.shown_kwh
    front = front_json(view)
    return {
        "reason": result.reason,
        "kind": front["kind"],
        "spent_kwh": kwh,
        "spent_low_kwh": low_kwh,
        "spent_high_kwh": high_kwh,
        "spent_co2_kg": result.spent.co2_kg,
        "predictions": front["predictions"],
        "best": None if view.best is None else view.best.trial,
        "baseline": front["baseline"],
        **view.break_even.to_json(view.scoring.predictions),
        "peak_memory_bytes": to_json(peak),
        "front": front,
    }


def whatif_json(found: Comparison) -> dict[str, Any]:
    """The object of ``greenfront whatif --json``."""
    return {
        **found.to_json(),
        "before": front_json(found.before),
        "after": front_json(found.after),
    }

"""What ``--json`` prints: the same facts as the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenfront.studies.report.wording import kind_of_readings

if TYPE_CHECKING:
    from greenfront.search.optimize import SearchResult
    from greenfront.search.session import PeakMemory
    from greenfront.studies.analysis.view import StudyView
    from greenfront.studies.analysis.whatif import Comparison
    from greenfront.studies.store.ledger import Spent

__all__ = ["front_json", "run_json", "spent_json", "whatif_json"]


def front_json(view: StudyView, predictions: float | None = None) -> dict[str, Any]:
    """The object of ``greenfront front --json``.

    Args:
        view: The study.
        predictions: That its scores count; by default those that it is made for.
    """
    told = view.front.to_json()
    rows = told.pop("rows")
    return {
        **told,
        "predictions": view.file.objectives.predictions if predictions is None else predictions,
        "kind": kind_of_readings(view),
        "break_even_predictions": view.break_even_predictions,
        "baseline": None if view.baseline is None else view.baseline.to_json(),
        "rows": rows,
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
        "best": None if view.front.best is None else view.front.best.trial,
        "baseline": front["baseline"],
        "break_even_predictions": front["break_even_predictions"],
        "peak_memory_bytes": peak.to_json(),
        "front": front,
    }


def spent_json(total: Spent, kind: str) -> dict[str, Any]:
    """A total with how its joules were come by."""
    return {**total.to_json(), "kind": kind}


def whatif_json(found: Comparison) -> dict[str, Any]:
    """The object of ``greenfront whatif --json``."""
    return {
        **found.to_json(),
        "before": front_json(found.before),
        "after": front_json(found.after, found.scoring.predictions),
    }

"""Words that stand beside a study's numbers, the same wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from greenfront.studies.analysis.quantities import count

__all__ = ["break_even", "kind_of", "kind_of_meters"]


def kind_of(kinds: Iterable[str]) -> str:
    """One word for how joules were come by.

    Args:
        kinds: Of each instrument or reading; what could not be read does not count.

    Returns:
        ``"measured"``, ``"modelled"``, ``"partly modelled"`` or ``"not metered"``.
    """
    found = {"measured", "modelled"}.intersection(kinds)
    if len(found) == 2:
        return "partly modelled"
    return next(iter(found), "not metered")


def kind_of_meters(meters: Iterable[Mapping[str, str]] | None, charged: Iterable[str] = ()) -> str:
    """The same for what a search has spent.

    Args:
        meters: Its pinned instruments; ``None`` for a study that began without any.
        charged: Kinds of the entries of its ledger, where that was looked up.
    """
    return kind_of([*(meter["kind"] for meter in meters or ()), *charged])


def break_even(after: float, predictions: float, kind: str) -> str:
    """Whether the search pays for itself within the predictions that its model is made for.

    Args:
        after: Predictions of the best model until it has saved what the search has spent.
        predictions: That it is made for.
        kind: How the joules behind it were come by.
    """
    if after <= predictions:
        return (
            f"Pays for itself after {count(after)} of the {predictions:,.0f} predictions ({kind})."
        )
    return (
        f"Does not pay for itself: {count(after)} predictions would be needed, it is made for "
        f"{predictions:,.0f} ({kind})."
    )

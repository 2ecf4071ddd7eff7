"""Words that stand beside a study's numbers, the same wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from greenfront.objectives.metering.pinned import metered_machines
from greenfront.studies.analysis.words.quantities import count, energy

if TYPE_CHECKING:  # a list of studies has use for one word alone
    from greenfront.objectives.metrics import Metric
    from greenfront.objectives.tasks.task import TaskFacts
    from greenfront.studies.analysis.payback.break_even import BreakEven, Verdict
    from greenfront.studies.analysis.payback.no_network import NoNetwork

__all__ = [
    "SEARCH_COUNTS",
    "break_even_sentence",
    "kind_of_readings",
    "leak_sentence",
    "named_trials",
    "no_network_sentence",
    "sentence",
    "unlike_machines_sentence",
]

_UNTOLD = "Whether it pays for itself cannot be told"
_WITHOUT_NUMBER: Mapping[Verdict, str] = {
    "never": "Never pays for itself: the greenest model needs no less energy than the baseline",
    "best is baseline": "Does not pay for itself: the greenest model is the baseline itself",
    "spending unknown": f"{_UNTOLD}: what the search has spent is unknown",
    "inference unknown": (
        f"{_UNTOLD}: the energy of a prediction is not known for both the greenest model and "
        "the baseline"
    ),
    "no eligible model": f"{_UNTOLD}: no eligible model yet",
    "no baseline": f"{_UNTOLD}: the untouched baseline has not finished",
}


def kind_of_readings(meters: Iterable[Mapping[str, str]] | None, kinds: Iterable[str] = ()) -> str:
    """One word for how a study's joules were come by, for use beside the numbers.

    Args:
        meters: Its pinned instruments; ``None`` for a study that began without any.
        kinds: Of its readings or ledger entries; those that are unavailable do not count.

    Returns:
        ``"measured"``, ``"modelled"``, ``"partly modelled"`` or ``"not metered"``.
    """
    told = {*(meter["kind"] for meter in meters or ()), *kinds}
    found = told & {"measured", "modelled"}
    return "partly modelled" if len(found) == 2 else next(iter(found), "not metered")


def named_trials(numbers: Sequence[int]) -> str:
    """Trials by their numbers, such as ``"trial 3"`` or ``"trials 3, 7"``."""
    return f"trial{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))}"


def sentence(remark: str) -> str:
    """A remark as it is stored, with its capital and its full stop.

    A name before a colon stays as it is: ``cnn: …`` is that family.
    """
    name, colon, _ = remark.partition(":")
    begins = remark[0] if colon and " " not in name else remark[0].upper()
    return f"{begins}{remark[1:]}{'' if remark.endswith(('.', '?', '!')) else '.'}"


SEARCH_COUNTS = (
    "All that was spent to find the model counts, also by tune; exports do not, since the baseline "
    "would take one, too."
)
"""What a search has to pay back."""


def break_even_sentence(found: BreakEven, made_for: float, kind: str) -> str:
    """Whether the search pays for itself within the predictions that its model is made for.

    Args:
        found: When it does, or why that has no answer.
        made_for: Predictions that the model is made for.
        kind: Of the readings behind it.
    """
    after = found.predictions
    if after is None:
        return f"{_WITHOUT_NUMBER[found.verdict]}."
    if found.within(made_for):
        return f"Pays for itself after {count(after)} of the {made_for:,.0f} predictions ({kind})."
    return (
        f"Does not pay for itself: {count(after)} predictions would be needed, it is made for "
        f"{made_for:,.0f} ({kind})."
    )


def no_network_sentence(found: NoNetwork, made_for: float, kind: str, metric: Metric) -> str:
    """That a study needs no network, with the figures that say so.

    Args:
        found: The model that is enough, and the networks beside it.
        made_for: Predictions that the model is made for.
        kind: Of the readings behind it.
        metric: What models are judged by.
    """
    model, best, leanest = found.model, found.most_accurate, found.leanest
    title = "accuracy" if metric.name == "accuracy" else metric.title
    told = (
        f"You do not need a network here: {model.candidate.architecture.family} (trial "
        f"{model.trial}) reaches {title} {metric.text(model.score)}, the most accurate network "
        f"(trial {best.trial}) {metric.text(best.score)}"
    )
    whole = f"making it and {made_for:,.0f} predictions take {energy(model.energy_kwh)} ({kind})"
    if leanest is None:
        return f"{told}; {whole}, and no network that was tried is accurate enough."
    return (
        f"{told}; {whole}, with the leanest network that is accurate enough (trial "
        f"{leanest.trial}) {energy(leanest.energy_kwh)}."
    )


def leak_sentence(task: TaskFacts) -> str | None:
    """That a feature gives the answer away, so that scores may be worth nothing.

    Args:
        task: Of the study's data.

    Returns:
        ``None`` where none does.
    """
    names = task.leaks
    if not names:
        return None
    one = len(names) == 1
    return (
        f"{'Column' if one else 'Columns'} {', '.join(map(repr, names))} alone "
        f"{'predicts' if one else 'each predict'} the target: if "
        f"{'it is' if one else 'they are'} not known before the answer is, these scores are worth "
        "nothing, and [task] drop_columns leaves it out."
    )


def unlike_machines_sentence(meters: Sequence[Mapping[str, str]]) -> str | None:
    """What a reader must know of a study on unlike machines; ``None`` for any other one.

    Args:
        meters: Its pinned instruments.
    """
    known = metered_machines(meters)
    if len(known) < 2:
        return None
    return (
        f"Energy was metered on {len(known)} unlike processors ({', '.join(known)}): joules and "
        "seconds of trials on different ones cannot be compared."
    )

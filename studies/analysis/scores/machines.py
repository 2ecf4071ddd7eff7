"""A study as one machine reads it: joules of unlike processors never meet in one median."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from greenfront.errors import UsageError
from greenfront.objectives.metering.pinned import metered_machines
from greenfront.objectives.outcome import GraphReading, Outcome, Repeat
from greenfront.studies.analysis.scores.medians import graph_of
from greenfront.studies.store.trials import NetworkTrial

__all__ = ["EACH", "Repeats", "as_read_on", "chosen_machine", "machines_of"]

EACH = "each"
"""In place of a machine's name: each model as the machine of its own trial read it."""

Repeats = Mapping[str, Sequence[Repeat]]
"""From a candidate's key to its further measurements."""


def machines_of(
    trials: Iterable[NetworkTrial], repeats: Repeats, pinned: Sequence[Mapping[str, str]]
) -> tuple[str, ...]:
    """The processors on which predictions were read, those that the study is pinned to first."""
    found = [trial.outcome.machine for trial in trials if trial.outcome is not None]
    found += [repeat.machine for again in repeats.values() for repeat in again]
    return tuple(dict.fromkeys(filter(None, (*metered_machines(pinned), *found))))


def chosen_machine(name: str, known: Sequence[str]) -> str:
    """The one that a user means.

    Args:
        name: Of a processor, or enough of it to know it by; or :data:`EACH`.
        known: Those there are.

    Raises:
        UsageError: None is called so, or several are.
    """
    if name == EACH or name in known:
        return name
    found = [machine for machine in known if name and name.lower() in machine.lower()]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"--machine: must be one on which predictions were read ({', '.join(known) or 'unknown'}), "
        f"enough of its name, or {EACH!r}, got {name!r}"
    )


def as_read_on(
    machine: str | None,
    trials: Sequence[NetworkTrial],
    repeats: Repeats,
    pinned: Sequence[Mapping[str, str]],
) -> tuple[list[NetworkTrial], dict[str, tuple[Repeat, ...]]]:
    """Trials and repeats with the readings of one machine alone.

    What a prediction and its preprocessing take is that machine's; making a model was metered where
    it was made, and stays.

    Args:
        machine: Model of its processor; ``None``: each trial's own, on which it ran.
        trials: As they were stored.
        repeats: Further measurements, by candidate.
        pinned: The study's instruments. In a study of one machine, readings that name none are of
            that one.

    Returns:
        Trials of which the machine has read nothing have no values: they cannot be ranked.
    """
    known = metered_machines(pinned)
    only = known[0] if len(known) == 1 else ""
    kept: dict[str, tuple[Repeat, ...]] = {}
    graphs: defaultdict[str, list[Repeat]] = defaultdict(list)
    elsewhere: dict[int, list[Repeat]] = {}
    for trial in trials:
        if trial.values is None or trial.outcome is None:
            continue
        own = trial.outcome.machine or only
        wanted = own if machine is None else machine
        again = repeats.get(trial.key, ())
        kept[trial.key] = tuple(one for one in again if (one.machine or own) == wanted)
        if own != wanted:  # all that execute one graph share its readings
            elsewhere[trial.number] = graphs[graph_of(trial.outcome, trial.key)]
            elsewhere[trial.number].extend(kept[trial.key])

    def read(trial: NetworkTrial) -> NetworkTrial:
        if trial.outcome is None or trial.number not in elsewhere:
            return trial
        outcome = _reread(trial.outcome, elsewhere[trial.number])
        return replace(trial, values=None) if outcome is None else replace(trial, outcome=outcome)

    return list(map(read, trials)), {key: again for key, again in kept.items() if again}


def _reread(outcome: Outcome, again: Sequence[Repeat]) -> Outcome | None:
    """An outcome with another machine's readings; ``None`` where any that counts is missing."""
    if not again:
        return None
    preprocessing = None
    if outcome.preprocessing is not None:  # else the study does not count it
        preprocessing = next((one.preprocessing for one in again if one.preprocessing), None)
        if preprocessing is None:
            return None
    readings = tuple(
        GraphReading(
            one.id or f"{one.machine}/{place}",
            one.inference,
            one.latency_seconds,
            one.spread,
            one.machine,
        )
        for place, one in enumerate(again)
    )
    return replace(
        outcome,
        inference=readings[0].inference,
        latency_seconds=readings[0].latency_seconds,
        inference_spread=readings[0].spread,
        batched=next((one.batched for one in again if one.batched), None),
        measured=readings,
        preprocessing=preprocessing,
    )

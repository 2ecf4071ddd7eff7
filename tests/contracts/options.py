"""Options of a search of networks from the keys of a study file, whichever table they stand in."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from greenfront.spaces.candidate import Candidate
from greenfront.spaces.options import NetworkOptions, SpaceTable, TrainingTable
from greenfront.spaces.techniques.technique import Scope
from greenfront.spaces.techniques.training import tuning_epochs

__all__ = ["changed_options", "network_options", "untouched"]

_SCOPE = {field.name for field in fields(Scope)}


def network_options(*families: str, **keys: Any) -> NetworkOptions:
    return changed_options(NetworkOptions(Scope(families)), **keys)


def changed_options(options: NetworkOptions, **keys: Any) -> NetworkOptions:
    def told(known: Any) -> dict[str, Any]:
        return {key: keys[key] for key in keys if key in known}

    # Of mixed precision both say something: here it is what the file says that is meant.
    training = TrainingTable(**{**dict(options.training), **told(TrainingTable.model_fields)})
    space = SpaceTable(**{**dict(options.space), **told(SpaceTable.model_fields)})
    scope = replace(options.scope, **told(_SCOPE - set(TrainingTable.model_fields) | {"device"}))
    scope = replace(scope, fine_tune_epochs=tuning_epochs(training, scope))
    return NetworkOptions(scope, space, training)


def untouched(candidate: Candidate) -> Candidate:
    """The same network without any technique."""
    return Candidate(candidate.architecture, candidate.training, placement=candidate.placement)

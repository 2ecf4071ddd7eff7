"""NePS's PriMO as a rival, where the package ``neural-pipeline-search`` is installed.

It wants botorch 0.12, gpytorch 1.13 and linear-operator 0.5.3: ``pip install --target`` into a
folder that only this benchmark has on its ``PYTHONPATH`` keeps those apart. OptunaHub's AutoSampler
has no place here, since it is loaded from GitHub when it is run.
"""

from __future__ import annotations

import random
from importlib.util import find_spec

import numpy as np
import torch
from efficiency_ledger import Ledger
from efficiency_tables import EcNas

__all__ = ["INSTALLED", "search_primo"]

INSTALLED = find_spec("neps") is not None
KWH = 16.0
"""It may spend twice what MO-ASHA needs: each of its later decisions takes a second of CPU."""


def search_primo(table: EcNas, seed: int, ledger: Ledger, target: float) -> None:
    """PriMO with its defaults and without priors, as nobody has stated any.

    A multi-objective ASHA until as much was trained as there are knobs, then a Gaussian process on
    one random weighting of the objectives. Promotions go on where the training was paused; what it
    proposes twice is charged twice.

    Source: ``neps.optimizers.algorithms.primo`` of neural-pipeline-search 0.17.
    """
    from neps.optimizers.algorithms import primo
    from neps.optimizers.ask_and_tell import AskAndTell
    from neps.space import SearchSpace
    from neps.space.parameters import HPOCategorical, HPOInteger

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    space = SearchSpace(
        {
            **{knob.name: HPOCategorical(list(knob.values())) for knob in table.space.knobs},
            "epochs": HPOInteger(table.epochs[0], table.epochs[-1], is_fidelity=True),
        }
    )
    search, spent = AskAndTell(primo(space, prior_centers={})), dict[str, float]()
    while ledger.spent < KWH and ledger.volume < target:
        trial = search.ask()
        point = dict(trial.config)
        rung = table.epochs.index(point.pop("epochs"))
        values, paused = table.curve(point)[rung], trial.metadata.previous_trial_id
        ledger.charge(float(values[1]) - (0.0 if paused is None else spent[paused]))
        spent[trial.id] = float(values[1])
        if rung == len(table.epochs) - 1:
            ledger.add(values)
        search.tell(trial, values.tolist())

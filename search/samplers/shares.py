"""How the trials of a study are shared between references, script and sampler."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from greenfront.objectives.rungs import RUNGS
from greenfront.search.samplers.named import default_population
from greenfront.studies.analysis.words.quantities import counted
from greenfront.studies.config.budget import Budget

__all__ = ["TrialShares"]

MOST_SCRIPTED = 3
"""One trial in so many, at most, is of the script: the others follow from what was found."""


@dataclass(frozen=True, slots=True)
class TrialShares:
    """Whose idea the trials of a study are.

    Attributes:
        trials: In all; ``None`` without such a budget.
        references: Fitted models beside the space, tried first.
        baselines: Untouched networks, the beginning of the script.
        script: Points of the whole script.
        sampler: Its name.
        population: Parents that a genetic sampler keeps; ``None``: by the number of trials.
        warm: Candidates of earlier studies, which follow the baselines.
    """

    trials: int | None
    references: int
    baselines: int
    script: int
    sampler: str
    population: int | None = None
    warm: int = 0

    @property
    def scripted(self) -> int:
        """Trials of the script: its baselines, and the rest of a third of all trials.

        A race is given the baselines and what earlier studies found; the rest it begins itself,
        see :attr:`begun`.

        What does not fit into the third is left out until the budget is raised: once the sampler
        knows what has paid here, its own proposals are better than those made for any data.
        """
        trials = Budget().trials if self.trials is None else self.trials
        third = self.script if trials is None else trials // MOST_SCRIPTED
        due = self.baselines + self.warm if self.sampler == "green" else self.script
        return min(max(third, self.baselines), due, self.script)

    @property
    def begun(self) -> int:
        """Points of the rest of the script that a race begins, each at its lowest rung.

        At least one; together they are as much effort as is left of a third of all trials.
        """
        rest = self.script - self.scripted
        if self.trials is None:
            return rest
        left = self.trials // MOST_SCRIPTED - self.scripted
        return min(rest, max(1, left * RUNGS[-1] // RUNGS[0]))

    @property
    def sampled(self) -> int | None:
        """Trials that are left to the sampler; ``None`` without a number of trials."""
        if self.trials is None:
            return None
        return max(self.trials - self.references - self.scripted, 0)

    @property
    def generation(self) -> int:
        """Trials that a genetic sampler needs before it can choose among parents."""
        return self.population or default_population(self.trials)

    @property
    def is_short(self) -> bool:
        """Whether the budget leaves the sampler less than a generation, if it breeds any."""
        return (
            self.sampler != "green" and self.sampled is not None and self.sampled < self.generation
        )

    @property
    def sentence(self) -> str:
        """The shares in words."""
        warm = min(self.warm, self.scripted - self.baselines)
        techniques = self.scripted - self.baselines - warm
        script = f"{self.scripted} set beforehand ({counted(self.baselines, 'untouched baseline')}"
        script += f", {warm} that earlier studies found" if warm else ""
        script += f", {counted(techniques, 'technique')} alone or together)" if techniques else ")"
        first = [counted(self.references, "reference")] if self.references else []
        first.append(script)
        if self.sampled is None:
            return f"first {' and '.join(first)}, then the sampler {self.sampler}"
        parts = ", ".join([*first, f"{self.sampled} of the sampler {self.sampler}"])
        told = f"{counted(self.trials or 0, 'trial')}: {parts}"
        if self.sampler == "green":
            told += " (what is given up at a rung of its training counts by its share)"
        return told

    @property
    def warning(self) -> str | None:
        """That a budget leaves the sampler less than a generation; ``None`` if it does not."""
        if self.trials is None or not self.is_short:
            return None
        raised = (replace(self, trials=trials) for trials in itertools.count(self.trials))
        enough = next(shares.trials for shares in raised if not shares.is_short)
        without = ", or leave the references out with [space] references = false"
        return (
            f"{self.sampled or 'none'} of {counted(self.trials, 'trial')} "
            f"{'is' if self.sampled == 1 else 'are'} left to the sampler, which is less than a "
            f"generation of {self.generation}: raise [budget] trials to {enough}"
            + (without if self.references else "")
        )

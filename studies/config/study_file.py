"""The study file: what a user writes, checked key by key."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from greenfront.errors import StudyFileError
from greenfront.objectives.scores import Scoring
from greenfront.spaces.architectures.registry import architecture, architecture_names
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.importances import importance_objection
from greenfront.spaces.network_space import NetworkOptions, baseline_candidates
from greenfront.spaces.space import stable_hash
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.sections import (
    BudgetSection,
    CarbonSection,
    LimitsSection,
    MeteringSection,
    ObjectivesSection,
    SearchSection,
    Section,
    SpaceSection,
    StudySection,
    TaskSection,
    TrainingSection,
)

__all__ = ["StudyFile"]

CANDIDATE_FORMAT = 3
"""Raised when candidates get other keys: an older study would never find its trials again."""

INT8_PAYS = 0.9
"""Int8 kernels are used where they take at most this share of the time of single precision."""


_NO_TABLE = {"model_type", "model_attributes_type", "dict_type"}

_RULES = {"string_pattern_mismatch": "letters, digits, '.', '-' and '_' only"}
"""Rules whose own words would be those of a programmer."""


class StudyFile(Section):
    """A whole study file; every key but ``[task] kind`` has a default that works."""

    study: StudySection = StudySection()
    task: TaskSection
    space: SpaceSection = SpaceSection()
    training: TrainingSection = TrainingSection()
    objectives: ObjectivesSection = ObjectivesSection()
    carbon: CarbonSection = CarbonSection()
    metering: MeteringSection = MeteringSection()
    search: SearchSection = SearchSection()
    budget: BudgetSection = BudgetSection()
    limits: LimitsSection = LimitsSection()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a TOML file; relative paths of data and traces are taken from the file's folder.

        Raises:
            StudyFileError: It cannot be read, keys break rules, or an importance needs a package
                that is not installed; the message names each.
        """
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise StudyFileError(
                f"study file {str(path)!r} does not exist: make one with greenfront init"
            ) from error
        except OSError as error:
            raise StudyFileError(
                f"study file {str(path)!r} cannot be read: {error.strerror}"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise StudyFileError(f"study file {str(path)!r} is not TOML: {error}") from error
        for name, key in (("task", "path"), ("carbon", "trace")):
            section = data.get(name)
            if isinstance(section, dict) and isinstance(section.get(key), str):
                section[key] = str((path.absolute().parent / section[key]).resolve())
        file = cls._checked(data, str(path))
        for name in file.space.importance:
            objection = importance_objection(name)
            if objection:
                raise StudyFileError(f"{path}: [space] importance: {objection}, or leave it out")
        return file

    @classmethod
    def from_stored(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_json`, for a configuration that a study has kept.

        Raises:
            StudyFileError: It was kept by a version whose keys are unknown here.
        """
        return cls._checked(data, "the stored configuration")

    @classmethod
    def _checked(cls, data: dict[str, Any], where: str) -> Self:
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            lines = dict.fromkeys(_explain(detail, where) for detail in error.errors())
            raise StudyFileError("\n".join(lines)) from error

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        return self.model_dump(mode="json")

    def changed(
        self,
        *,
        trials: int | None = None,
        kwh: float | None = None,
        minutes: float | None = None,
        workers: int | None = None,
        storage: str | None = None,
    ) -> Self:
        """The same study with what the command line says; ``None`` leaves the file's word.

        Raises:
            StudyFileError: A value breaks the rule of its key.
        """
        data = self.to_json()
        for section, key, value in (
            ("budget", "trials", trials),
            ("budget", "kwh", kwh),
            ("budget", "minutes", minutes),
            ("search", "workers", workers),
            ("study", "storage", storage),
        ):
            if value is not None:
                data[section][key] = value
        return self._checked(data, "the command line")

    def identity(self, fingerprint: str, trace_sha256: str | None = None) -> str:
        """Hash of everything that may not change while a study goes on.

        Budgets, limits of time and memory, the numbers of workers and of repeats, the length of a
        measured block, and the places of storage and cache may.

        Args:
            fingerprint: Of the data.
            trace_sha256: Of the carbon trace, where there is one.
        """
        data = self.to_json()
        for section, key in (("study", "storage"), ("study", "cache"), ("search", "workers")):
            del data[section][key]
        del data["budget"], data["limits"]["trial_minutes"], data["limits"]["memory_gb"]
        del data["objectives"]["repeats"], data["metering"]["block_seconds"]
        # The same data in another place are the same data.
        del data["task"]["path"]
        data["carbon"]["trace"] = trace_sha256
        # Scores do not depend on it, only when the search runs does.
        del data["carbon"]["pause_above"]
        return stable_hash([CANDIDATE_FORMAT, data, fingerprint])

    def options(self, facts: StudyFacts) -> NetworkOptions:
        """What the search may choose from, on these data and this machine.

        Raises:
            StudyFileError: A family that was asked for cannot take these inputs, or these inputs
                cannot be augmented as asked.
        """
        training = self.training
        mixed = (
            ([False, True] if facts.mixed_precision else [False])
            if training.mixed_precision == "auto"
            else training.mixed_precision
        )
        return NetworkOptions(
            architectures=tuple(self.families(facts)),
            pruning=self.space.pruning,
            pruning_scopes=tuple(self.space.pruning_scope),
            importances=tuple(self.space.importance),
            gradual=tuple(self.space.gradual),
            sparsity=self.space.sparsity,
            bits=tuple(self.space.bits),
            quantization_aware=tuple(self.space.quantization_aware),
            int8_pays=frozenset(n for n, ratio in facts.int8.items() if ratio <= INT8_PAYS),
            temperature=self.space.temperature,
            distillation_weight=self.space.distillation_weight,
            hidden_weight=self.space.hidden_weight,
            optimizers=tuple(training.optimizer),
            learning_rate=training.learning_rate,
            batch_sizes=tuple(training.batch_size),
            mixed_precision=tuple(mixed),
            patience=tuple(training.patience),
            epochs=training.epochs,
            fine_tune_epochs=training.fine_tune_epochs,
            augmentations=self._augmentations(facts),
            layer_decays=tuple(training.layer_decay),
            compile=training.compile,
            device=facts.device,
        )

    def scoring(self, facts: StudyFacts) -> Scoring:
        """What turns this study's readings into its objectives."""
        return Scoring(self.objectives.predictions, self.carbon.study_model(facts))

    def _augmentations(self, facts: StudyFacts) -> tuple[str, ...]:
        listed = tuple(self.training.augmentation)
        if listed != ("none",) and not facts.task.is_image:
            inputs = "texts" if facts.task.is_text else "tables"
            raise StudyFileError(
                f"[training] augmentation: {', '.join(map(repr, listed))} moves images, but task "
                f"{facts.task.name!r} has {inputs}: leave the key out"
            )
        return listed

    def families(self, facts: StudyFacts) -> Sequence[str]:
        """The families that the search may choose from.

        Raises:
            StudyFileError: One that was asked for cannot take these inputs.
        """
        shape = facts.task.input_shape
        if self.space.architectures is None:
            return [n for n in architecture_names() if architecture(n).objection(shape) is None]
        inputs = "texts" if facts.task.is_text else f"inputs of shape {list(shape)}"
        for name in self.space.architectures:
            objection = architecture(name).objection(shape)
            if objection:
                raise StudyFileError(
                    f"[space] architectures: {name!r} does not fit task {facts.task.name!r} with "
                    f"{inputs}: {objection}; leave it out"
                )
        return self.space.architectures

    def teacher(self, facts: StudyFacts) -> Candidate | None:
        """The network that students learn from: an untouched baseline.

        That of the family named by ``[space] teacher``, else of the last family in the list:
        families are listed from the simplest to the most capable.
        """
        if self.space.temperature is None:
            return None
        baselines = baseline_candidates(self.options(facts))
        name = self.space.teacher
        chosen = [b for b in baselines if name is None or b.architecture.family == name]
        if not chosen:
            raise StudyFileError(
                f"[space] teacher: {name!r} is not among the study's architectures: add it there"
            )
        return chosen[-1]

    def baseline_keys(self, facts: StudyFacts) -> list[str]:
        """Keys of the families' untouched baselines."""
        return [candidate.key for candidate in baseline_candidates(self.options(facts))]


def _explain(detail: ErrorDetails, where: str) -> str:
    """One broken rule in words: file, key, rule, value."""
    place = [
        str(part) for part in detail["loc"] if not str(part).startswith(("function-", "list["))
    ]
    section = f"[{place[0]}]" if place else "the file"
    key = " ".join([section, *place[1:2]])
    given = detail["input"]
    if detail["type"] == "extra_forbidden":
        known = _keys_at(place[:-1])
        near = get_close_matches(place[-1], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{where}: {key}: unknown key: {hint}"
    if detail["type"] == "missing":
        return f"{where}: {key}: is missing: every study needs it"
    if detail["type"] in _NO_TABLE:
        first = next(iter(_keys_at(place)), "its keys")
        return f"{where}: {key}: must be a table: write {section}, then {first} = …, not {given!r}"
    rule = _RULES.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    return f"{where}: {key}: {rule[0].lower()}{rule[1:]}, not {given!r}"


def _keys_at(place: Sequence[str]) -> list[str]:
    if not place:
        return list(StudyFile.model_fields)
    section = StudyFile.model_fields[place[0]].annotation
    return (
        list(section.model_fields)
        if isinstance(section, type) and issubclass(section, BaseModel)
        else []
    )

"""The study file: what a user writes, checked key by key."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from greenfront.errors import DataError, StudyFileError, UsageError
from greenfront.objectives.metering.settings import MeteringSettings
from greenfront.objectives.metrics import Metric, study_metric
from greenfront.objectives.scores import Scoring
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.architectures.estimator import Target
from greenfront.spaces.architectures.registry import (
    architecture,
    architecture_names,
    estimator,
    is_fitted,
)
from greenfront.spaces.architectures.sklearn import references
from greenfront.spaces.candidate import Candidate, later_techniques
from greenfront.spaces.network_space import baseline_candidates, reference_candidate
from greenfront.spaces.options import NetworkOptions, SpaceTable, TrainingTable
from greenfront.spaces.space import stable_hash
from greenfront.spaces.table import Table
from greenfront.spaces.techniques.batch_scaling import batch_scale
from greenfront.spaces.techniques.registry import techniques
from greenfront.spaces.techniques.technique import Scope
from greenfront.spaces.techniques.training import tuning_epochs
from greenfront.studies.config.budget import Budget
from greenfront.studies.config.carbon import CarbonSection
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.messages import explain
from greenfront.studies.config.sections import (
    LimitsSection,
    ObjectivesSection,
    OperationSection,
    SearchSection,
    StudySection,
    TargetsSection,
)
from greenfront.studies.config.toml_text import encoding_of, texts_in

__all__ = ["StudyFile"]

CANDIDATE_FORMAT = 3
"""Raised when candidates get other keys: an older study would never find its trials again."""

CHANGEABLE_SECTIONS = ("budget", "targets", "operation")
"""What changes no trial: when a study ends, what it should reach, what a year costs."""

CHANGEABLE_KEYS: dict[str, tuple[str, ...]] = {
    "study": ("storage", "cache", "cache_gb", "shared_cache", "patience_minutes"),
    # The same data in another place are the same data: they have a fingerprint.
    "task": ("path", "test_path"),
    # References and ensembles stand beside the space: what is searched stays the same.
    "space": ("references", "ensemble"),
    # How accurate is enough changes no trial. A floor did belong to it, and still does.
    "objectives": ("repeats", "max_drop", "folds"),
    # Scores do not depend on them, only when the search runs does.
    "carbon": ("pause_above", "throughput"),
    "metering": ("block_seconds", "machines"),
    # What it begins with, and when it ends, changes no trial.
    "search": ("workers", "stop_below", "stop_hopeless", "warm_start"),
    "limits": ("trial_minutes", "import_seconds", "memory_gb"),
}
"""Keys that may change while a study goes on, by section."""

ADDED_KEYS: tuple[tuple[str, str], ...] = (
    ("task", "split_column"),
    ("task", "background"),
    ("task", "target_kind"),
    ("task", "keep_columns"),
    ("task", "columns"),
    ("task", "encoding"),
    ("objectives", "metric"),
    ("objectives", "positive"),
    ("objectives", "threshold"),
    ("objectives", "search"),
    ("objectives", "weights"),
    ("objectives", "device"),
)
"""Keys that came later: a study that leaves one at its default has the identity of before."""

FORMER_FLOOR = 0.95
"""Default of ``floor`` when there was no ``max_drop``: studies of then know themselves by it."""

DIRTY_G_PER_KWH = 475.0
"""More than the world's average: here each joule that a larger batch saves is taken."""

CLEAR_GAIN, SMALL_GAIN = 0.1, 0.02
"""Least share of a training step's time that doubling its batch has to save, usually and where the
grid is dirty: larger batches mean fewer steps, which is not for nothing."""

INT8_PAYS = 0.9
"""Int8 kernels are used where they take at most this share of the time of single precision."""


class StudyFile(Table):
    """A whole study file; every key but ``[task] kind`` has a default that works."""

    study: StudySection = StudySection()
    task: TaskSettings
    space: SpaceTable = SpaceTable()
    training: TrainingTable = TrainingTable()
    objectives: ObjectivesSection = ObjectivesSection()
    operation: OperationSection = OperationSection()
    carbon: CarbonSection = CarbonSection()
    metering: MeteringSettings = MeteringSettings()
    search: SearchSection = SearchSection()
    budget: Budget = Budget()
    limits: LimitsSection = LimitsSection()
    targets: TargetsSection = TargetsSection()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a TOML file; relative paths of data and traces are taken from the file's folder.

        Raises:
            StudyFileError: It cannot be read, keys break rules, or an importance needs a package
                that is not installed; the message names each.
        """
        try:
            if path.is_fifo():  # reading it could wait for ever
                raise StudyFileError(f"study file {str(path)!r} cannot be read: it is a pipe")
            data = tomllib.loads(path.read_text(encoding=encoding_of(path)))
        except FileNotFoundError as error:
            raise StudyFileError(
                f"study file {str(path)!r} does not exist: make one with greenfront init"
            ) from error
        except OSError as error:
            raise StudyFileError(
                f"study file {str(path)!r} cannot be read: {error.strerror}"
            ) from error
        except (ValueError, RecursionError) as error:  # also of integers too long to be read
            raise StudyFileError(f"study file {str(path)!r} is not TOML: {error}") from error
        for key, text in texts_in(data):
            if "\0" in text:
                raise StudyFileError(f"{path}: {key}: holds a NUL, which no name or path may")
        for name, key in (("task", "path"), ("task", "test_path"), ("carbon", "trace")):
            section = data.get(name)
            if isinstance(section, dict) and isinstance(section.get(key), str):
                section[key] = str((path.absolute().parent / section[key]).resolve())
        file = cls._checked(data, str(path))
        for technique in techniques():
            missing = technique.missing(getattr(file, technique.table))
            if missing is not None:
                raise StudyFileError(f"{path}: [{technique.table}] {missing}, or leave it out")
        return file

    @classmethod
    def from_stored(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_json`, for a configuration that a study has kept.

        Raises:
            StudyFileError: It was kept by a version whose keys are unknown here.
        """
        whole = "cache" in data.get("study", ())  # as studies keep it; the oldest know no defaults
        if whole:
            data = {**data, "study": {"defaults": 1, **data["study"]}}
        return cls._checked(data, "the stored configuration")

    @classmethod
    def _checked(cls, data: dict[str, Any], where: str) -> Self:
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            lines = dict.fromkeys(explain(detail, cls, where) for detail in error.errors())
            raise StudyFileError("\n".join(lines)) from error
        except DataError as error:  # of [task], which checks itself
            raise StudyFileError(f"{where}: {error}") from error

    @model_validator(mode="after")
    def _throughput_of_all_workers(self) -> Self:
        known, workers = self.carbon.throughput, self.search.workers
        if known is not None and len(known) < workers:
            raise ValueError(
                f"[carbon] throughput: must say what 1 to {workers} workers do together, got "
                f"{len(known)} numbers; add the others, or give [search] workers = {len(known)}"
            )
        return self

    @model_validator(mode="after")
    def _one_objective_is_enough(self) -> Self:
        if self.objectives.search == "weighted" and self.search.sampler in ("green", "nsga3"):
            raise ValueError(
                f"[search] sampler: {self.search.sampler!r} needs several objectives, and "
                "[objectives] search = 'weighted' gives it one: take nsga2, tpe, gp or random, or "
                "leave that out"
            )
        return self

    @property
    def throughput(self) -> tuple[float, ...] | None:
        """What 1, 2, … workers of a run do together; ``None`` where it is not elastic."""
        known, workers = self.carbon.throughput, self.search.workers
        return tuple(known[:workers]) if known is not None and workers > 1 else None

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
        warm_start: str | None = None,
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
            ("search", "warm_start", warm_start),
        ):
            if value is not None:
                data[section][key] = value
        return self._checked(data, "the command line")

    def identity(self, fingerprint: str, trace_sha256: str | None = None) -> str:
        """Hash of everything that may not change while a study goes on.

        :data:`CHANGEABLE_SECTIONS` and :data:`CHANGEABLE_KEYS` may.

        Args:
            fingerprint: Of the data.
            trace_sha256: Of the carbon trace, where there is one.
        """
        data = self.to_json()
        for section in CHANGEABLE_SECTIONS:
            del data[section]
        for section, keys in CHANGEABLE_KEYS.items():
            for key in keys:
                del data[section][key]
        if self.objectives.floor is None:
            data["objectives"]["floor"] = FORMER_FLOOR
        data["carbon"]["trace"] = trace_sha256
        for section, key in ADDED_KEYS:
            if data[section][key] == _default(getattr(self, section), key):
                del data[section][key]
        if self.objectives.search == "pareto":
            data["objectives"].pop("weights", None)
        # A study that leaves a technique or a key out is what it was before there was one.
        for technique in later_techniques():
            left_out = technique.options().model_dump(mode="json")
            if left_out.items() <= data[technique.table].items():
                for key in left_out:
                    del data[technique.table][key]
        for technique in techniques():
            left_out = technique.options().model_dump(mode="json")
            for key in technique.later_keys:
                if data[technique.table].get(key) == left_out[key]:
                    del data[technique.table][key]
        if self.study.defaults == 1:
            del data["study"]["defaults"]
        return stable_hash([CANDIDATE_FORMAT, data, fingerprint])

    def options(self, facts: StudyFacts) -> NetworkOptions:
        """What the search may choose from, on these data and this machine.

        Raises:
            StudyFileError: A family that was asked for cannot take these inputs, or these inputs
                cannot be augmented as asked.
        """
        options = NetworkOptions(self._scope(facts), self.space, self.training)
        for technique in techniques():
            objection = technique.objection(options.of(technique), options.scope)
            if objection is not None:
                raise StudyFileError(f"[{technique.table}] {objection}")
        return options

    def _scope(self, facts: StudyFacts) -> Scope:
        task = facts.task
        scope = Scope(
            families=tuple(self.families(facts)),
            device=facts.device,
            measured_on=self.objectives.device,
            mixed_precision=facts.mixed_precision,
            int8_pays=frozenset(n for n, ratio in facts.int8.items() if ratio <= INT8_PAYS),
            task=task.name,
            inputs="images" if task.is_image else "texts" if task.is_text else "tables",
            examples=task.sizes["train"],
            defaults=self.study.defaults,
            regression=task.regression,
            batch_scales=self.batch_scales(facts),
            found=facts.families,
        )
        return replace(scope, fine_tune_epochs=tuning_epochs(self.training, scope))

    def batch_scales(self, facts: StudyFacts) -> dict[str, int]:
        """What batches of each family are multiplied by; see ``[training] adaptive``."""
        if not self.training.adaptive:
            return {}
        dirty = self.carbon.study_model(facts).intensity.g_per_kwh > DIRTY_G_PER_KWH
        gain = SMALL_GAIN if dirty else CLEAR_GAIN
        return {name: batch_scale(told, gain) for name, told in facts.batch_seconds.items()}

    def scoring(self, facts: StudyFacts) -> Scoring:
        """What turns this study's readings into its objectives."""
        return Scoring(self.objectives.predictions, self.carbon.study_model(facts))

    def metric(self, facts: StudyFacts) -> Metric:
        """What this study's models are judged by.

        Raises:
            StudyFileError: It does not fit the target.
        """
        try:
            return study_metric(facts.task, self.objectives.metric, self.objectives.positive)
        except UsageError as error:
            raise StudyFileError(str(error)) from error

    def families(self, facts: StudyFacts) -> Sequence[str]:
        """The families that the search may choose from.

        Raises:
            StudyFileError: One that was asked for cannot take these inputs.
        """
        shape = facts.task.input_shape
        if self.space.architectures is None:
            names = architecture_names(self.study.defaults)
            return [name for name in names if architecture(name).objection(shape) is None]
        inputs = "texts" if facts.task.is_text else f"inputs of shape {list(shape)}"
        for name in self.space.architectures:
            objection = architecture(name).objection(shape)
            if is_fitted(name) and _target(facts) not in estimator(name).targets:
                objection = f"it does not predict {_target(facts)}"
            if objection:
                raise StudyFileError(
                    f"[space] architectures: {name!r} does not fit task {facts.task.name!r} with "
                    f"{inputs}: {objection}; leave it out"
                )
        return self.space.architectures

    def references(self, facts: StudyFacts) -> list[Candidate]:
        """The fitted models that networks are compared with, without those that are searched."""
        wanted = self.space.references
        if not (self.study.defaults > 1 if wanted is None else wanted):
            return []
        searched = self.families(facts)
        names = references(facts.task.input_shape, _target(facts), self.objectives.device)
        return [reference_candidate(name) for name in names if name not in searched]

    def teacher(self, facts: StudyFacts) -> Candidate | None:
        """The network that students learn from: an untouched baseline.

        That of the family named by ``[space] teacher``, else of the last family in the list:
        families are listed from the simplest to the most capable.
        """
        name, options = self.space.teacher, self.options(facts)
        if self.space.temperature is None or not options.scope.networks:
            return None
        if name is not None and is_fitted(name):
            raise StudyFileError(
                f"[space] teacher: {name!r} is fitted, not trained: take one of the networks "
                f"{', '.join(options.scope.networks)}"
            )
        baselines = baseline_candidates(options)
        chosen = [b for b in baselines if name is None or b.architecture.family == name]
        if not chosen:
            raise StudyFileError(
                f"[space] teacher: {name!r} is not among the study's architectures: add it there"
            )
        return chosen[-1]

    def baseline_keys(self, facts: StudyFacts) -> list[str]:
        """Keys of the families' untouched baselines."""
        return [candidate.key for candidate in baseline_candidates(self.options(facts))]


def _target(facts: StudyFacts) -> Target:
    return "numbers" if facts.task.regression else "classes"


def _default(section: Any, key: str) -> Any:
    """The default of a key of a section, a model or a dataclass, as it stands in JSON."""
    if isinstance(section, Table):
        default = type(section).model_fields[key].get_default(call_default_factory=True)
    else:
        default = next(field.default for field in fields(section) if field.name == key)
    return list(default) if isinstance(default, tuple) else default

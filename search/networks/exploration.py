"""The start of a study of networks: a first evaluator loads its data and describes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType

from greenfront.errors import SearchAborted, StudyError, TrialFailed
from greenfront.objectives.context import TrialContext
from greenfront.objectives.metering.instruments import Instruments, require_device
from greenfront.objectives.readings import Component, Reading, total
from greenfront.search.evaluator.launch import EvaluatorSettings
from greenfront.search.evaluator.process import Evaluator
from greenfront.spaces.architectures.architecture import FamilyFacts
from greenfront.spaces.architectures.registry import architecture, is_fitted
from greenfront.spaces.candidate import Candidate
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.own_code import own_code
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger_writer import Charged

__all__ = [
    "Exploration",
    "Prepaid",
    "explore",
    "may_use_gpu",
    "running_evaluator",
    "start_evaluator",
    "tell_teacher",
]

JOB = "greenfront.search.evaluator.trial_job:trial_job"
RESOLUTIONS_A_BLOCK = 20
"""Least length of a metered block in steps of its counter: an error of five percent."""

CARD_BLOCK_SECONDS = 1.0
"""Least length of a metered block where predictions run on a GPU."""


def start_evaluator(
    file: StudyFile, instruments: Instruments, context: TrialContext, cache: Path | None = None
) -> Evaluator:
    """Starts an evaluator of networks for a study.

    Args:
        file: The study.
        instruments: Meter the evaluator.
        context: Charged for its start.
        cache: Folder of its files; by default the study file's.

    Raises:
        UsageError: The data cannot be used.
        TrialFailed: It died.
    """
    cache = cache or Path(file.study.cache)
    on_card = file.objectives.device == "cuda"
    resolution = max(
        m.resolution_seconds for m in instruments.meters if on_card or m.component != "gpu"
    )
    memory = file.limits.memory_gb
    return Evaluator(
        EvaluatorSettings(
            job=JOB,
            settings={
                "task": file.to_json()["task"],
                "cache": str(cache),
                "study": file.study.name,
                "cache_gb": file.study.cache_gb,
                "shared_cache": file.study.shared_cache,
                "instruments": " + ".join(sorted(meter.source for meter in instruments.meters)),
                "seed": file.study.seed,
                "threads": file.study.threads,
                "device": file.training.device,
                "batch": file.objectives.batch,
                "measured_on": file.objectives.device,
                "metric": file.objectives.metric,
                "positive": file.objectives.positive,
                "threshold": file.objectives.threshold,
                "code": sorted(own_code(file)),
                "torch_file": file.objectives.torch_file,
                "block_seconds": max(
                    file.metering.block_seconds,
                    RESOLUTIONS_A_BLOCK * resolution,
                    CARD_BLOCK_SECONDS if on_card else 0.0,
                ),
            },
            log=cache / "logs" / f"{file.study.name}.log",
            threads=file.study.threads,
            memory_bytes=None if memory is None else memory * 2**30,
            import_seconds=file.limits.import_seconds,
            call_seconds=60 * file.limits.trial_minutes,
            pinned=file.search.workers > 1,
        ),
        instruments,
        context,
    )


def tell_teacher(evaluator: Evaluator, teacher: Candidate | None, context: TrialContext) -> None:
    """Tells an evaluator whom students learn from; ``None``: from nobody."""
    told = None if teacher is None else teacher.to_json()
    evaluator.call("teacher", told, context, returns=NoneType)


@contextmanager
def running_evaluator(
    file: StudyFile, facts: StudyFacts, instruments: Instruments, context: TrialContext
) -> Iterator[Evaluator]:
    """An evaluator of a study that has been searched, which is closed in the end.

    Args:
        file: The study.
        facts: Of its data and machine.
        instruments: Meter the evaluator.
        context: Charged for its start and its end.

    Raises:
        UsageError: The data cannot be used any more.
        TrialFailed: It died.
    """
    evaluator = start_evaluator(file, instruments, context)
    try:
        tell_teacher(evaluator, file.teacher(facts), context)
        yield evaluator
    finally:
        evaluator.close(context)


@dataclass(frozen=True, slots=True)
class Exploration:
    """The facts of a study before its first trial, and the evaluator that found them.

    Attributes:
        evaluator: Still running.
        facts: Of the data and the machine.
        instruments: Those that the study needs: a GPU's only if the GPU is used.
        charged: Energy of the exploration.
    """

    evaluator: Evaluator
    facts: StudyFacts
    instruments: Instruments
    charged: tuple[Charged, ...]


@dataclass
class Prepaid(TrialContext):
    """Keeps charges until there is a ledger for them.

    Attributes:
        entries: In the order in which they came.
    """

    entries: list[Charged] = field(default_factory=list)

    @property
    def total(self) -> Reading:
        """All of them together."""
        return total(one for entry in self.entries for one in entry.readings.values())

    def charge(
        self, phase: str, readings: Mapping[Component, Reading], started_at: float, ended_at: float
    ) -> None:
        """See :class:`TrialContext`."""
        self.entries.append(Charged(phase, readings, started_at, ended_at))


def may_use_gpu(file: StudyFile) -> bool:
    """Whether a study trains or predicts on a GPU, as far as is told before one is looked for."""
    return not file.training.device == file.objectives.device == "cpu"


def explore(
    file: StudyFile,
    instruments: Instruments,
    cache: Path | None = None,
    known: StudyFacts | None = None,
) -> Exploration:
    """Loads the data in a first evaluator and finds the facts of the study.

    Args:
        file: The study.
        instruments: Those of this machine.
        cache: Folder of the evaluator's files; by default the study file's.
        known: Facts of a study that is resumed: its space stays the same on every machine.

    Raises:
        UsageError: The data cannot be used.
        SearchAborted: The evaluator died.
    """
    context = Prepaid()
    if not may_use_gpu(file):
        instruments = instruments.without("gpu")
    try:
        evaluator = start_evaluator(file, instruments, context, cache)
        try:
            facts = evaluator.call("describe", None, context, returns=StudyFacts)
            devices = {facts.device, file.objectives.device}
            if "cuda" not in devices and any(m.component == "gpu" for m in instruments.meters):
                evaluator.close(context)
                instruments = instruments.without("gpu")
                evaluator = start_evaluator(file, instruments, context, cache)
            for device in sorted(devices):
                require_device(instruments, device)
            facts = _with_families(file, facts, evaluator, context, known)
        except BaseException:
            evaluator.close(context)
            raise
    except TrialFailed as failure:
        raise SearchAborted(f"the study cannot begin: {failure}") from failure
    return Exploration(evaluator, facts, instruments, tuple(context.entries))


def _with_families(
    file: StudyFile,
    facts: StudyFacts,
    evaluator: Evaluator,
    context: TrialContext,
    known: StudyFacts | None,
) -> StudyFacts:
    """Checks that each network can be built, and finds which gain by int8 kernels."""
    families = [name for name in file.families(facts) if not is_fitted(name)]
    checked = {name: _checked(name, file, evaluator, context) for name in families}
    facts = replace(facts, families={n: f for n, f in checked.items() if architecture(n).foreign})
    if known is not None:
        _require_known(known.families, facts.families)
        return replace(
            facts,
            int8=known.int8,
            threads=known.threads,
            preprocessing=known.preprocessing,
            warm=known.warm,
            batch_seconds=known.batch_seconds,
            families={**facts.families, **known.families},
        )
    if file.training.adaptive:
        found = evaluator.call("batches", families, context, returns=dict[str, tuple[float, ...]])
        facts = replace(facts, batch_seconds=found)
    if 8 in file.space.bits:
        ratios = evaluator.call("int8", families, context, returns=dict[str, float])
        return replace(facts, int8=ratios)
    return facts


def _checked(
    name: str, file: StudyFile, evaluator: Evaluator, context: TrialContext
) -> FamilyFacts:
    """Builds a family's baseline and tries how it behaves; its code may crash or hang."""
    seconds = 60 * file.limits.trial_minutes
    try:
        return evaluator.call("check", name, context, returns=FamilyFacts, timeout_seconds=seconds)
    except TrialFailed as failure:
        raise SearchAborted(
            f"the study cannot begin, architecture {name!r} could not be tried: {failure}"
        ) from failure


def _require_known(known: Mapping[str, FamilyFacts], found: Mapping[str, FamilyFacts]) -> None:
    for name in known.keys() & found.keys():
        before, now = known[name], found[name]
        if (before.knobs, before.baseline) != (now.knobs, now.baseline):
            raise StudyError(
                f"architecture {name!r} must keep the knobs and the baseline with which the study "
                "began, but its function has others now: restore them, or give the new study "
                "another name under [study] name"
            )

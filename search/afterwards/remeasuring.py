"""The front measured again on a reference machine, by whose readings it is ranked from then on.

Joules of unlike processors do not compare. So one machine, that on which the command is typed, runs
the exported files of all that stands on the front, and of the baselines that savings are told
against; what making them took stays as it was metered where they were made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from greenfront.errors import MeterError, SearchAborted, TrialFailed
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.metering.instruments import Instruments, open_instruments
from greenfront.objectives.metering.pinned import metered_machines, meters_gpu, with_reference
from greenfront.search.afterwards.repeating import measured_again
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.networks.exploration import start_evaluator
from greenfront.search.trials.running import ChargedTrial
from greenfront.studies.analysis.ranking.front import ScoredTrial, baselines_of
from greenfront.studies.analysis.scores.machines import EACH
from greenfront.studies.analysis.scores.medians import graph_of
from greenfront.studies.analysis.view import StoredStudy, StudyView
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.ledger_writer import LedgerWriter
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

__all__ = ["Remeasured", "remeasure"]


@dataclass(frozen=True, slots=True)
class Remeasured:
    """What came of it.

    Attributes:
        study: Its name.
        machine: Model of this machine's processor.
        trials: Numbers of the trials whose files it has measured, or others of the same graph.
        lost: Numbers of those that it could not, with the reason.
        kwh: What that took, charged to the study; ``None`` where no instrument could tell.
    """

    study: str
    machine: str
    trials: tuple[int, ...]
    lost: dict[int, str]
    kwh: float | None


def remeasure(
    storage: Storage, name: str, watts_per_thread: float | None, say: Callable[[str], None]
) -> Remeasured:
    """Measures the front and the baselines here, as often as the study file says.

    Args:
        storage: The database.
        name: Of the study.
        watts_per_thread: Of this machine, where its CPU is modelled; ``None``: the best known.
        say: Takes messages on what is being done.

    Raises:
        StudyError: There is no such study of networks.
        MeterError: This machine's processor is not known, or it lacks an instrument of a component
            that the study meters.
        SearchAborted: No model could be measured: no file is here, or the evaluator died.
    """
    stored = StoredStudy.read(storage, name)
    study, found = stored.study, stored.view(machine=EACH)
    machine = describe_cpu().name
    if not machine:
        raise MeterError(
            "machine: must be known by its processor, and the kernel does not name that here; "
            "measure on another one"
        )
    members = _members(found, stored.view())
    if not members:
        raise SearchAborted(f"study {name!r} has no finished model yet: nothing can be measured")
    instruments = _instruments(found, machine, watts_per_thread, say)
    run = study.runs.begin()
    try:
        ledger = study.ledger.writer(run.run_id, found.file.carbon.study_model(found.facts))
        say(f"starting an evaluator on {machine} and loading the data")
        context = ChargedTrial(ledger, members[0].trial)
        evaluator = start_evaluator(found.file, instruments, context)
        taken = Counter({key: len(again) for key, again in study.repeats.all().items()})
        work = _Work(study, found.file, run.run_id, ledger, evaluator, taken)
        try:
            rounds = max(1, found.file.objectives.repeats)
            for number in range(1, rounds + 1):
                read: set[str] = set()  # files that execute one graph are measured by one of them
                for row in members:
                    run.beat()
                    graph = _graph(row)
                    if row.trial not in work.lost and graph not in read:
                        say(f"round {number} of {rounds}: trial {row.trial}")
                        if work.measure(row, first=number == 1):
                            read.add(graph)
                            work.graphs.add(graph)
        finally:
            evaluator.close(context)
            ledger.merge(members[0].trial)
    except TrialFailed as failure:
        raise SearchAborted(f"study {name!r} cannot be measured here: {failure}") from failure
    finally:
        run.end()
    measured = tuple(row.trial for row in members if _graph(row) in work.graphs)
    lost = {number: why for number, why in work.lost.items() if number not in measured}
    if not measured:
        why = next(iter(lost.values()))
        raise SearchAborted(
            f"study {name!r}: none of its {len(members)} models was measured: {why}"
        )
    study.store_meters(with_reference(study.meters or [], machine))
    spent = study.ledger.by("run").get(run.run_id)
    return Remeasured(name, machine, measured, lost, None if spent is None else spent.kwh)


def _members(*views: StudyView) -> list[ScoredTrial]:
    """All that stands on the front, and the untouched baselines, each once, by number."""
    found: dict[int, ScoredTrial] = {}
    for seen in views:
        baselines = baselines_of(seen.complete, seen.file.baseline_keys(seen.facts))
        for row in (*seen.front.rows, *baselines):
            found.setdefault(row.trial, row)
    return [found[number] for number in sorted(found)]


def _instruments(
    found: StudyView,
    machine: str,
    watts_per_thread: float | None,
    say: Callable[[str], None],
) -> Instruments:
    """Those of this machine; what the user or the study says of watts is another one's."""
    settings, pinned = found.file.metering, found.meters
    if metered_machines(pinned)[:1] != (machine,):
        pinned = []
        settings = replace(
            settings,
            cpu="auto" if settings.cpu == "rapl" else settings.cpu,
            watts_per_thread=None,
            watts_per_gb=None,
            idle_watts=None,
            dram_idle_watts=None,
            gpu_idle_watts=None,
        )
    if watts_per_thread is not None:
        settings = replace(settings, cpu="model", watts_per_thread=watts_per_thread)
    instruments = open_instruments(settings, pinned, say, gpu=meters_gpu(found.meters))
    here = {meter.component for meter in instruments.meters}
    lacking = [entry["component"] for entry in found.meters if entry["component"] not in here]
    if lacking or not found.meters:
        told = ", ".join(lacking) or "anything"
        raise MeterError(
            f"instruments: the study meters {told}, and nothing does so here: the sums would lack "
            "a part; 'greenfront doctor' says what is missing"
        )
    return instruments


def _graph(row: ScoredTrial) -> str:
    return graph_of(row.outcome, row.candidate.key)


@dataclass
class _Work:
    """Measures one model after the other; ``taken`` are earlier measurements by candidate."""

    study: Study
    file: StudyFile
    run_id: str
    ledger: LedgerWriter
    evaluator: Evaluator
    taken: Counter[str]
    graphs: set[str] = field(default_factory=set)
    lost: dict[int, str] = field(default_factory=dict)

    def measure(self, row: ScoredTrial, *, first: bool) -> bool:
        """Adds one measurement of a model, or keeps why there is none; gives whether it did."""
        try:
            found = measured_again(
                self.evaluator,
                row,
                ChargedTrial(self.ledger, row.trial),
                batched=first,
                minutes=self.file.limits.trial_minutes,
            )
        except TrialFailed as failure:
            self.lost[row.trial] = str(failure)
            if not self.evaluator.alive:
                raise
            return False
        finally:
            self.ledger.merge(row.trial)
        if found is None:
            self.lost[row.trial] = (
                f"its file is not in {self.file.study.cache} here: share that folder, or set "
                "[study] shared_cache"
            )
        elif found.inference.joules is None:
            self.lost[row.trial] = "no instrument could tell what a prediction takes"
        else:
            key = row.candidate.key
            self.taken[key] += 1
            self.study.repeats.add(self.run_id, key, self.taken[key], found)
            return True
        return False

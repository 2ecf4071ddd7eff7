"""What an evaluator of networks can be asked: to describe the data, to size, to run a trial."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from greenfront.errors import TrialFailed
from greenfront.objectives.context import StageContext
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.search.evaluator.child import Calls
from greenfront.spaces.candidate import Candidate

if TYPE_CHECKING:  # what they import takes seconds
    from greenfront.objectives.pipeline.lineage import LineageStore
    from greenfront.objectives.pipeline.runtime import Runtime
    from greenfront.objectives.pipeline.trial import TrialRunner
    from greenfront.objectives.tasks.task import Task

__all__ = ["trial_job"]

Call = Callable[[Any], Any]


def trial_job(context: StageContext, settings: dict[str, Any]) -> Calls:
    """Makes the calls of one study.

    Args:
        context: The supervisor.
        settings: ``task`` (JSON of :class:`TaskSettings`), ``cache``, ``seed``, ``threads``,
            ``device`` (``"auto"``, ``"cpu"`` or ``"cuda"``), ``batch``, ``measured_on`` (the device
            of predictions), ``block_seconds``,
            ``torch_file``, ``metric``, ``positive``, ``threshold``, ``study`` (its name),
            ``instruments`` (what they are called), ``cache_gb`` (the most that is kept) and
            ``shared_cache`` (URL of a folder that all machines share).

    Returns:
        ``describe`` (the study's facts), ``check`` (tries a family and gives its facts),
        ``int8`` (how families gain by it), ``batches`` (what larger ones cost), ``teacher`` (sets
        it), ``size``, ``epoch``, ``trial``, ``rung`` (trains a candidate to one below the whole
        effort), ``repeat`` (measures a trial's file again), ``fold`` (makes a candidate on another
        fold and judges it there), and those of :func:`export_calls` and :func:`tune_calls`.
    """
    import torch

    from greenfront.objectives.pipeline.trial import TrialRunner
    from greenfront.objectives.stages.session import require_provider
    from greenfront.objectives.stages.train import pick_device
    from greenfront.objectives.tasks.load import load_task
    from greenfront.search.evaluator.export_calls import export_calls
    from greenfront.search.evaluator.tune_calls import tune_calls

    # The quantizer recommends a preparation that brings nothing for graphs exported here.
    logging.getLogger().setLevel(logging.ERROR)
    torch.set_num_threads(int(settings["threads"]))
    device = pick_device(settings["device"])
    require_provider(settings.get("measured_on", "cpu"))
    task_settings = TypeAdapter(TaskSettings).validate_python(settings["task"])
    data = Path(settings["cache"]) / "data"
    with context.phase("data"):
        task = load_task(task_settings, cache=data, seed=int(settings["seed"]))
    runner = TrialRunner(_runtime(task, device, context, settings))
    calls = {
        **_study_calls(runner.runtime),
        **_trial_calls(runner),
        "fold": _fold_call(runner, task_settings, data),
        **export_calls(runner, task_settings),
        **tune_calls(runner),
    }
    leased = _leased(runner.runtime.store, settings.get("cache_gb"))
    return {name: leased(call) for name, call in calls.items()}


def _runtime(task: Task, device: str, context: StageContext, settings: dict[str, Any]) -> Runtime:
    from greenfront.objectives.judging import Judging
    from greenfront.objectives.metrics import study_metric
    from greenfront.objectives.pipeline.cache import LINEAGE
    from greenfront.objectives.pipeline.lineage import LineageStore
    from greenfront.objectives.pipeline.model_factory import ModelFactory
    from greenfront.objectives.pipeline.runtime import Runtime
    from greenfront.objectives.pipeline.shared_store import SharedStore
    from greenfront.objectives.stages.metered import Measuring

    url, root = settings.get("shared_cache"), Path(settings["cache"]) / LINEAGE
    store = LineageStore(root, str(settings.get("study", "")), SharedStore(url) if url else None)
    store.clear_drafts()
    return Runtime(
        ModelFactory(task, device),
        store,
        context,
        seed=int(settings["seed"]),
        measuring=Measuring(
            batch=int(settings["batch"]),
            threads=int(settings["threads"]),
            device=settings.get("measured_on", "cpu"),
            block_seconds=float(settings["block_seconds"]),
        ),
        torch_file=bool(settings.get("torch_file", False)),
        judging=Judging(
            study_metric(task.facts, settings.get("metric"), settings.get("positive")),
            settings.get("threshold", "auto"),
        ),
        instruments=str(settings.get("instruments", "")),
    )


def _study_calls(runtime: Runtime) -> Calls:
    """The calls that a study begins with: its facts, what its families gain by, its teacher."""
    from greenfront.objectives.pipeline.batch_costs import batch_seconds
    from greenfront.objectives.pipeline.int8_policy import int8_choice
    from greenfront.objectives.stages.train import supports_mixed_precision
    from greenfront.studies.config.facts import StudyFacts

    device = runtime.models.device

    def describe(_argument: Any) -> Any:
        mixed_precision = supports_mixed_precision(device)
        return StudyFacts(runtime.models.task.facts, device, mixed_precision, preprocessing=True)

    def int8(families: Any) -> Any:
        ratios = dict[str, float]()
        if runtime.measuring.device == "cuda":  # ONNX Runtime has no kernels there for them
            return ratios
        for name in families:
            # A family without an int8 form keeps its 8 bits as packed weights.
            with contextlib.suppress(TrialFailed):
                ratios[name] = int8_choice(runtime, name).ratio
        return ratios

    def teacher(candidate: Any) -> None:
        runtime.teacher = Candidate.from_json(candidate) if candidate else None

    return {
        "describe": describe,
        "int8": int8,
        "batches": lambda families: {n: list(batch_seconds(runtime, n)) for n in families},
        "teacher": teacher,
    }


def _trial_calls(runner: TrialRunner) -> Calls:
    """The calls of a family and of candidates."""
    from greenfront.objectives.pipeline.rungs import run_rung

    def rung(argument: Any) -> Any:
        return run_rung(runner, Candidate.from_json(argument["candidate"]), int(argument["rung"]))

    def repeat(argument: Any) -> Any:
        candidate = Candidate.from_json(argument["candidate"])
        measured = runner.repeat(candidate, argument["artefact"], batched=bool(argument["batched"]))
        return [] if measured is None else [measured]

    return {
        "check": runner.check,
        "size": lambda candidate: runner.size(Candidate.from_json(candidate)),
        "epoch": lambda candidate: runner.epoch_cost(Candidate.from_json(candidate)),
        "trial": lambda candidate: runner.run(Candidate.from_json(candidate)),
        "rung": rung,
        "repeat": repeat,
    }


def _fold_call(runner: TrialRunner, settings: TaskSettings, data: Path) -> Call:
    from greenfront.objectives.pipeline.cross_validation import CrossValidation

    folds = CrossValidation(runner, settings, data)
    return lambda asked: folds.judged(Candidate.from_json(asked["candidate"]), int(asked["fold"]))


def _leased(store: LineageStore, most_gb: float | None) -> Callable[[Call], Call]:
    """Keeps what a call uses in the cache while it runs, and the cache within its size after it."""
    from greenfront.objectives.pipeline.cache import capped
    from greenfront.objectives.pipeline.cache_lease import CacheLease

    lease = CacheLease(store.root, store.study)

    def wrap(call: Call) -> Call:
        def run(argument: Any) -> Any:
            lease.renew()
            try:
                return call(argument)
            finally:
                lease.renew()  # what the call has used, it uses no more
                if most_gb is not None:
                    capped(store.root, most_gb * 1e9, {store.study})

        return run

    return wrap

"""What an evaluator of networks can be asked: to describe the data, to size, to run a trial."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from greenfront.errors import TrialFailed
from greenfront.objectives.context import StageContext
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.search.evaluator.child import Calls
from greenfront.spaces.candidate import Candidate

__all__ = ["trial_job"]


def trial_job(context: StageContext, settings: dict[str, Any]) -> Calls:
    """Makes the calls of one study.

    Args:
        context: The supervisor.
        settings: ``task`` (JSON of :class:`TaskSettings`), ``cache``, ``seed``, ``threads``,
            ``device`` (``"auto"``, ``"cpu"`` or ``"cuda"``), ``batch``, ``block_seconds``,
            ``torch_file``, ``metric``, ``positive``, ``threshold``, ``study`` (its name),
            ``instruments`` (what they are called), ``cache_gb`` (the most that is kept) and
            ``shared_cache`` (URL of a folder that all machines share).

    Returns:
        ``describe`` (the study's facts), ``check`` (tries a family and gives its facts),
        ``int8`` (how families gain by it), ``batches`` (what larger ones cost), ``teacher`` (sets
        it), ``size``, ``epoch``, ``trial``, ``rung`` (trains a candidate to one below the whole
        effort), ``repeat`` (measures a trial's file again), and those of :func:`export_calls` and
        :func:`tune_calls`.
    """
    import torch

    from greenfront.objectives.judging import Judging
    from greenfront.objectives.metrics import study_metric
    from greenfront.objectives.pipeline.batch_costs import batch_seconds
    from greenfront.objectives.pipeline.cache import LINEAGE, capped
    from greenfront.objectives.pipeline.int8_policy import int8_choice
    from greenfront.objectives.pipeline.lease import Lease
    from greenfront.objectives.pipeline.lineage import LineageStore
    from greenfront.objectives.pipeline.model_factory import ModelFactory
    from greenfront.objectives.pipeline.rungs import run_rung
    from greenfront.objectives.pipeline.runtime import Runtime
    from greenfront.objectives.pipeline.shared_store import SharedStore
    from greenfront.objectives.pipeline.trial import TrialRunner
    from greenfront.objectives.stages.metered import Measuring
    from greenfront.objectives.stages.train import pick_device, supports_mixed_precision
    from greenfront.objectives.tasks.load import load_task
    from greenfront.search.evaluator.export_calls import export_calls
    from greenfront.search.evaluator.tune_calls import tune_calls
    from greenfront.studies.config.facts import StudyFacts

    # The quantizer recommends a preparation that brings nothing for graphs exported here.
    logging.getLogger().setLevel(logging.ERROR)
    torch.set_num_threads(int(settings["threads"]))
    cache = Path(settings["cache"])
    device = pick_device(settings["device"])
    task_settings = TypeAdapter(TaskSettings).validate_python(settings["task"])
    with context.phase("data"):
        task = load_task(task_settings, cache=cache / "data", seed=int(settings["seed"]))
    place = settings.get("shared_cache")
    shared = SharedStore(place) if place else None
    store = LineageStore(cache / LINEAGE, str(settings.get("study", "")), shared)
    store.clear_drafts()
    lease, most_gb = Lease(store.root, store.study), settings.get("cache_gb")
    runtime = Runtime(
        ModelFactory(task, device),
        store,
        context,
        seed=int(settings["seed"]),
        measuring=Measuring(
            batch=int(settings["batch"]),
            threads=int(settings["threads"]),
            block_seconds=float(settings["block_seconds"]),
        ),
        torch_file=bool(settings.get("torch_file", False)),
        judging=Judging(
            study_metric(task.facts, settings.get("metric"), settings.get("positive")),
            settings.get("threshold", "auto"),
        ),
        instruments=str(settings.get("instruments", "")),
    )
    runner = TrialRunner(runtime)

    def int8(families: Any) -> Any:
        ratios = {}
        for name in families:
            # A family without an int8 form keeps its 8 bits as packed weights.
            with contextlib.suppress(TrialFailed):
                ratios[name] = int8_choice(runtime, name).ratio
        return ratios

    def batches(families: Any) -> Any:
        return {name: list(batch_seconds(runtime, name)) for name in families}

    def teacher(candidate: Any) -> None:
        runtime.teacher = Candidate.from_json(candidate) if candidate else None

    def repeat(argument: Any) -> Any:
        candidate = Candidate.from_json(argument["candidate"])
        measured = runner.repeat(candidate, argument["artefact"], batched=bool(argument["batched"]))
        return [] if measured is None else [measured]

    def rung(argument: Any) -> Any:
        return run_rung(runner, Candidate.from_json(argument["candidate"]), int(argument["rung"]))

    def leased(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(argument: Any) -> Any:
            lease.renew()
            try:
                return call(argument)
            finally:
                lease.renew()  # what the call has used, it uses no more
                if most_gb is not None:
                    capped(store.root, most_gb * 1e9, {store.study})

        return run

    calls: Calls = {
        "describe": lambda _: StudyFacts(
            task.facts, device, supports_mixed_precision(device), preprocessing=True
        ),
        "check": runner.check,
        "int8": int8,
        "batches": batches,
        "teacher": teacher,
        "size": lambda candidate: runner.size(Candidate.from_json(candidate)),
        "epoch": lambda candidate: runner.epoch_cost(Candidate.from_json(candidate)),
        "trial": lambda candidate: runner.run(Candidate.from_json(candidate)),
        "rung": rung,
        "repeat": repeat,
        **export_calls(runner, task_settings),
        **tune_calls(runner),
    }
    return {name: leased(call) for name, call in calls.items()}

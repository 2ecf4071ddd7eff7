"""From a trial of a study to a folder that anyone can run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from greenfront.errors import ExportError, MeterError, StudyError, TrialFailed
from greenfront.objectives.codec import to_json
from greenfront.objectives.metering.cpu_model import describe_cpu
from greenfront.objectives.metering.instruments import Instruments, open_instruments
from greenfront.objectives.packaging.claims import CANDIDATE, Claims, FileFacts, Judged, Setting
from greenfront.objectives.packaging.package import Packaged
from greenfront.objectives.pipeline.stages.export import MODEL
from greenfront.objectives.readings import Reading
from greenfront.objectives.runtime_options import RuntimeAdvice
from greenfront.objectives.scores import predictions_co2_kg
from greenfront.objectives.wrapping.preprocess import RESIZED_WITHIN
from greenfront.search.evaluator.process import Evaluator
from greenfront.search.networks.exploration import Prepaid, running_evaluator
from greenfront.studies.analysis.machine.runtimes import advice_lines, counted_beside
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words.quantities import counted
from greenfront.studies.analysis.words.wording import sentence
from greenfront.studies.config.facts import StudyFacts
from greenfront.studies.config.own_code import require_named_here
from greenfront.studies.export.documents import write_documents
from greenfront.studies.export.facts import paired_difference, record_of, row_of, score_of
from greenfront.studies.export.folder import drafted, require_free, sha256
from greenfront.studies.export.record import Emission, ModelRecord
from greenfront.studies.export.script import write_script
from greenfront.studies.store.ledger import PACKAGE
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

__all__ = ["Exported", "charge", "chosen", "export_model"]

T = TypeVar("T")


ON_CARD = (
    "The study measured predictions on a GPU; this folder was judged and measured on the CPU, "
    "where anybody can open it."
)
HALF_ON_CARD = "There it was computed in half floats; the CPU widens these when it loads the file."


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported.

    Attributes:
        folder: Where it lies.
        row: The trial.
        claims: What is claimed of it.
        record: What its documents say.
    """

    folder: Path
    row: ScoredTrial
    claims: Claims
    record: ModelRecord


def chosen(found: StudyView, *, trial: int | None, named: str) -> ScoredTrial:
    """The trial to export: by its number, or by what the front calls it.

    Raises:
        StudyError: There is none, or it has no result.
    """
    if trial is not None:
        return row_of(found, trial)
    row = found.front.named.get(named)
    if row is None:
        why = (
            "no trial has finished yet"
            if not found.complete
            else "no trial is accurate enough"
            if named == "greenest"
            else "the front has too few members"
        )
        raise StudyError(
            f"study {found.name!r} has no {named} model: {why}; greenfront front shows what there "
            "is, and --trial takes any finished one"
        )
    return row


def export_model(
    found: StudyView,
    row: ScoredTrial,
    folder: Path,
    *,
    force: bool = False,
    context: Prepaid,
    licence: str | None = None,
    say: Callable[[str], None] = lambda _message: None,
) -> Exported:
    """Writes the folder of a trial: the model from raw input to label, and all that is said of it.

    Args:
        found: The study.
        row: The trial.
        folder: Where to write.
        force: Whether an exported model there is replaced.
        context: Charged with what the export takes.
        licence: Identifier of SPDX; ``None``: nobody said.
        say: Takes messages on what is being done.

    Raises:
        UsageError: The folder exists, the data of the study cannot be used any more, or code of
            the user's is named by no study file here.
        ExportError: The model cannot be made again, or the folder cannot be written.
    """
    require_free(folder, force=force)
    require_named_here(found.file, f"study {found.name!r}")
    say("starting an evaluator and loading the data")
    with _helper(found, context) as helper:
        _require_same_data(found, helper)
        with drafted(folder, force=force) as draft:
            say(f"packaging trial {row.trial}: graph, test split, joules")
            packaged = _packaged(found, row, helper, draft)
            baseline = _baseline(found, row, helper, packaged)
            claims = _claims(found, row, packaged, baseline)
            claims.write(draft)
            text = json.dumps(row.candidate.to_json(), indent=2)
            (draft / CANDIDATE).write_text(text + "\n", encoding="utf-8")
            write_script(draft, packaged.kind)
            record = replace(_record(found, row, claims, draft), takes=packaged.kind)
            if licence is not None:
                record = replace(record, licence=replace(record.licence, identifier=licence))
            told = [*remarks(packaged, claims, found.facts)]
            if found.file.objectives.device == "cuda":
                told.append(ON_CARD)
                if row.candidate.precision.bits == 16:
                    told.append(HALF_ON_CARD)
            record = replace(record, remarks=tuple(told))
            write_documents(record, draft)
    return Exported(folder, row, claims, record)


def charge(storage: Storage, found: StudyView, spent: Prepaid) -> None:
    """Writes what an export has taken into its study's ledger, as a run and a phase of its own."""
    ledger = Study.open(storage, found.name).ledger
    writer = ledger.writer(uuid.uuid4().hex, found.scoring.carbon)
    for entry in spent.entries:
        writer.settle(replace(entry, phase=PACKAGE))
    writer.merge(None)


@dataclass(frozen=True, slots=True)
class _Helper:
    """The process that packages, and what it is charged to."""

    evaluator: Evaluator
    context: Prepaid

    def ask(self, name: str, argument: object, returns: type[T]) -> T:
        return self.evaluator.call(name, argument, self.context, returns=returns)


@contextmanager
def _helper(found: StudyView, context: Prepaid) -> Iterator[_Helper]:
    with ExitStack() as stack:
        # A folder is judged and measured on the CPU, on which anybody can open it.
        objectives = found.file.objectives.model_copy(update={"device": "cpu"})
        file = found.file.model_copy(update={"objectives": objectives})
        begun = running_evaluator(file, found.facts, _instruments(found), context)
        try:
            evaluator = stack.enter_context(begun)
        except TrialFailed as failure:
            raise ExportError(f"the evaluator could not start: {failure}") from failure
        yield _Helper(evaluator, context)


def _instruments(found: StudyView) -> Instruments:
    """Those of the study, or where they do not work here, those of this machine."""
    settings = found.file.metering
    try:
        return open_instruments(settings, found.meters, gpu=False)
    except MeterError:
        return open_instruments(settings, gpu=False)


def _require_same_data(found: StudyView, helper: _Helper) -> None:
    here = helper.ask("describe", None, StudyFacts)
    if here.task.fingerprint != found.facts.task.fingerprint:
        raise ExportError(
            f"the data of study {found.name!r} are no longer what it searched on (another content "
            "or another order of rows): restore them, since what is claimed is judged on them"
        )


def _packaged(found: StudyView, row: ScoredTrial, helper: _Helper, draft: Path) -> Packaged:
    try:
        argument = {
            **_model(row),
            "folder": str(draft),
            "runtime": to_json(_advice(found, row)),
        }
        return helper.ask("package", argument, Packaged)
    except TrialFailed as failure:
        raise ExportError(
            f"trial {row.trial} of study {found.name!r} cannot be exported: {failure.reason}"
        ) from failure


def _baseline(
    found: StudyView, row: ScoredTrial, helper: _Helper, packaged: Packaged
) -> Judged | None:
    """What the untouched baseline scores on the test split, where its file is still there."""
    if found.baseline is None:
        return None
    if found.baseline.trial == row.trial:
        return packaged.test
    try:
        return helper.ask("judge", _model(found.baseline), Judged)
    except TrialFailed:
        return None


def _model(row: ScoredTrial) -> dict[str, object]:
    decisions = row.outcome.decisions
    return {
        "candidate": row.candidate.to_json(),
        "artefact": row.outcome.artefact,
        "threshold": None if decisions is None else decisions.threshold,
    }


def _claims(
    found: StudyView, row: ScoredTrial, packaged: Packaged, baseline: Judged | None
) -> Claims:
    file, told = found.file, found.file.to_json()
    return Claims(
        **{each.name: getattr(packaged, each.name) for each in fields(FileFacts)},
        study=found.name,
        trial=row.trial,
        candidate=row.candidate.to_json(),
        setting=Setting(
            task=told["task"],
            metering=told["metering"],
            seed=file.study.seed,
            threads=file.study.threads,
            batch=file.objectives.batch,
            metric=found.metric.name,
            positive=file.objectives.positive,
        ),
        fingerprint=found.facts.task.fingerprint,
        baseline=baseline,
        processor=describe_cpu().name,
        model_alone=row.outcome.inference if file.objectives.device == "cpu" else _alone(packaged),
        runtime=_advice(found, row),
    )


def _advice(found: StudyView, row: ScoredTrial) -> RuntimeAdvice | None:
    """How to run it where the folder is of: what was found on a GPU tells nothing of a CPU."""
    return row.outcome.runtime if found.file.objectives.device == "cpu" else None


def _alone(packaged: Packaged) -> Reading:
    """The model alone as the export has measured it."""
    return packaged.cost.energy if packaged.parts is None else packaged.parts.model


def _record(found: StudyView, row: ScoredTrial, claims: Claims, draft: Path) -> ModelRecord:
    """What is stored of the trial, with what only the exported file can tell."""
    record, task = record_of(found, row.trial), found.facts.task
    counts, plain = task.class_counts.get("test", ()), claims.plain_cost.energy
    scoring = record.scoring
    whole = scoring.costs(record.model.training.reading, plain)
    kwh, co2_kg = whole or (None, None)
    model = replace(
        record.model,
        test=score_of(claims.test, claims.test.examples, counts, record.metric),
        file_bytes=claims.file_bytes,
        file_sha256=sha256(draft / MODEL),
        plain=Emission(plain, predictions_co2_kg(plain, 1.0, scoring.carbon)),
        plain_latency_seconds=claims.plain_cost.latency_seconds,
        plain_spread=claims.plain_cost.spread,
        energy_kwh=kwh,
        co2_kg=co2_kg,
    )
    notes: tuple[str, ...] = ()
    if record.pretrained:
        notes = (
            f"its weights began as {record.pretrained}, whose licence holds for them, too: look it "
            "up before passing the model on",
        )
    licence = replace(record.licence, notes=(*record.licence.notes, *notes))
    record = replace(record, model=model, licence=licence)
    baseline = claims.baseline
    if baseline is None or record.baseline is None:
        return record
    usual = score_of(baseline, baseline.examples, counts, record.metric)
    return replace(
        record,
        baseline=replace(record.baseline, test=usual),
        test_difference=paired_difference(
            claims.test.score, claims.test.resampled, baseline.score, baseline.resampled
        ),
    )


def remarks(packaged: Packaged, claims: Claims, facts: StudyFacts) -> Iterator[str]:
    """Sentences for whoever runs the file: what its graph does not do, and what is different."""
    schema = facts.task.schema
    for column, made in (("date", "its parts"), ("boolean", "1 and 0")):
        names = [c.name for c in schema.columns if c.used and c.kind == column] if schema else []
        if names:
            yield (
                f"Of {', '.join(names)} the file takes {made} as numbers, which predict.py makes "
                "of the texts: ONNX has no operator for that."
            )
    if packaged.resizes:
        _, height, width = facts.task.input_shape
        yield (
            f"Images of another size than {width} × {height} are resized in the graph, where a "
            f"pixel may differ from Pillow's by up to {RESIZED_WITHIN} of 256 grey levels; "
            "predict.py resizes by Pillow, as the training did."
        )
    if packaged.kind == "text":
        yield "The file takes token numbers; tokenizer.json beside it makes them of texts."
    threads = claims.setting.threads
    if claims.parts is not None:
        yield counted_beside(claims.parts, threads)
    yield (
        f"predict.py runs it with {counted(threads, 'thread')} that "
        f"{'do' if threads > 1 else 'does'} not spin while waiting: so it was measured."
    )
    if claims.runtime is not None:
        yield from advice_lines(claims.runtime)
    yield from map(sentence, claims.notes)

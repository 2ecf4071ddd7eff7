"""The record of one model: every fact that its card and its statements tell, in one place.

``record.json`` in a folder is this record; documents are written from it and from nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenfront.errors import DataError
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.metrics import Metric
from greenfront.objectives.outcome import Batched, Decisions
from greenfront.objectives.readings import Reading
from greenfront.objectives.scores import Scoring
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.studies.analysis.payback.break_even import Verdict

__all__ = [
    "RECORD",
    "VERSION",
    "Difference",
    "Emission",
    "Hardware",
    "Licence",
    "MeasuredModel",
    "ModelRecord",
    "Score",
    "SearchCost",
    "read_record",
]

RECORD = "record.json"
"""Its name in a folder."""

VERSION = 1
"""Of the record's form; raised when an older reader would misunderstand it."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score on some examples.

    Attributes:
        value: In the metric's unit.
        low: Lower end of its 95 % interval over other examples; ``None`` if unknown.
        high: Upper end; ``None`` with ``low``.
        examples: How many it was judged on; ``None`` if unknown.
        decisions: Which classes it decides for, with the confusion matrix; ``None`` for numbers.
        class_counts: How many examples there are of each class; empty for numbers, or if unknown.
        resampled: Scores on resamples of the examples, packed by
            :mod:`greenfront.objectives.resampling`, so that other models can be compared in pairs;
            ``None`` if unknown.
    """

    value: float
    low: float | None = None
    high: float | None = None
    examples: int | None = None
    decisions: Decisions | None = None
    class_counts: tuple[int, ...] = ()
    resampled: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A score less the baseline's on the same examples, paired.

    Attributes:
        value: In the metric's unit.
        low: Lower end of the 95 % interval over resamples; ``None`` if unknown.
        high: Upper end; ``None`` with ``low``.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Emission:
    """Energy of a piece of work, and what it emits.

    Attributes:
        reading: The energy; its ``joules`` are ``None`` where unavailable.
        co2_kg: CO₂ equivalent; ``None`` where unavailable.
    """

    reading: Reading
    co2_kg: float | None


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """One trial's exported file, as it was measured.

    Attributes:
        trial: Its number in the study.
        candidate: As :meth:`~greenfront.spaces.candidate.Candidate.to_json` gives it.
        description: The same in a line.
        validation: Score on the examples that trials are judged on; ``None`` if unknown.
        cross_validated: Mean score over folds, by which it was chosen; ``None`` where it was not
            cross-validated.
        folds: Over how many.
        test: Score on the test split; ``None`` until the exported model was judged on it.
        training: Making this model alone: the stored readings of its whole chain.
        phases: The same by phase.
        inference: One prediction of the file, without preprocessing.
        inference_spread: Half of the 95 % interval of ``inference``, as a share of it; ``None`` if
            unknown.
        preprocessing: Making one raw example into inputs; ``None`` where it was not metered, or is
            part of the file.
        answer: One prediction with preprocessing.
        measurements: How often the file was measured; above 1 inference and latency are medians.
        latency_seconds: Median wall time of one prediction.
        batched: One prediction in batches of another size; ``None`` where it was not measured.
        parameters: Numbers in the file's weights.
        flops: Floating-point operations of one prediction.
        file_bytes: Size of the model's file.
        file_sha256: Of its content; empty if unknown.
        epochs: Passes over the training split.
        max_error: Largest difference from the network it was exported from; ``None`` if unknown.
        agreement: Share of examples that both classify alike; ``None`` if unknown.
        energy_kwh: Making it and all predictions, each as :attr:`prediction`; ``None`` where
            unavailable.
        co2_kg: The same in CO₂ equivalent; ``None`` where unavailable.
        plain: One prediction of the exported file, from raw input to label in a session without
            options; ``None`` until it was exported.
        plain_latency_seconds: Its median wall time; ``None`` with ``plain``.
        plain_spread: Half of the 95 % interval of ``plain``, as a share of it; ``None`` if unknown.
    """

    trial: int
    candidate: Mapping[str, Any]
    description: str
    validation: Score | None
    training: Emission
    phases: Mapping[str, Reading]
    inference: Emission
    answer: Emission
    latency_seconds: float
    parameters: int
    flops: int
    file_bytes: int
    test: Score | None = None
    cross_validated: Score | None = None
    folds: int = 1
    inference_spread: float | None = None
    preprocessing: Reading | None = None
    measurements: int = 1
    batched: Batched | None = None
    file_sha256: str = ""
    epochs: int = 0
    max_error: float | None = None
    agreement: float | None = None
    energy_kwh: float | None = None
    co2_kg: float | None = None
    plain: Emission | None = None
    plain_latency_seconds: float | None = None
    plain_spread: float | None = None

    @property
    def prediction(self) -> Emission:
        """One prediction from raw input to answer, measured as near to its use as is known."""
        return self.answer if self.plain is None else self.plain

    @property
    def prediction_seconds(self) -> float:
        """Median wall time of the same."""
        plain = self.plain_latency_seconds
        return self.latency_seconds if plain is None else plain

    @property
    def prediction_spread(self) -> float | None:
        """Half of the 95 % interval of its energy, as a share of it; ``None`` if unknown."""
        return self.inference_spread if self.plain is None else self.plain_spread


@dataclass(frozen=True, slots=True)
class SearchCost:
    """What the whole search has spent, with every trial, finished or not.

    Attributes:
        kwh: Best estimate; ``None`` where no instrument could tell.
        low_kwh: Lower end.
        high_kwh: Upper end.
        co2_kg: As emitted, at the intensity of each moment; ``None`` if unknown.
        kind: How the energy was come by: ``"measured"``, ``"modelled"``, ``"partly modelled"`` or
            ``"not metered"``.
        trials: How many were begun.
        finished: How many have a result.
        unmetered: Ledger entries without a reading, which are not in ``kwh``.
        cpu_seconds: CPU time.
        phases_kwh: Parts that add up to ``kwh``.
        sampler: What proposed the trials.
        seed: Of the study.
        started_at: Unix seconds; ``None`` before any trial.
        ended_at: When the last trial ended; ``None`` while none has.
    """

    kwh: float | None
    low_kwh: float | None
    high_kwh: float | None
    co2_kg: float | None
    kind: str
    trials: int
    finished: int
    unmetered: int
    cpu_seconds: float
    phases_kwh: Mapping[str, float]
    sampler: str
    seed: int
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine that the search ran on.

    Attributes:
        device: Where trials were trained, ``"cpu"`` or ``"cuda"``.
        threads: Hardware threads of the processor.
        processor: Its model; empty if unknown.
        gpu: The model of the cards; empty where none was metered.
        memory_bytes: Of the machine; ``None`` if unknown.
        system: Operating system, such as ``"linux"``; empty if unknown.
        meters: Component, kind and source of each instrument.
    """

    device: str
    threads: int
    processor: str = ""
    gpu: str = ""
    memory_bytes: int | None = None
    system: str = ""
    meters: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Licence:
    """What may be done with the model.

    Attributes:
        identifier: Of SPDX or the hub, such as ``"apache-2.0"``; ``"other"`` where nobody said.
        notes: Sentences, such as on pretrained weights that are in it.
    """

    identifier: str = "other"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """All that is said of an exported model.

    Attributes:
        study: Name.
        names: What the study's front calls the model, such as ``("greenest",)``.
        model: The model.
        baseline: The untouched baseline of the study; ``None`` while none has finished.
        task: Of the data, with the schema of a table.
        metric: What models are judged by.
        scoring: Number of predictions and carbon model: region, intensity, PUE, embodied share.
        search: What finding it has cost.
        hardware: Where.
        versions: Of Python, greenfront and the libraries behind the numbers.
        created_at: When this record was made, in Unix seconds.
        trained_at: When the trial ended, in Unix seconds; ``None`` if unknown.
        licence: Of the model.
        break_even: Whether the search pays for itself with this model against the baseline.
        break_even_predictions: After so many predictions; ``None`` for every other verdict.
        validation_difference: From the baseline, on validation; ``None`` if unknown.
        test_difference: From the baseline, on test; ``None`` if unknown.
        max_drop: How much less accurate than the best model one may be; ``None`` in older studies.
        needs_no_network: Whether the study shows that no network is needed.
        pretrained: What its weights began as, such as ``"hf:bert-base-uncased"``; empty where they
            began at random.
        takes: What the exported file is given: ``"table"``, ``"image"``, ``"array"`` or ``"text"``;
            empty until it was exported.
        remarks: Sentences on the exported file, for whoever runs it.
        version: :data:`VERSION` of who wrote it.
    """

    study: str
    names: tuple[str, ...]
    model: MeasuredModel
    baseline: MeasuredModel | None
    task: TaskFacts
    metric: Metric
    scoring: Scoring
    search: SearchCost
    hardware: Hardware
    versions: Mapping[str, str]
    created_at: float
    trained_at: float | None = None
    licence: Licence = field(default_factory=Licence)
    break_even: Verdict = "no baseline"
    break_even_predictions: float | None = None
    validation_difference: Difference | None = None
    test_difference: Difference | None = None
    max_drop: float | None = None
    needs_no_network: bool = False
    pretrained: str = ""
    takes: str = ""
    remarks: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def is_baseline(self) -> bool:
        """Whether the model is the untouched baseline itself."""
        return self.baseline is not None and self.baseline.trial == self.model.trial

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes; :meth:`from_json` is the inverse."""
        data: dict[str, Any] = to_json(self)
        return data

    @classmethod
    def from_json(cls, data: Any) -> ModelRecord:
        """Inverse of :meth:`to_json`.

        Raises:
            ValueError: The data are not a record, or one of a later version.
        """
        version = data.get("version") if isinstance(data, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise ValueError(
                f"it was written in version {version} of the form, and this greenfront reads "
                f"{VERSION}: update greenfront"
            )
        return from_json(cls, data)


def read_record(folder: Path) -> ModelRecord:
    """The record of an exported folder.

    Raises:
        DataError: There is none, it cannot be read, or a later version wrote it.
    """
    path = folder / RECORD
    try:
        return ModelRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise DataError(
            f"{str(folder)!r} is no exported model: it has no {RECORD}; make one with greenfront "
            "export NAME -o DIR"
        ) from error
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} cannot be used: {error}; export the model again") from error

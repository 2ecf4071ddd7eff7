"""What is claimed of an exported model, so that anyone can hold it to that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from greenfront.errors import DataError
from greenfront.objectives.codec import from_json, to_json
from greenfront.objectives.metrics import MetricName
from greenfront.objectives.outcome import Decisions
from greenfront.objectives.readings import Reading
from greenfront.objectives.runtime_options import RuntimeAdvice
from greenfront.objectives.stages.turns import Ratio
from greenfront.objectives.wrapping.labels import Labels

__all__ = [
    "CANDIDATE",
    "CLAIMS",
    "Claims",
    "Cost",
    "FileFacts",
    "Judged",
    "PredictionParts",
    "Setting",
    "read_claims",
]

CLAIMS = "claims.json"
"""Their file in a folder."""

CANDIDATE = "candidate.json"
"""Beside it: what the model is, in full."""

VERSION = 2

RENAMED = {"credited": "model_alone", "pace": "reference"}
"""Keys of version 1."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model scores on some examples.

    Attributes:
        score: In the unit of the study's metric.
        examples: How many.
        decisions: Which classes it decides for; ``None`` for numbers.
        resampled: Scores on resamples, packed; ``None`` where that would take too long.
    """

    score: float
    examples: int
    decisions: Decisions | None = None
    resampled: str | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one prediction of the exported file takes, from raw input to label.

    Attributes:
        energy: Of the CPU, and of memory where that is metered.
        latency_seconds: Median wall time.
        spread: See :class:`~greenfront.objectives.stages.metered.InferenceCost`.
    """

    energy: Reading
    latency_seconds: float
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class PredictionParts:
    """A prediction and the parts of it that a study counts, measured in turns.

    Attributes:
        whole: From raw input to label, in a session without options.
        model: The model alone, with one thread that does not spin, as the search runs it.
        preprocessing: What the file does around the model, and the tokenizer beside it.
        own: From raw input to label in the session of ``predict.py``, whose threads do not spin;
            ``None`` in folders of before.
        plain_over_own: Joules of ``whole`` over those of ``own``, turn by turn; ``None`` where one
            is unavailable, or where too few turns were taken.
        over_counted: The same of ``whole`` over what is counted.
        own_over_counted: The same of ``own`` over what is counted.
    """

    whole: Reading
    model: Reading
    preprocessing: Reading
    own: Reading | None = None
    plain_over_own: Ratio | None = None
    over_counted: Ratio | None = None
    own_over_counted: Ratio | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """Of the study, as far as its data can be found and its measurements repeated by it.

    Attributes:
        task: JSON of the study file's ``[task]``.
        metering: JSON of ``[metering]``.
        seed: Of the study, and so of its splits.
        threads: Of the runtime.
        batch: Examples a call.
        metric: Name of the metric.
        positive: Name of the class that two classes are looked for by; ``None`` where none was.
    """

    task: Mapping[str, Any]
    metering: Mapping[str, Any]
    seed: int
    threads: int
    batch: int
    metric: MetricName
    positive: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What an exported file holds, what it scores and what it takes.

    Attributes:
        labels: What answers stand for.
        validation: Score on the whole validation split.
        test: Score on the test split.
        file_bytes: Of ``model.onnx``.
        weights: Numbers in the weights of the model in it.
        operators: How often each kernel is executed for one prediction.
        cost: In a session with threads that do not spin, as ``predict.py`` opens it.
        plain_cost: In a session without any option: what is credited.
        reference: Energy of a fixed graph beside ``cost``: see :mod:`~.reference_workload`.
        parts: What a session without options takes beside what the study counts; ``None`` in
            folders of before, and where the model takes raw examples as they are.
        max_error: Largest difference from the network's answers; ``None`` for models without one.
        agreement: Share of the test examples that both classify alike; ``None`` for numbers, and
            for models without a network.
        notes: What is different from what the study has, in words.
        passed_on: Of a cascade: share of the validation examples that its second model computes.
    """

    labels: Labels
    validation: Judged
    test: Judged
    file_bytes: int
    weights: int
    operators: Mapping[str, int]
    cost: Cost
    plain_cost: Cost
    reference: Reading
    parts: PredictionParts | None = None
    max_error: float | None = None
    agreement: float | None = None
    notes: tuple[str, ...] = ()
    passed_on: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims(FileFacts):
    """What is claimed of an exported file, and of which trial it is.

    Attributes:
        study: Name.
        trial: Its number there.
        candidate: As :meth:`~greenfront.spaces.candidate.Candidate.to_json` gives it.
        setting: Of the study.
        fingerprint: Of the task: data and splits.
        baseline: Score of the study's untouched baseline on the test split; ``None`` where its file
            was gone.
        processor: On which it was measured.
        model_alone: Energy of one prediction of the model alone, as the study counts it.
        runtime: How the model alone was found to be run best; nothing of it is credited.
        version: Of the form of these claims.
    """

    study: str
    trial: int
    candidate: Mapping[str, Any]
    setting: Setting
    fingerprint: str
    baseline: Judged | None
    processor: str
    model_alone: Reading
    runtime: RuntimeAdvice | None = None
    version: int = VERSION

    def write(self, folder: Path) -> None:
        """Writes them, in the present form.

        Raises:
            OSError: They cannot be written.
        """
        text = json.dumps(to_json(replace(self, version=VERSION)), indent=2, ensure_ascii=False)
        (folder / CLAIMS).write_text(text + "\n", encoding="utf-8")


def read_claims(folder: Path) -> Claims:
    """The claims of an exported folder.

    Raises:
        DataError: There are none, or they cannot be read; the message says so.
    """
    path = folder / CLAIMS
    if not path.is_file():
        raise DataError(
            f"{str(folder)!r} is no exported model: it has no {CLAIMS}; make one with greenfront "
            "export NAME -o DIR"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] > VERSION:
            raise DataError(
                f"{str(path)!r} was written by a later version of greenfront (form "
                f"{data['version']}, known here {VERSION}): update greenfront"
            )
        return from_json(Claims, {RENAMED.get(key, key): value for key, value in data.items()})
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{str(path)!r} cannot be read ({error}): export the model again"
        ) from error

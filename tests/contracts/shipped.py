"""Tiny tasks of each kind, a model of each, packaged in this process; and a script run alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.cpu_model import CpuModelMeter, WattsPerThread, describe_cpu
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.packaging.claims import CANDIDATE, Claims, FileFacts, Setting
from greenfront.objectives.packaging.inspection import Inspection
from greenfront.objectives.packaging.package import Packaged, PackageRequest, package
from greenfront.objectives.packaging.raw_data import RawData
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.network_space import reference_candidate
from greenfront.spaces.techniques.cascade import Cascade
from greenfront.spaces.techniques.ensemble import Ensemble
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.training import Training
from greenfront.studies.export.script import write_script

MEASURING = Measuring(block_seconds=0.002, least_blocks=1, most_blocks=1)
TREES = "sklearn:hist_gradient_boosting"
COLOURS = ("red", "green", "blue", "ü,\"'")


@dataclass(frozen=True)
class Shipped:
    """A packaged model, and all that it was made from.

    Attributes:
        folder: Of the model.
        settings: Of its task.
        runner: That trained it.
        candidate: What it is.
        artefact: The trial's file, relative to the store.
        packaged: What was written.
    """

    folder: Path
    settings: TaskSettings
    runner: TrialRunner
    candidate: Candidate
    artefact: str
    packaged: Packaged

    @property
    def core(self) -> Path:
        return self.runner.runtime.store.root / self.artefact

    def raw(self) -> RawData:
        return RawData.read(
            self.settings, self.candidate, cache=self.folder.parent, seed=self.runner.runtime.seed
        )


def shipped(
    settings: TaskSettings,
    family: str,
    folder: Path,
    *,
    precision: Precision | None = None,
    threshold: float | None = None,
    cascade: float | None = None,
    ensemble: bool = False,
) -> Shipped:
    """Trains a family's baseline for two epochs and packages it.

    A cascade puts a linear model before it, which passes on below that probability; an ensemble
    averages its answers with those of a linear model and of trees.
    """
    task = load_task(settings, cache=folder / "cache" / "data", seed=3)
    context = LocalContext(Instruments((CpuModelMeter(WattsPerThread(4, 2, 8, "test")),)))
    store = LineageStore(folder / "cache" / "lineage")
    runner = TrialRunner(
        Runtime(ModelFactory(task, "cpu"), store, context, seed=3, measuring=MEASURING)
    )
    candidate = Candidate(
        ArchitectureChoice(family, tuple(sorted(architecture(family).baseline().items()))),
        Training(learning_rate=5e-3, batch_size=32, epochs=2, patience=0),
        precision=precision or Precision(),
    )
    if cascade is not None:
        linear = Candidate(ArchitectureChoice("sklearn:logistic", (("c", 1.0),)))
        behind = Cascade.to(candidate.to_json(), cascade)
        candidate = replace(linear, others=(behind,))
    if ensemble:
        names = ("sklearn:ridge" if task.facts.regression else "sklearn:logistic", TREES)
        others = [reference_candidate(name).to_json() for name in names]
        candidate = replace(candidate, others=(Ensemble.of(others),))
    artefact = runner.run(candidate).artefact
    out = folder / "out"
    out.mkdir()
    packaged = package(runner, PackageRequest(candidate, artefact, threshold, out), settings)
    write_script(out, packaged.kind)
    return Shipped(out, settings, runner, candidate, artefact, packaged)


def inspection(model: Shipped, scratch: Path, settings: TaskSettings | None = None) -> Inspection:
    """A packaged model with what a study would claim of it, as verification looks at it."""
    packaged, runtime = model.packaged, model.runner.runtime
    claims = Claims(
        **{each.name: getattr(packaged, each.name) for each in fields(FileFacts)},
        study="toy",
        trial=0,
        candidate=model.candidate.to_json(),
        setting=Setting(task={}, metering={}, seed=3, threads=1, batch=1, metric="accuracy"),
        fingerprint=runtime.models.task.facts.fingerprint,
        baseline=None,
        processor=describe_cpu().name,
        model_alone=packaged.cost.energy,
    )
    text = json.dumps(model.candidate.to_json())
    (model.folder / CANDIDATE).write_text(text, encoding="utf-8")
    scratch.mkdir(parents=True, exist_ok=True)
    return Inspection(model.folder, claims, runtime, settings or model.settings, scratch)


def table(folder: Path, *, number: bool = False, rows: int = 160) -> TaskSettings:
    """Numbers, thousands, a date, truth values and categories, a tenth of the cells missing."""
    random = np.random.default_rng(5)
    kinds = random.integers(0, 2, rows)

    def cell(text: str) -> str:
        return "" if random.random() < 0.1 else text

    lines = ["label;when;colour;size;flag;goal"]
    for kind in kinds.tolist():
        colour = COLOURS[int(random.integers(0, 2)) + 2 * kind]
        day = f"2024-{random.integers(1, 13):02d}-{random.integers(1, 29):02d} 10:30"
        size = f"{random.normal(2000 * kind, 900):,.2f}"
        goal = f"{kind * 10 + random.normal():.3f}" if number else ("yes", "no")[kind]
        flag = ("true", "FALSE")[int(random.integers(0, 2))]
        quoted = '"' + colour.replace('"', '""') + ' "'
        cells = [f"{random.normal():.9f}", day, quoted, size, flag]
        lines.append(";".join([*map(cell, cells), goal]))
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return TaskSettings("csv", path=str(path), target="goal")


def images(folder: Path) -> TaskSettings:
    """Photos of several sizes, grey and coloured, some of them transparent."""
    from PIL import Image

    random = np.random.default_rng(5)
    for name, shade in (("dark", 60), ("light", 190)):
        place = folder / "images" / name
        place.mkdir(parents=True)
        for number in range(12):
            height, width = random.integers(9, 50, 2).tolist()
            mode, channels = (("L", 0), ("RGB", 3), ("RGBA", 4))[number % 3]
            shape = (height, width, channels) if channels else (height, width)
            values = np.clip(random.normal(shade, 40, shape), 0, 255).astype(np.uint8)
            Image.fromarray(values, mode).save(place / f"{number}.png")
    return TaskSettings("images", path=str(folder / "images"), image_size=16)


def texts(folder: Path) -> TaskSettings:
    """Sentences of two kinds, one a row."""
    random = np.random.default_rng(5)
    words = {"good": ["fine", "great", "sunny", "well"], "bad": ["poor", "rainy", "worse", "no"]}
    lines = ["text,mood"]
    for number in range(80):
        mood = ("good", "bad")[number % 2]
        length = int(random.integers(3, 20))
        said = " ".join([*random.choice(words[mood], length), "the", str(number)])
        lines.append(f'"{said}, é",{mood}')
    path = folder / "texts.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return TaskSettings("text", path=str(path), target="mood")


ALONE = """
import runpy, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"greenfront", "torch", "onnx", "sklearn", "scipy", "pandas"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def alone(folder: Path, *inputs: str, said: str | None = None, code: int = 0) -> str:
    """Runs ``predict.py`` where neither we nor what trained the model can be imported."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE, str(folder / "predict.py"), *inputs],
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + (done.stderr if code else "")


def predictions(printed: str) -> Sequence[dict[str, object]]:
    """What ``--json`` printed."""
    return [json.loads(line) for line in printed.splitlines()]

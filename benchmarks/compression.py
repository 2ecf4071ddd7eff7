"""What pruning and fewer bits really save: each family's files beside its export at 32 bits.

Every file is made first; then all files of a family are run in turns, so that whatever else the
machine does meets each of them alike. Energy is read as a trial reads it. Weights are pretrained
where a family names them and random elsewhere, so agreement with the network that a file was
exported from says how true the file is, not how good the model.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import warnings
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

from greenfront.errors import TrialFailed
from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.pipeline.model_factory import ModelFactory, family_of
from greenfront.objectives.stages.evaluate import inference_cost, open_artefact
from greenfront.objectives.stages.export import to_onnx, weight_count
from greenfront.objectives.stages.int8 import compute_int8, fastest_int8, has_vnni
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.stages.parity import parity
from greenfront.objectives.stages.quantize import quantize_weights
from greenfront.objectives.tasks.task import Labelled, Task, TaskFacts
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.studies.config.study_file import INT8_PAYS

IMAGES, TABLE, TEXTS = (3, 64, 64), (64,), ()
FAMILIES: dict[str, tuple[int, ...]] = {
    "mlp": TABLE,
    "cnn": IMAGES,
    "timm:resnet50": IMAGES,
    "timm:mobilenetv2_100": IMAGES,
    "timm:tf_efficientnet_lite0@package": IMAGES,
    # Of 0.3 million weights: on smaller images than it was published for, calling it costs more
    # than running it.
    "timm:test_vit": (3, 160, 160),
    "hf:minilm": TEXTS,
    "bert": TEXTS,
    "distilbert": TEXTS,
}
QUICK = ("mlp", "cnn", "bert")
RATIOS = (0.0, 0.5, 0.75)
BITS = (32, 16, 8, 4)
CLASSES, EXAMPLES = 10, 64


@dataclass(frozen=True)
class File:
    """One file; ratios are to the family's export at 32 bits, unpruned."""

    family: str
    pruning: float
    bits: int
    kernels: str
    parameters: float
    bytes: float
    latency: float
    joules: float
    agreement: float


def toy_task(input_shape: tuple[int, ...]) -> Task:
    """Random inputs of the right shape; texts of 40 to 60 words."""
    rng = np.random.default_rng(0)
    labels = np.arange(EXAMPLES) % CLASSES
    if input_shape:
        inputs = rng.standard_normal((EXAMPLES, *input_shape)).astype(np.float32)
    else:
        words = np.array([f"word{index}" for index in range(500)])
        texts = [" ".join(rng.choice(words, rng.integers(40, 60))) for _ in labels]
        inputs = np.array(texts, dtype=object)
    split = Labelled(inputs, labels)
    names = tuple(str(index) for index in range(CLASSES))
    sizes = {"train": EXAMPLES, "validation": EXAMPLES, "test": EXAMPLES}
    return Task(TaskFacts("toy", input_shape, names, sizes, 0.1, "toy"), split, split, split)


def measured(name: str, input_shape: tuple[int, ...], repeats: int, seconds: float) -> list[File]:
    """Makes a family's files and runs them in turns."""
    networks = ModelFactory(toy_task(input_shape), "cpu")
    baseline = networks.baseline(name)
    shape = dict(baseline.architecture.shape)
    if "resolution" in shape:
        shape["resolution"] = input_shape[-1]
        choice = ArchitectureChoice(name, tuple(sorted(shape.items())))
        baseline = replace(baseline, architecture=choice)
    data = networks.data(baseline)
    inputs, padding = data.validation.inputs.numpy(), data.validation.padding
    context = LocalContext(detect())
    with tempfile.TemporaryDirectory() as folder:
        made = list(_files(networks, baseline, Path(folder)))
        sessions = [open_artefact(file.path, threads=1) for file in made]
        costs: list[list[tuple[float, float]]] = [[] for _ in made]
        for _ in range(repeats):
            for session, taken in zip(sessions, costs, strict=True):
                cost = inference_cost(
                    session,
                    inputs,
                    context,
                    phase="inference",
                    measuring=Measuring(block_seconds=seconds, least_blocks=1, most_blocks=1),
                    padding=padding,
                )
                taken.append((cost.latency_seconds, cost.reading.joules or float("nan")))
        whole, first = made[0], costs[0]
        return [
            File(
                name,
                file.pruning,
                file.precision.bits,
                file.kernels,
                file.parameters / whole.parameters,
                file.path.stat().st_size / whole.path.stat().st_size,
                statistics.median(t[0] / f[0] for t, f in zip(taken, first, strict=True)),
                statistics.median(t[1] / f[1] for t, f in zip(taken, first, strict=True)),
                file.agreement,
            )
            for file, taken in zip(made, costs, strict=True)
        ]


@dataclass(frozen=True)
class _Made:
    path: Path
    pruning: float
    precision: Precision
    kernels: str
    parameters: int
    agreement: float


def _files(networks: ModelFactory, baseline: Candidate, folder: Path) -> list[_Made]:
    data = networks.data(baseline)
    calibration = data.train.batch(slice(0, 32)).numpy()
    made: list[_Made] = []
    sources: dict[float, Path] = {}
    models: dict[float, torch.nn.Module] = {}
    for ratio in RATIOS:
        if ratio and family_of(baseline).cannot_prune:
            continue
        torch.manual_seed(0)
        model = networks.untrained(baseline)
        if ratio:
            networks.prune(model, replace(baseline, pruning=Pruning(ratio)), Pruning(ratio))
        sources[ratio], models[ratio] = folder / f"{ratio}.onnx", model.eval()
        to_onnx(model, data.train.inputs[:1], sources[ratio])
    try:
        int8 = fastest_int8(sources[0.0], calibration, reduce_range=not has_vnni(), threads=1)
    except TrialFailed:
        int8 = None
    for ratio, bits in product(sources, BITS):
        source, path = sources[ratio], folder / f"{ratio}-{bits}.onnx"
        kernels = "float32"
        precision = Precision(bits)
        if bits == 32:
            path = source
        elif bits != 8:
            quantize_weights(source, path, bits)
        elif int8 is None:
            continue
        else:
            offered = "" if int8.ratio <= INT8_PAYS else ", not offered"
            kernels = f"int8 {int8.recipe}{offered}"
            compute_int8(
                source, path, int8.recipe, calibration=calibration,
                reduce_range=not has_vnni(), trained=False,
            )  # fmt: skip
        likeness = parity(models[ratio], open_artefact(path, 1), data.validation)
        made.append(
            _Made(path, ratio, precision, kernels, weight_count(source), likeness.agreement)
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three small families")
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    parser.add_argument("--families", nargs="*", help="only these")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    repeats, seconds = (3, 0.05) if options.quick else (7, 0.2)
    names = options.families or (QUICK if options.quick else tuple(FAMILIES))
    found: list[File] = []
    print("family, pruning, bits: ratios to the same family's export at 32 bits, unpruned")
    for name in names:
        for file in measured(name, FAMILIES.get(name, IMAGES), repeats, seconds):
            found.append(file)
            print(
                f"{file.family:36} {file.pruning:4.2f} {file.bits:3} bits  "
                f"parameters {file.parameters:5.2f}  bytes {file.bytes:5.2f}  "
                f"latency {file.latency:5.2f}  joules {file.joules:5.2f}  "
                f"agreement {file.agreement:4.2f}  {file.kernels}",
                flush=True,
            )
    if options.json:
        print(json.dumps({"files": [asdict(file) for file in found]}))


if __name__ == "__main__":
    main()

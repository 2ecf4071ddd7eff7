"""The end of a trial's chain: from a trained network to the file that is credited.

load → export → quantize → compare with the network → hold to what it claims
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import nn

from greenfront.objectives.context import StageContext
from greenfront.objectives.pipeline.lineage import Kept, LineageStore, lineage_key
from greenfront.objectives.pipeline.model_factory import ModelFactory, family_of
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.evaluate import Measuring, open_artefact
from greenfront.objectives.stages.examples import Examples, TrainingData
from greenfront.objectives.stages.export import to_onnx, weight_count
from greenfront.objectives.stages.int8 import Int8Choice, fastest_int8, has_vnni
from greenfront.objectives.stages.parity import parity
from greenfront.objectives.stages.quantize import quantize
from greenfront.objectives.stages.reality import Claim, unreal
from greenfront.objectives.stages.sparsify import compressed_bytes, zero_share
from greenfront.objectives.stages.torch_file import torch_error, write_torch_file
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.precision import Precision

__all__ = ["MODEL", "TORCH_MODEL", "WEIGHTS", "Exporting", "computes_int8"]

WEIGHTS = "weights.safetensors"
MODEL = "model.onnx"
TORCH_MODEL = "model.pt2"
REFERENCE = "reference.onnx"
CALIBRATION_EXAMPLES = 128
COMPARED_EXAMPLES = 256
"""Enough to see whether file and network agree; all of a large split would cost minutes."""


def computes_int8(precision: Precision) -> bool:
    """Whether the weights run in int8 kernels, instead of being packed on disk alone."""
    return precision.bits == 8 and not precision.weight_only


class Exporting:
    """Makes the files of one task's networks.

    Args:
        networks: Of the task.
        store: Where files are kept.
        context: Meters the phases.
        seed: Of the study.
        measuring: How predictions are measured, and so how int8 recipes are compared.
        torch_file: Whether to write a file for torch, too; always where networks are trained on a
            GPU, which ONNX Runtime as it is installed here would not use.

    Attributes:
        reduce_range: Whether int8 weights use seven bits: the CPU would saturate otherwise.
    """

    def __init__(
        self,
        networks: ModelFactory,
        store: LineageStore,
        context: StageContext,
        *,
        seed: int,
        measuring: Measuring,
        torch_file: bool = False,
    ) -> None:
        self.networks = networks
        self.store = store
        self.context = context
        self.seed = seed
        self.measuring = measuring
        self.torch_file = torch_file or networks.device == "cuda"
        self.reduce_range = not has_vnni()

    def exported(self, candidate: Candidate, parent_key: str, parent: Kept) -> Kept:
        """Exports, quantizes, compares and judges a network, or finds what that has left.

        Args:
            candidate: Knobs.
            parent_key: Of the stage whose weights are exported.
            parent: Its output.
        """
        precision = candidate.precision
        recipe = (
            self.int8(candidate.architecture.family).recipe if computes_int8(precision) else None
        )
        key = lineage_key(
            "export",
            parent_key,
            {
                "bits": precision.bits,
                "weight_only": precision.weight_only,
                "recipe": recipe,
                "reduce_range": self.reduce_range,
                **({"torch_file": True} if self.torch_file else {}),
            },
        )

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            path, reference, readings = folder / MODEL, folder / REFERENCE, {}
            floating = 0
            data = self.networks.data(candidate)
            with self.context.phase("export") as window:
                model = self.networks.build(candidate)
                unpruned = sum(w.numel() for w in model.parameters() if w.ndim >= 2)
                model = self.networks.restore(model, parent.folder / WEIGHTS)
                flops = self.networks.flops(model, candidate)
                to_onnx(model, data.train.inputs[:1], reference)
                if self.torch_file:
                    self._write_torch_file(model, data, folder / TORCH_MODEL)
                family_of(candidate).save_encoder(
                    dict(candidate.architecture.shape), self.networks.task.train.inputs, folder
                )
            readings["export"] = window.total
            if precision.bits == 32:
                reference.rename(path)
                reference = path
            else:
                with self.context.phase("quantize") as window:
                    floating = self.quantized(candidate, data, reference, path)
                readings["quantize"] = window.total
            with self.context.phase("evaluate"):
                session = open_artefact(path, self.measuring.threads)
                compared = Examples(
                    data.validation.inputs[:COMPARED_EXAMPLES],
                    data.validation.labels[:COMPARED_EXAMPLES],
                    data.validation.padding,
                )
                likeness = parity(model, session, compared)
                written = folder / TORCH_MODEL
                torch_file = torch_error(model, written, compared) if written.exists() else None
                claim = Claim(
                    precision,
                    unpruned if candidate.pruning.ratio else None,
                    candidate.sparsity.share,
                )
                reasons = unreal(claim, reference, path, compared.inputs[:1].cpu().numpy())
            weights = weight_count(reference)
            if reference != path:
                reference.unlink()
            return readings, {
                "flops": flops,
                "weights": weights,
                "max_error": likeness.max_error,
                "agreement": likeness.agreement,
                "torch_file_error": torch_file,
                "unreal": list(reasons),
                "floating_layers": floating,
                "zeros": zero_share(path),
                "compressed_bytes": compressed_bytes(path) if candidate.sparsity.share else None,
            }

        return self.store.made(key, make)[0]

    def _write_torch_file(self, model: nn.Module, data: TrainingData, path: Path) -> None:
        try:
            write_torch_file(model, data.train, path)
        except RuntimeError as error:
            # The ONNX file is what is credited: without this one the trial goes on.
            reason = str(error).splitlines()[0]
            self.context.progress(f"no file for torch: it cannot follow the network ({reason})")

    def int8(self, name: str) -> Int8Choice:
        """The int8 recipe that is fastest for a family, as this study measures, on this machine.

        Measured once, on the family's untrained baseline, and remembered.
        """
        baseline = self.networks.baseline(name)
        threads, batch = self.measuring.threads, self.measuring.batch
        key = self.networks.family_key(
            "int8",
            name,
            {
                "reduce_range": self.reduce_range,
                "threads": threads,
                "batch": batch,
                "onnxruntime": onnxruntime.__version__,
            },
        )

        def make(folder: Path) -> tuple[Mapping[str, Reading], Mapping[str, Any]]:
            data = self.networks.data(baseline)
            with self.context.phase("size") as window:
                torch.manual_seed(self.seed)
                model = self.networks.untrained(baseline)
                path = folder / REFERENCE
                to_onnx(model, data.train.inputs[:1], path)
                choice = fastest_int8(
                    path,
                    self._calibration(data),
                    reduce_range=self.reduce_range,
                    threads=threads,
                    batch=batch,
                )
                path.unlink()
            return {"size": window.total}, choice.to_json()

        return Int8Choice.from_json(self.store.made(key, make)[0].facts)

    def quantized(
        self,
        candidate: Candidate,
        data: TrainingData,
        source: Path,
        target: Path,
        *,
        trained: bool = True,
    ) -> int:
        """Writes ``target`` with a candidate's bits, which are fewer than 32.

        Returns:
            How many layers of int8 kernels stay at 32 bits.
        """
        return quantize(
            source,
            target,
            candidate.precision,
            recipe=self.int8(candidate.architecture.family).recipe
            if computes_int8(candidate.precision)
            else "dynamic",
            calibration=self._calibration(data),
            reduce_range=self.reduce_range,
            trained=trained,
        )

    @staticmethod
    def _calibration(data: TrainingData) -> Any:
        return data.train.batch(slice(0, CALIBRATION_EXAMPLES)).cpu().numpy()

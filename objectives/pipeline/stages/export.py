"""From a trained network to the file that is credited.

load → export → quantize → compare with the network → hold to what it claims
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from greenfront.errors import first_line
from greenfront.objectives.pipeline.int8_policy import (
    computes_half,
    int8_recipe,
    quantized,
    reduces_range,
)
from greenfront.objectives.pipeline.lineage import Made, lineage_key
from greenfront.objectives.pipeline.model_factory import family_of
from greenfront.objectives.pipeline.stage import WEIGHTS, Stage, StageJob
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.examples import Examples
from greenfront.objectives.stages.export import to_onnx, weight_count
from greenfront.objectives.stages.parity import parity
from greenfront.objectives.stages.quantize import PACKING
from greenfront.objectives.stages.reality import Claim, unreal
from greenfront.objectives.stages.sparsify import compressed_bytes, zero_share
from greenfront.objectives.stages.torch_file import torch_error, write_torch_file
from greenfront.spaces.candidate import Candidate
from greenfront.spaces.techniques.layer_bits import LayerBits
from greenfront.spaces.techniques.precision import Precision

__all__ = ["COMPARED_EXAMPLES", "MODEL", "STAGE", "Export", "ExportFacts", "claim_of"]

MODEL = "model.onnx"
TORCH_MODEL = "model.pt2"
REFERENCE = "reference.onnx"
COMPARED_EXAMPLES = 256
"""Enough to see whether file and network agree; all of a large split would cost minutes."""


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """What is known of an exported file; names and meanings are those of :class:`Outcome`."""

    parameters: int
    flops: int
    max_error: float
    agreement: float | None
    unreal: tuple[str, ...] = ()
    torch_file_error: float | None = None
    floating_layers: int = 0
    zeros: float = 0.0
    compressed_bytes: int | None = None
    relative_error: float | None = None
    passed_on: float | None = None


def claim_of(candidate: Candidate, untouched_weights: int | None) -> Claim:
    """What is claimed for the file of a candidate that stands alone."""
    return Claim(
        candidate.precision,
        untouched_weights,
        candidate.sparsity.share,
        mixed=not candidate.of(LayerBits).untouched,
    )


class Export(Stage):
    """Writes, compares and judges the file; its facts are :class:`ExportFacts`."""

    name = "export"
    order = 90

    def inputs(self, candidate: Candidate) -> Mapping[str, Any]:
        """Bits, how 16 and 8 of them are computed here, and which files are written."""
        packed, bits = candidate.precision.packed, candidate.precision.bits
        floating = candidate.of(LayerBits).floating if bits == 8 else ()
        return {
            "bits": bits,
            "recipe": int8_recipe(self.runtime, candidate),
            "reduce_range": reduces_range(candidate.precision),
            "torch_file": self.runtime.torch_file,
            **({"half": True} if computes_half(self.runtime, candidate.precision) else {}),
            **({"packing": PACKING} if packed else {}),
            **({"floating": list(floating)} if floating else {}),
        }

    def make(self, job: StageJob) -> Made:
        """Exports at 32 bits, quantizes that, and compares both with the network.

        What another trial has exported of the same weights is not exported again; its reading is
        what this model costs alone.
        """
        runtime, candidate, folder = self.runtime, job.candidate, job.folder
        path, reference, written = folder / MODEL, folder / REFERENCE, folder / TORCH_MODEL
        data = runtime.models.data(candidate)
        readings, floating = {}, 0
        with runtime.context.phase("export") as window:
            model = runtime.models.load(candidate, job.parent_weights)
            flops = runtime.models.flops(model, candidate)
            model = runtime.models.in_target_unit(model, candidate)
            known = self._copied(job)
            if known is None:
                to_onnx(model, data.train.inputs[:1], reference)
                if runtime.torch_file:
                    self._write_torch_file(model, data.train, written)
            family_of(candidate).save_encoder(
                dict(candidate.architecture.shape), runtime.models.task.train.inputs, folder
            )
        readings["export"] = known or window.total
        if candidate.precision.bits == 32:
            reference = reference.rename(path)
        else:
            with runtime.context.phase("quantize") as window:
                floating = quantized(runtime, candidate, reference, path)
            readings["quantize"] = window.total
        with runtime.context.phase("evaluate"):
            compared = Examples(
                data.validation.inputs[:COMPARED_EXAMPLES],
                data.validation.labels[:COMPARED_EXAMPLES],
                data.validation.padding,
            )
            likeness = parity(model, open_artefact(path, runtime.measuring.threads), compared)
            torch_file_error = torch_error(model, written, compared) if written.exists() else None
            unpruned = self._unpruned_weights(job) if candidate.pruning.ratio else None
            claim = claim_of(candidate, unpruned)
            reasons = unreal(claim, reference, path, compared.inputs[:1].cpu().numpy())
        facts = ExportFacts(
            parameters=weight_count(reference),
            flops=flops,
            max_error=likeness.max_error,
            agreement=likeness.agreement,
            unreal=reasons,
            torch_file_error=torch_file_error,
            floating_layers=floating,
            zeros=zero_share(path),
            compressed_bytes=compressed_bytes(path) if candidate.sparsity.share else None,
            relative_error=likeness.relative_error,
        )
        if reference != path:
            reference.unlink()
        return Made(readings, facts)

    def _copied(self, job: StageJob) -> Reading | None:
        """Takes the files at 32 bits from the export of the same weights, where one is kept.

        Returns:
            What that has cost; ``None`` where there is none.
        """
        if job.candidate.precision.bits == 32:
            return None
        whole = replace(job.candidate, precision=Precision(32))
        found = self.runtime.store.find(self.key(whole, job.earlier))
        if found is None:
            return None
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile, to make room
            shutil.copyfile(found.folder / MODEL, job.folder / REFERENCE)
            if (found.folder / TORCH_MODEL).exists():
                shutil.copyfile(found.folder / TORCH_MODEL, job.folder / TORCH_MODEL)
            return found.readings["export"]
        return None

    def _unpruned_weights(self, job: StageJob) -> int:
        """Numbers in the weights of the unpruned network's file, counted once an architecture.

        Files are compared: a weight that layers share is stored once for each of them where they
        are followed by different normalisations, which are folded into it.
        """
        runtime, candidate = self.runtime, job.candidate
        trained = job.earlier["train"].folder / WEIGHTS

        def make(folder: Path) -> Made:
            path, example = folder / REFERENCE, runtime.models.data(candidate).train.inputs[:1]
            with runtime.context.phase("evaluate") as window:
                to_onnx(runtime.models.load(candidate, trained), example, path)
                count = weight_count(path)
                path.unlink()
            return Made({"evaluate": window.total}, count)

        knobs = {
            "architecture": candidate.to_json()["architecture"],
            "weights": family_of(candidate).fingerprint(),
            "torch": torch.__version__,
        }
        parent = runtime.models.task.facts.fingerprint
        key = lineage_key("unpruned", parent, knobs)
        return int(runtime.store.output(key, make, stage="unpruned").facts)

    def _write_torch_file(self, model: nn.Module, examples: Examples, path: Path) -> None:
        try:
            write_torch_file(model, examples, path)
        except RuntimeError as error:
            # The ONNX file is what is credited: without this one the trial goes on.
            self.runtime.context.progress(
                f"no file for torch: it cannot follow the network ({first_line(error)})"
            )


STAGE = Export

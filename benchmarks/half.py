"""What a network in half floats takes on a CPU, which has no kernels for them on x86.

Prints for each family, untrained: bytes and CPU time of a prediction over those at 32 bits (median
of rounds in which both were timed in turn), and the largest difference of the logits over their
spread.

    python benchmarks/half.py --families lenet cnn timm:mobilenetv3_small_050 --rounds 15
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from greenfront.objectives.stages.evaluate import open_artefact
from greenfront.objectives.stages.export import INPUT, to_onnx
from greenfront.objectives.stages.half import compute_half
from greenfront.spaces.architectures.registry import network

BLOCK_SECONDS = 0.05


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="+", default=["lenet", "cnn", "timm:test_vit"])
    parser.add_argument("--side", type=int, default=32, help="of the images, in pixels")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    images = np.random.default_rng(0).standard_normal((16, 3, options.side, options.side))
    for name in options.families:
        row = compared(name, images.astype(np.float32), options.rounds)
        print(f"{name}: {row[0]:.3f} of the bytes, {row[1]:.2f} of the time, {row[2]:.1e} off")


def compared(name: str, images: np.ndarray, rounds: int) -> tuple[float, float, float]:
    """Bytes and time in half floats over those at 32 bits, and how far its answers are off."""
    family = network(name)
    torch.manual_seed(0)
    model = family.build(dict(family.baseline()), images.shape[1:], 10)
    with tempfile.TemporaryDirectory() as folder:
        whole, half = Path(folder) / "whole.onnx", Path(folder) / "half.onnx"
        to_onnx(model, images.shape[1:], whole)
        compute_half(whole, half)
        size = half.stat().st_size / whole.stat().st_size
        sessions = [open_artefact(path, threads=1) for path in (whole, half)]
    wanted, given = (session.run(None, {INPUT: images})[0] for session in sessions)
    off = float(np.abs(given - wanted).max() / wanted.std())
    calls = max(1, round(BLOCK_SECONDS / min(seconds(sessions[0], images[:1], 3) for _ in "ab")))
    ratios = []
    for _ in range(rounds):
        base, taken = (seconds(session, images[:1], calls) for session in sessions)
        ratios.append(taken / base)
    return size, statistics.median(ratios), off


def seconds(session: onnxruntime.InferenceSession, image: np.ndarray, calls: int) -> float:
    """Of the CPU, a call."""
    began = time.process_time()
    for _ in range(calls):
        session.run(None, {INPUT: image})
    return (time.process_time() - began) / calls


if __name__ == "__main__":
    main()

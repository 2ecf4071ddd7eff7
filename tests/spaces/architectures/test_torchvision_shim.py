from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

SHIM = "from greenfront.spaces.architectures.torchvision_shim import _kept, allow_torchvision\n"

needs_torchvision = pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed"
)


def run(code: str) -> None:
    """In a fresh process: what was imported once cannot be imported differently."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHIM + code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@needs_torchvision
def test_torchvision_can_be_imported_and_used() -> None:
    run(
        "allow_torchvision()\n"
        "import torch, torchvision\n"
        "resize = torchvision.transforms.Resize((4, 4))\n"
        "assert resize(torch.zeros(3, 8, 8)).shape == (3, 4, 4)"
    )


@needs_torchvision
def test_a_second_call_declares_nothing() -> None:
    run(
        "allow_torchvision()\n"
        "kept = list(_kept)\n"
        "allow_torchvision()\n"
        "assert _kept == kept and len(kept) <= 1\n"
        "import torch\n"
        "assert torch.ops.torchvision.nms is not None"
    )


@needs_torchvision
def test_operators_that_are_there_are_left_alone() -> None:
    run(
        "import torch\n"
        "own = torch.library.Library('torchvision', 'DEF')\n"
        "own.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "allow_torchvision()\n"
        "assert _kept == []"
    )


def test_without_torchvision_nothing_is_imported() -> None:
    run(
        "import sys\n"
        "sys.modules['torchvision'] = None\n"
        "allow_torchvision()\n"
        "assert 'torch' not in sys.modules and _kept == []"
    )

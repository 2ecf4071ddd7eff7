"""Spaces of NNI live whole lives: see :class:`LifeContract`."""

from __future__ import annotations

import importlib.util
import os
from typing import ClassVar

import pytest

from contracts.lives import LifeContract

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("nni") is None and os.environ.get("GREENFRONT_REQUIRE_NNI") != "1",
        reason="nni is not installed",
    ),
]


class TestNasBench201(LifeContract):
    name = "nni:nasbench201"
    # Every operator of the space.
    shape: ClassVar = {"cell_0_2": "conv_1x1", "cell_1_2": "none", "cell_1_3": "avg_pool_3x3"}


class TestMobileNetV3(LifeContract):
    name = "nni:mobilenetv3"

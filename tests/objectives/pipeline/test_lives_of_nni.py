"""Spaces of NNI live whole lives: see :class:`LifeContract`."""

from __future__ import annotations

import importlib.util
import os

import pytest

from contracts.lives import LifeContract

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("nni") is None and os.environ.get("GREENFRONT_REQUIRE_NNI") != "1",
        reason="nni is not installed",
    ),
]


class TestNasBench201(LifeContract):
    name = "nni:nasbench201"


class TestMobileNetV3(LifeContract):
    name = "nni:mobilenetv3"

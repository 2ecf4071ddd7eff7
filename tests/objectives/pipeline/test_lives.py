"""Every family that ships lives a whole life: see :class:`LifeContract`."""

from __future__ import annotations

import importlib.util
import os

import pytest

from contracts.lives import LifeContract

with_nni = pytest.mark.skipif(
    importlib.util.find_spec("nni") is None and os.environ.get("GREENFRONT_REQUIRE_NNI") != "1",
    reason="nni is not installed",
)


class TestMlp(LifeContract):
    name = "mlp"
    input_shape = (48,)
    largest_share = 0.7


class TestCnn(LifeContract):
    name = "cnn"


class TestResNet50(LifeContract):
    name = "timm:resnet50"


class TestMobileNetV2(LifeContract):
    name = "timm:mobilenetv2_100"


class TestEfficientNetLite0Pretrained(LifeContract):
    name = "timm:tf_efficientnet_lite0@package"


class TestVisionTransformer(LifeContract):
    name = "timm:test_vit"


class TestMiniLMPretrained(LifeContract):
    name = "hf:minilm"
    input_shape = ()


class TestBert(LifeContract):
    name = "bert"
    input_shape = ()


class TestDistilBert(LifeContract):
    name = "distilbert"
    input_shape = ()


@with_nni
class TestNasBench201(LifeContract):
    name = "nni:nasbench201"


@with_nni
class TestMobileNetV3(LifeContract):
    name = "nni:mobilenetv3"


class TestOwnNetwork(LifeContract):
    name = "contracts.own_network:build"

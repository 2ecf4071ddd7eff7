"""Large networks of timm live whole lives: see :class:`LifeContract`."""

from __future__ import annotations

import pytest

from contracts.lives import LifeContract

pytestmark = pytest.mark.slow


class TestResNet50(LifeContract):
    name = "timm:resnet50"


class TestMobileNetV2(LifeContract):
    name = "timm:mobilenetv2_100"


class TestEfficientNetLite0Pretrained(LifeContract):
    name = "timm:tf_efficientnet_lite0@package"

"""Large networks of timm live whole lives: see :class:`LifeContract`."""

from __future__ import annotations

from typing import ClassVar

from contracts.lives import LifeContract


class TestResNet50(LifeContract):
    name = "timm:resnet50"
    shape: ClassVar = {"width": 0.25, "depth": 0.5}


class TestMobileNetV2(LifeContract):
    name = "timm:mobilenetv2_100"
    shape: ClassVar = {"resolution": 32}


class TestEfficientNetLite0Pretrained(LifeContract):
    name = "timm:tf_efficientnet_lite0@package"
    shape: ClassVar = {"resolution": 32}

"""Small families live whole lives: see :class:`LifeContract`."""

from __future__ import annotations

from contracts.lives import LifeContract


class TestMlp(LifeContract):
    name = "mlp"
    input_shape = (48,)
    largest_share = 0.7


class TestCnn(LifeContract):
    name = "cnn"


class TestVisionTransformer(LifeContract):
    name = "timm:test_vit"


class TestOwnNetwork(LifeContract):
    name = "contracts.own_network:build"

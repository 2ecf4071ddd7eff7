"""Families of texts live whole lives: see :class:`LifeContract`."""

from __future__ import annotations

from typing import ClassVar

from contracts.lives import LifeContract


class TestMiniLMPretrained(LifeContract):
    name = "hf:minilm"
    shape: ClassVar = {"layers": 2, "length": 32}
    input_shape = ()


class TestBert(LifeContract):
    name = "bert"
    shape: ClassVar = {"hidden": 64, "length": 32}
    input_shape = ()


class TestDistilBert(LifeContract):
    name = "distilbert"
    shape: ClassVar = {"hidden": 64, "length": 32}
    input_shape = ()

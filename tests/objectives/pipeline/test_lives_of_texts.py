"""Families of texts live whole lives: see :class:`LifeContract`."""

from __future__ import annotations

import pytest

from contracts.lives import LifeContract

pytestmark = pytest.mark.slow


class TestMiniLMPretrained(LifeContract):
    name = "hf:minilm"
    input_shape = ()


class TestBert(LifeContract):
    name = "bert"
    input_shape = ()


class TestDistilBert(LifeContract):
    name = "distilbert"
    input_shape = ()

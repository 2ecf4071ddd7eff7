from __future__ import annotations

import pytest
import torch
from torch import nn

from greenfront.objectives.stages.averaging import RunningMean


def test_the_mean_of_what_stands_still_is_that() -> None:
    model = nn.Linear(3, 2)
    mean = RunningMean(model, 100)
    before = model.weight.clone()
    for _ in range(5):
        mean.update()
    with mean.shown():
        torch.testing.assert_close(model.weight, before)
    assert torch.equal(model.weight, before)


def test_it_is_the_exponential_mean() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.zero_()
    mean = RunningMean(model, 40)  # reaches back two steps: half of it stays at each
    expected = 0.0
    for update in range(1, 30):
        model.weight.data.fill_(float(update))
        mean.update()
        kept = min(0.5, update / (update + 10))
        expected = kept * expected + (1 - kept) * update
    with mean.shown():
        assert model.weight.item() == pytest.approx(expected)
        assert 26 < expected < 29
    assert model.weight.item() == 29


def test_buffers_are_averaged_and_counts_are_not() -> None:
    layer = nn.BatchNorm1d(2)
    mean = RunningMean(layer, 40)
    layer.train()(torch.randn(8, 2) + 5)
    moved = layer.running_mean
    assert moved is not None
    own = moved.clone()
    mean.update()
    with mean.shown():
        assert (moved > 0).all()
        assert (moved < own).all()
        assert layer.num_batches_tracked == 1
    assert torch.equal(moved, own)


def test_a_step_after_it_was_shown_goes_on_from_the_own_weights() -> None:
    model = nn.Linear(2, 1)
    steps = torch.optim.SGD(model.parameters(), lr=0.1)
    mean = RunningMean(model, 10)
    with mean.shown():
        pass
    before = model.weight.clone()
    model(torch.ones(1, 2)).sum().backward()
    steps.step()
    torch.testing.assert_close(model.weight, before - 0.1)

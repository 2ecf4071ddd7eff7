"""Networks that learnt standardised numbers answer in the target's unit, at no cost if they can."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from greenfront.objectives.stages.parity import compared
from greenfront.objectives.stages.target_unit import in_target_unit
from greenfront.objectives.tasks.task import TargetScale

SCALE = TargetScale(1e4, 250.0, constant_rmse=250.0, constant_mae=200.0)
INPUTS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


class Positive(nn.Module):
    """A network whose last layer does not give its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.softplus(self.head(inputs))


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)), 3),
        (nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1, bias=False)), None),
        (Positive(), None),
    ],
)
def test_answers_are_those_of_before_in_the_unit_of_the_target(
    model: nn.Module, layers: int | None
) -> None:
    before = copy.deepcopy(model).eval()
    found = in_target_unit(model, list(model.children())[-1], SCALE, INPUTS[:2])
    with torch.no_grad():
        wanted = 1e4 + 250 * before(INPUTS)
        torch.testing.assert_close(found(INPUTS), wanted, rtol=1e-6, atol=0.05)
    # Folded into the last layer, there is no operation more.
    assert (found is model) == (layers is not None)


def test_a_head_that_is_not_the_answer_is_left_as_it_was() -> None:
    model = Positive()
    weights = copy.deepcopy(model.state_dict())
    in_target_unit(model, model.head, SCALE, INPUTS)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=0, atol=0)


def test_numbers_are_compared_by_their_spread() -> None:
    wanted = torch.tensor([[0.0], [2.0], [4.0], [6.0]])
    likeness = compared(wanted + 0.5, wanted, numbers=True)
    assert likeness.max_error == 0.5
    assert likeness.agreement is None
    assert likeness.relative_error == pytest.approx(0.5 / 5**0.5)
    assert compared(wanted * 0 + 1, wanted * 0, numbers=True).relative_error is None
    same = compared(wanted, wanted, numbers=True)
    assert (same.max_error, same.relative_error) == (0.0, 0.0)

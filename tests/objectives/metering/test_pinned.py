"""Machines of a study: unlike ones are refused, or told."""

from __future__ import annotations

import pytest

from contracts.hardware import FakeCard, FakeNvml
from greenfront.errors import MeterError
from greenfront.objectives.metering.cpu_model import (
    CpuDescription,
    CpuModelMeter,
    generic_watts,
)
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.pinned import (
    metered_card,
    metered_machines,
    require_pinned,
    with_machine_of,
)
from greenfront.studies.analysis.words.wording import unlike_machines_sentence

Pin = list[dict[str, str]]


def pin(name: str, monkeypatch: pytest.MonkeyPatch) -> Pin:
    described = CpuDescription(name=name, threads=8, cores=4, virtual=False)
    monkeypatch.setattr(
        "greenfront.objectives.metering.instruments.describe_cpu", lambda: described
    )
    return Instruments((CpuModelMeter(generic_watts()),)).pin()


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> Pin:
    return pin("Core One", monkeypatch)


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Pin:
    return pin("Core Two", monkeypatch)


def test_the_processor_is_pinned(first: Pin) -> None:
    assert metered_machines(first) == ("Core One",)
    require_pinned(first, first)
    assert with_machine_of(first, first) == first
    assert unlike_machines_sentence(first) is None


@pytest.mark.parametrize("idle", [None, 20.0])
@pytest.mark.parametrize("count", [1, 2])
def test_cards_are_named_by_the_source_of_their_meter(
    first: Pin, count: int, idle: float | None
) -> None:
    nvml = FakeNvml([FakeCard(f"GPU-{number}") for number in range(count)])
    assert metered_card([*first, *Instruments((nvml.meter(idle=idle),)).pin()]) == "NVIDIA A100"
    assert metered_card(first) == ""


def test_an_unlike_one_is_refused_with_the_way_out(first: Pin, other: Pin) -> None:
    with pytest.raises(MeterError, match=r"'Core One', got 'Core Two': .*machines = \"any\""):
        require_pinned(first, other)


def test_where_it_is_allowed_every_one_is_told_once(
    first: Pin, other: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_pinned(first, other, "any")
    both = with_machine_of(first, other)
    assert metered_machines(both) == ("Core One", "Core Two")
    assert with_machine_of(both, other) == with_machine_of(both, first) == both
    third = with_machine_of(both, pin("Core Three", monkeypatch))
    assert metered_machines(third) == ("Core One", "Core Two", "Core Three")
    told = unlike_machines_sentence(third)
    assert told is not None
    assert "3 unlike processors (Core One, Core Two, Core Three)" in told
    # What has been allowed once is no reason to refuse later.
    require_pinned(both, other)


def test_a_study_that_knows_no_processor_takes_any(first: Pin) -> None:
    older = [{key: value for key, value in first[0].items() if key != "machine"}]
    require_pinned(older, first)
    assert with_machine_of(older, first) == older
    assert metered_machines(older) == ()


def test_other_watts_are_refused_on_any_machine(first: Pin, other: Pin) -> None:
    changed = [{**other[0], "source": "another"}]
    with pytest.raises(MeterError, match="cpu energy was"):
        require_pinned(first, changed, "any")

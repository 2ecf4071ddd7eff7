from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from greenfront.cli.doctor_text import card_text, comparison_text, instruments_text
from greenfront.objectives.metering.crosscheck import CrossCheck
from greenfront.objectives.metering.nvml_power import Compared
from greenfront.objectives.metering.survey import ComponentStatus
from greenfront.objectives.readings import Reading

NEEDED: dict[str, Any] = {
    "component": "cpu",
    "name": "CPU counter (RAPL)",
    "kind": "measured",
    "source": "RAPL counters",
    "resolution_seconds": 0.02,
    "chosen": True,
    "missing": None,
    "remedy": None,
}


def status(**changed: Any) -> ComponentStatus:
    return ComponentStatus(**NEEDED | changed)


def printed(*statuses: ComponentStatus) -> list[str]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(instruments_text(statuses))
    return capture.get().splitlines()


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (
            status(idle_watts=11.46),
            "  → CPU counter (RAPL): measured by RAPL counters; tells windows from 20.0 ms on; the "
            "idle machine draws 11.5 W.",
        ),
        (
            status(remark="idle power: measured for 10 s before a study"),
            "  → CPU counter (RAPL): measured by RAPL counters; tells windows from 20.0 ms on; "
            "idle power: measured for 10 s before a study.",
        ),
        (
            status(kind="modelled", source="seconds × 4 W", resolution_seconds=0.0),
            "  → CPU counter (RAPL): modelled by seconds × 4 W; needs no idle baseline.",
        ),
        (
            status(
                kind="unavailable",
                source=None,
                resolution_seconds=None,
                chosen=False,
                missing="RAPL: needs a counter",
                remedy="run 'sudo modprobe x'",
            ),
            "    CPU counter (RAPL): RAPL: needs a counter. Remedy: run 'sudo modprobe x'.",
        ),
    ],
)
def test_each_instrument_is_told_in_words(shown: ComponentStatus, line: str) -> None:
    assert line in printed(shown)


def test_each_component_says_how_it_is_metered_and_the_chosen_instrument_comes_first() -> None:
    lines = printed(
        status(name="a", chosen=False),
        status(name="b", kind="modelled"),
        status(name="c", component="gpu", chosen=False),
    )
    assert [line for line in lines if not line.startswith(" ")] == [
        "CPU: modelled",
        "GPU: not metered",
        "Memory: not metered",
    ]
    assert [line.split(":")[0].strip(" →") for line in lines if line.startswith(" ")] == list("bac")


@pytest.mark.parametrize(
    ("theirs", "words"),
    [(30.0, "ratio 3.00, their bands overlap"), (None, "ratio unknown, their bands do not")],
)
def test_a_cross_check_is_one_sentence(theirs: float | None, words: str) -> None:
    ours = Reading(10.0, 5.0, 40.0, "modelled", "s", 3.0, 4.0)
    other = Reading(theirs, theirs, theirs, "modelled", "CodeCarbon 3", 3.0, 4.0)
    assert words in str(comparison_text(CrossCheck(ours, other)))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Compared(3.0, 300.0, 309.0, 0.12), "(+3.0%); they agree within 12%."),
        (Compared(3.0, 300.0, 150.0, 0.12), "(-50.0%); they do not agree within 12%."),
        (None, "tells no instant power"),
    ],
)
def test_the_cross_check_of_a_gpu_is_one_sentence(found: Compared | None, words: str) -> None:
    assert words in str(card_text(found))

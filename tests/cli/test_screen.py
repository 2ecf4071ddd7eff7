"""What a terminal shows while a search runs."""

from __future__ import annotations

import io

from rich.console import Console
from rich.live import Live

from greenfront.cli.screen import LiveScreen
from greenfront.search.status import Status
from greenfront.studies.config.budget import Budget

STATUS = Status(
    counts={"complete": 3, "stopped": 1, "infeasible": 1},
    front_size=2,
    hypervolume=0.5,
    kwh_spent=2e-5,
    co2_kg_spent=1e-5,
    budget=Budget(trials=40),
    seconds_left=60.0,
    doing={0: "trial 5: training, epoch 3 of 40: 91.0%"},
)


def test_each_row_of_the_live_view_has_a_line_of_its_own() -> None:
    screen = Console(file=io.StringIO(), width=80, height=40)
    live = Live(console=screen)
    LiveScreen(live, "wine", "modelled").changed(STATUS)

    with screen.capture() as captured:
        screen.print(live.renderable)

    title, bar, *rows = map(str.rstrip, captured.get().splitlines())
    assert title == "greenfront · wine"
    assert set(bar) <= set("━╸╺")
    assert rows == [
        "trials     5 of 40 · 1 stopped · 1 infeasible",
        "front      2 · hypervolume 0.5000",
        "spent      20.0 mWh, 10.0 mg CO₂ spent (modelled)",
        "time left  about 1.00 min",
        "now        trial 5: training, epoch 3 of 40: 91.0%",
    ]

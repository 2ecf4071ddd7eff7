"""The command that measures a front again on the machine on which it is typed: remeasure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from greenfront.cli.options import (
    AsJson,
    StorageOptions,
    StudyName,
    console,
    grouped_options,
    print_json,
)
from greenfront.cli.running import quiet_optuna, speaker

if TYPE_CHECKING:
    from greenfront.search.afterwards.remeasuring import Remeasured

__all__ = ["remeasure"]


@grouped_options
def remeasure(
    name: StudyName,
    storage: StorageOptions,
    watts_per_thread: Annotated[
        float | None,
        typer.Option(
            help="Watts of a busy thread of this machine, where its CPU has no counter.",
            metavar="WATTS",
            min=0.01,
            max=1000,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the front again on this machine, which becomes the one it is ranked by.

    For studies that ran on unlike machines, or on another one than that which is to serve.
    """
    from greenfront.search.afterwards.remeasuring import remeasure as measure

    quiet_optuna()
    with storage.opened() as database:
        done = measure(database, name, watts_per_thread, speaker(as_json))
    if as_json:
        from greenfront.objectives.codec import to_json

        print_json(to_json(done))
    else:
        console().print(_text(done, storage), markup=False, crop=False)


def _text(done: Remeasured, storage: StorageOptions) -> str:
    from greenfront.studies.analysis.words.quantities import counted, energy
    from greenfront.studies.analysis.words.wording import named_trials

    lines = [
        f"{done.machine} has measured {counted(len(done.trials), 'model')} "
        f"({named_trials(done.trials)}) for {energy(done.kwh)}; "
        "the study is ranked by its readings from now on.",
        *(f"Trial {number} was not measured: {why}." for number, why in done.lost.items()),
        f"Look: {storage.follow_up('front', done.study)}; as each machine read its own: "
        f"{storage.follow_up('front', done.study, ' --machine each')}",
    ]
    return "\n".join(lines)

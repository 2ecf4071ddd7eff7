"""Real processes at work on one storage; run as a script by the tests, prints JSON.

python processes.py begin URL PROCESSES        opens the storage and begins a study in each
python processes.py claims URL PROCESSES LIMIT claims, finishes and takes away trials at random
python processes.py run URL                    signs a run in and then does nothing until killed
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
from typing import Any

from greenfront.studies.store.runs import Runs
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import Trials

STUDY = 1
STEPS = 60
KEYS = 30

barrier: Any = None


def meet(shared: Any) -> None:
    global barrier
    barrier = shared


def begin(url: str, index: int) -> dict[str, Any]:
    barrier.wait()
    storage = Storage(url)
    record = Study.create(
        storage,
        "race",
        directions=["maximize", "minimize"],
        identity="same",
        configuration={"by": index},
        meters=None,
        facts=None,
    )
    storage.close()
    return {"study_id": record.study_id, "configuration": record.configuration}


def claims(url: str, index: int, processes: int, limit: int | None) -> list[list[Any]]:
    """Returns what was done, as ``[what, key or number, answer]``."""
    draw = random.Random(index)
    storage = Storage(url)
    book = Trials(storage, STUDY)
    mine = f"run-{index}"
    held: list[int] = []
    done: list[list[Any]] = []

    def claim(key: str, number: int) -> None:
        answer = book.claim(mine, number, key, {"by": index}, limit)
        if answer == "granted":
            held.append(number)
        done.append(["claim", [key, number], answer])

    def finish(number: int) -> None:
        held.remove(number)
        done.append(["finish", number, book.finish(mine, number, "complete", values=[1.0])])

    def requeue(*runs: int) -> None:
        taken = book.requeue([f"run-{run}" for run in runs])
        done.append(["requeue", None, [[row.key, row.number] for row in taken]])

    first = (STEPS + 1) * index
    claim(f"key-{index}", first)
    barrier.wait()
    requeue(*range(processes))  # all take from all
    for number in range(first + 1, first + 1 + STEPS):
        what = draw.random()
        if what < 0.7:
            claim(f"key-{draw.randrange(KEYS)}", number)
        elif what < 0.85 and held:
            finish(draw.choice(held))
        else:
            requeue(draw.randrange(processes))
    barrier.wait()
    for number in list(held):
        finish(number)
    storage.close()
    return done


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(url: str) -> None:
    storage = Storage(url)
    tell(Runs(storage, STUDY).begin().run_id)
    time.sleep(600)


def main(what: str, url: str, *numbers: str) -> None:
    if what == "run":
        run(url)
        return
    count = int(numbers[0])
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(count, initializer=meet, initargs=(spawn.Barrier(count),)) as pool:
        if what == "begin":
            results: list[Any] = pool.starmap(begin, [(url, n) for n in range(count)], 1)
        else:
            limit = int(numbers[1]) or None
            jobs = [(url, n, count, limit) for n in range(count)]
            results = pool.starmap(claims, jobs, 1)
    tell(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What several workers of one study mean for the machine and for the database, in words."""

from __future__ import annotations

from greenfront.studies.analysis.words.quantities import counted
from greenfront.studies.store.urls import parsed_url

__all__ = ["oversubscription_remarks"]

SQLITE_WORKERS = 4
"""So many workers write to one SQLite file without waiting for each other for long."""


def oversubscription_remarks(workers: int, threads: int, cores: int, storage: str) -> list[str]:
    """What a user should know before so many workers begin; sentences without a full stop.

    Args:
        workers: Trials at once on this machine.
        threads: Hardware threads of each.
        cores: Those that this process may use.
        storage: URL of the database.
    """
    said = []
    each = counted(threads, "hardware thread")
    if workers > 1 and workers * threads <= cores:
        said.append(f"{workers} workers, each kept on {each} of its own where {cores} are free")
    elif workers > 1:
        fits = cores // threads
        way_out = f"--workers {fits} fits" if fits else f"[study] threads = {cores} fits one worker"
        said.append(
            f"{workers} workers of {each} each are more than the {cores} of this machine, so they "
            "take turns: trials last longer and latencies tell the crowd too, while energy is "
            f"counted by CPU time all the same; {way_out}"
        )
    if workers > SQLITE_WORKERS and parsed_url(storage).get_backend_name() == "sqlite":
        said.append(
            f"{workers} workers write to one SQLite file, one at a time: nothing is lost, but more "
            f"than {SQLITE_WORKERS} wait for each other; PostgreSQL takes them at once, with "
            "--storage postgresql+psycopg://USER@HOST/DATABASE"
        )
    return said

"""How an evaluator's process is started."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenfront.search.evaluator.descendants import MARK

__all__ = ["EvaluatorSettings", "launch"]

IMPORT_SECONDS = 120.0
"""A module of the user's that takes longer to import hangs."""


@dataclass(frozen=True, slots=True)
class EvaluatorSettings:
    """How to start an evaluator.

    Attributes:
        job: ``module:function`` that makes its calls.
        settings: What the job gets, in JSON values.
        log: File that its output is appended to.
        threads: Threads of every numerical library in it.
        memory_bytes: Resident memory beyond which it is killed; ``None``: never.
        import_seconds: Longest import of a module of the user's.
        call_seconds: Longest call of a function of the user's; ``None``: as long as it takes.
        pinned: Whether it is kept on as many hardware threads of its own, where some are free.
    """

    job: str
    settings: dict[str, Any]
    log: Path
    threads: int = 1
    memory_bytes: float | None = None
    pinned: bool = False
    import_seconds: float = IMPORT_SECONDS
    call_seconds: float | None = None


def launch(
    how: EvaluatorSettings, descriptor: int, mark: str, card: str | None = None
) -> subprocess.Popen[bytes]:
    """Starts it in a session of its own, so that what it starts can be ended with it.

    Args:
        how: What to start.
        descriptor: Of its end of the channel.
        mark: Borne by it and by all that it starts.
        card: UUID of the one GPU that it sees; ``None`` leaves that as it is.
    """
    threads = str(how.threads)
    environment = os.environ | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        # Threads that spin while they wait burn energy that no model needs.
        "OMP_WAIT_POLICY": "PASSIVE",
        MARK: mark,
        **({} if card is None else {"CUDA_VISIBLE_DEVICES": card}),
    }
    with how.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "greenfront.search.evaluator.child", str(descriptor), how.job],
            pass_fds=(descriptor,),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )

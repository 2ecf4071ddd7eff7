"""NVML on a machine with one GPU whose state is kept in a file: what one process sets, all see.

Its folder stands first on the path of processes that shall take it for NVIDIA's module.
"""

# ruff: noqa: N802 - the names are those of NVML

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATE = "GREENFRONT_TEST_NVML"
"""Environment variable: the file."""

WORDS = {1: "Uninitialized", 3: "Not Supported", 4: "Insufficient Permissions"}


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(WORDS[value])
        self.value = value


def plugged_in(path: Path, **changed: Any) -> None:
    """Writes the file of a card that draws its power limit, whatever it does.

    Args:
        path: The file.
        changed: Of its state; ``refuses`` is the error code of setting its limit, 0 for none.
    """
    state = {
        "uuid": "GPU-a",
        "limit_mw": 400_000,
        "default_mw": 500_000,
        "least_mw": 100_000,
        "most_mw": 500_000,
        "refuses": 0,
        "mig": 0,
        "set_mw": [],
        "drawn_mj": 0.0,
        "since": time.monotonic(),
    }
    path.write_text(json.dumps(state | changed))


_begun: list[bool] = []


@contextmanager
def _state() -> Iterator[dict[str, Any]]:
    if not _begun:
        raise NVMLError(1)
    with Path(os.environ[STATE]).open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state = json.load(file)
        before = json.dumps(state)
        yield state
        after = json.dumps(state)
        if after != before:
            file.seek(0)
            file.write(after + " " * max(0, len(before) - len(after)))


def _told(name: str) -> Any:
    with _state() as state:
        return state[name]


def _drawn_mj(state: dict[str, Any]) -> float:
    return float(state["drawn_mj"] + state["limit_mw"] * (time.monotonic() - state["since"]))


def nvmlInit() -> None:
    if STATE not in os.environ:
        raise NVMLError(1)
    _begun.append(True)


def nvmlDeviceGetCount() -> int:
    return 1


def nvmlDeviceGetHandleByIndex(_index: int) -> str:
    return str(_told("uuid"))


def nvmlDeviceGetHandleByUUID(uuid: str) -> str:
    assert uuid == _told("uuid")
    return uuid


def nvmlDeviceGetUUID(handle: str) -> str:
    return handle


def nvmlDeviceGetName(_handle: str) -> str:
    return "NVIDIA A100"


def nvmlDeviceGetMigMode(_handle: str) -> list[int]:
    return [_told("mig")] * 2


def nvmlDeviceGetTotalEnergyConsumption(_handle: str) -> int:
    with _state() as state:
        return round(_drawn_mj(state))


def nvmlDeviceGetPowerUsage(_handle: str) -> int:
    return int(_told("limit_mw"))


def nvmlDeviceGetFieldValues(*_: object) -> list[Any]:
    raise NVMLError(3)


def nvmlDeviceGetViolationStatus(*_: object) -> Any:
    raise NVMLError(3)


def nvmlDeviceGetCurrentClocksThrottleReasons(_handle: str) -> int:
    return 0


def nvmlDeviceGetUtilizationRates(_handle: str) -> Any:
    raise NVMLError(3)


def nvmlDeviceGetPowerManagementLimit(_handle: str) -> int:
    return int(_told("limit_mw"))


def nvmlDeviceGetPowerManagementDefaultLimit(_handle: str) -> int:
    return int(_told("default_mw"))


def nvmlDeviceGetPowerManagementLimitConstraints(_handle: str) -> list[int]:
    return [_told("least_mw"), _told("most_mw")]


def nvmlDeviceSetPowerManagementLimit(_handle: str, limit_mw: int) -> None:
    with _state() as state:
        if state["refuses"]:
            raise NVMLError(state["refuses"])
        assert state["least_mw"] <= limit_mw <= state["most_mw"]
        state["drawn_mj"], state["since"] = _drawn_mj(state), time.monotonic()
        state["limit_mw"] = limit_mw
        state["set_mw"].append(limit_mw)

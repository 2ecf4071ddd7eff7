"""The power limit of a GPU: set for a while by a guard of its own, and restored whatever dies.

The limit is a setting of the card: it would outlive the process that set it. So no process that
works sets it, but a guard beside it: ``python -m greenfront.objectives.metering.power_limit UUID``,
in a session of its own. It alone sets limits, on request of its parent, and the end of its standard
input, which the parent alone holds open, is the parent's: then it restores the limit as found. A
parent whose guard has died restores it itself. What has to be restored stands in a file in the
system's temporary folder, for the case that both have died; its lock keeps two guards from one
card, and ends with its holder.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from greenfront.errors import MeterError
from greenfront.objectives.metering.nvml_cards import Nvml, load_nvml, visible_cards

__all__ = [
    "LeftLimit",
    "PowerGuard",
    "PowerRange",
    "left_limits",
    "main",
    "set_command",
]

SUFFIX = ".power-limit"
RESTORED = "restored"
"""In the guard's last answer."""

ROUNDING_MW = 1000
"""Drivers may round a limit to whole watts."""

REMEDIES = {
    3: "this card or driver lets nobody set it",
    4: "the driver lets the administrator alone set it: run the same command as root",
}
"""By NVML's error codes NOT_SUPPORTED and NO_PERMISSION."""


@dataclass(frozen=True, slots=True)
class PowerRange:
    """The power limits of a card, in watts.

    Attributes:
        uuid: Of the card.
        found_watts: In force before anything was set.
        default_watts: After the driver is loaded.
        least_watts: The lowest that the driver allows.
        most_watts: The highest.
    """

    uuid: str
    found_watts: float
    default_watts: float
    least_watts: float
    most_watts: float


@dataclass(frozen=True, slots=True)
class LeftLimit:
    """A limit that nobody is left to restore.

    Attributes:
        uuid: Of the card.
        watts: In force.
        found_watts: To be restored.
    """

    uuid: str
    watts: float
    found_watts: float


def set_command(uuid: str, watts: float) -> str:
    """What sets a limit by hand, as root."""
    return f"nvidia-smi -i {uuid} -pl {watts:g}"


class PowerGuard:
    """The guard of a card, seen from the process that it restores the limit for.

    Entering it changes nothing; leaving it restores the limit as found, whatever was raised.

    Args:
        uuid: Of a card that is visible.
        folder: Of the files that tell of limits to restore; all searches of a machine must agree.

    Attributes:
        range: What may be set, and what was found.

    Raises:
        MeterError: No such card, one that is split, a driver that lets this user set no limit, or
            another sweep of the same card. Nothing is changed then.
    """

    def __init__(self, uuid: str, folder: Path | None = None) -> None:
        self._folder = _temporary(folder)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, uuid, str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is for the parent
        )
        try:
            self.range = self._first_answer(uuid)
        except BaseException:
            self._end()
            raise

    def set_watts(self, watts: float) -> None:
        """Sets the limit.

        Raises:
            MeterError: The driver refuses it, or the guard has died: then it is restored.
        """
        with suppress(OSError):  # a guard that has died tells nothing, either
            self._pipe.write(f"{round(1e3 * watts)}\n".encode())
            self._pipe.flush()
        if self._answer() is None:
            self._restore_for_the_dead()
            raise MeterError(
                f"GPU {self.range.uuid}: the guard of its power limit was killed, so the sweep "
                f"ends; the limit is {self.range.found_watts:g} W again, as it was found"
            )

    def __enter__(self) -> Self:
        """Nothing is changed."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Restores the limit; raises :class:`MeterError` where the driver refuses that."""
        with suppress(OSError):
            self._pipe.close()
        try:
            # An answer that was not waited for may come before the last one.
            while (told := self._answer()) is not None and RESTORED not in told:
                pass
            if told is None:
                self._restore_for_the_dead()
        finally:
            self._end()

    def _first_answer(self, uuid: str) -> PowerRange:
        told = self._answer()
        if told is None:
            raise MeterError(f"GPU {uuid}: the guard of its power limit did not start, or died")
        return PowerRange(**told)

    @property
    def _pipe(self) -> Any:
        return self._process.stdin

    def _answer(self) -> dict[str, Any] | None:
        """What the guard says next; ``None`` where it has died."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise MeterError(told["error"])
        return told

    def _restore_for_the_dead(self) -> None:
        self._process.wait()  # its lock ends with it
        uuid, found_mw = self.range.uuid, round(1e3 * self.range.found_watts)
        with _locked(uuid, self._folder) as file:
            _restore(_begun_nvml(), uuid, file, found_mw)

    def _end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        self._process.wait()


def left_limits(folder: Path | None = None) -> list[LeftLimit]:
    """The cards whose limit nobody is left to restore; changes nothing.

    Files of other users than this one and root are not heeded, nor is a limit that somebody else
    has changed since.
    """
    found = []
    for path in sorted(_temporary(folder).glob(f"greenfront-*{SUFFIX}")):
        uuid, _, _user = path.stem.removeprefix("greenfront-").rpartition(".")
        with suppress(OSError, MeterError), _opened(path, os.O_RDONLY) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # refused where its guard lives
            if (left := _left(_begun_nvml(), uuid, file)) is not None:
                found.append(left)
    return found


def main(uuid: str, folder: str) -> None:
    """The guard: sets limits until its standard input ends, then restores the one as found."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        _guard(uuid, Path(folder))
    except (MeterError, OSError) as error:
        _say({"error": str(error)})


def _guard(uuid: str, folder: Path) -> None:
    nvml = load_nvml()
    if uuid not in {card.uuid for card in visible_cards(nvml)}:
        raise MeterError(f"GPU {uuid}: must be visible, see CUDA_VISIBLE_DEVICES, but it is not")
    os.chdir("/")  # no folder is kept from being removed
    with _locked(uuid, folder) as file:
        # What a sweep has left whose processes were both killed.
        if (left := _left(nvml, uuid, file)) is not None:
            _restore(nvml, uuid, file, round(1e3 * left.found_watts))
        os.ftruncate(file, 0)
        found_mw = _limit_mw(nvml, uuid)
        _set(nvml, uuid, found_mw)  # asks for the right to, and changes nothing
        try:
            _say(asdict(_range(nvml, uuid, found_mw)))
            os.write(file, f"{found_mw}".encode())
            for line in sys.stdin:
                limit_mw = int(line)
                os.write(file, f" {limit_mw}".encode())  # before it is set: a kill may come between
                _set(nvml, uuid, limit_mw)
                _say({})
        finally:
            _restore(nvml, uuid, file, found_mw)
        _say({RESTORED: True})


def _say(answer: dict[str, Any]) -> None:
    with suppress(OSError):  # a parent that was killed does not listen
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _range(nvml: Nvml, uuid: str, found_mw: int) -> PowerRange:
    with _told_errors(nvml, uuid):
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        least_mw, most_mw = nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)
        default_mw = nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle)
    if least_mw >= most_mw:
        raise MeterError(
            f"GPU {uuid}: its driver allows one power limit alone, {most_mw / 1e3:g} W: leave "
            "--power-sweep out; nothing was changed"
        )
    return PowerRange(uuid, *(mw / 1e3 for mw in (found_mw, default_mw, least_mw, most_mw)))


def _begun_nvml() -> Nvml:
    nvml = load_nvml()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise MeterError(f"NVML: needs an NVIDIA driver that answers, got '{error}'") from None
    return nvml


def _limit_mw(nvml: Nvml, uuid: str) -> int:
    with _told_errors(nvml, uuid):
        return nvml.nvmlDeviceGetPowerManagementLimit(nvml.nvmlDeviceGetHandleByUUID(uuid))


def _set(nvml: Nvml, uuid: str, limit_mw: int) -> None:
    with _told_errors(nvml, uuid):
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        nvml.nvmlDeviceSetPowerManagementLimit(handle, limit_mw)
    kept_mw = _limit_mw(nvml, uuid)
    if abs(kept_mw - limit_mw) > ROUNDING_MW:
        raise MeterError(
            f"GPU {uuid}: --power-sweep needs a driver that keeps a limit, but of "
            f"{limit_mw / 1e3:g} W it made {kept_mw / 1e3:g} W; leave --power-sweep out"
        )


@contextmanager
def _told_errors(nvml: Nvml, uuid: str) -> Iterator[None]:
    try:
        yield
    except nvml.NVMLError as error:
        remedy = REMEDIES.get(getattr(error, "value", 0), "'nvidia-smi -q -d POWER' tells more")
        raise MeterError(
            f"GPU {uuid}: --power-sweep needs a power limit that can be read and set, got "
            f"'{error}'; {remedy}, or leave --power-sweep out"
        ) from None


def _left(nvml: Nvml, uuid: str, file: int) -> LeftLimit | None:
    """What a file says is to be restored; ``None`` where nothing is, or somebody else has set it.

    It holds the limit as found, then each that was set, in milliwatts.
    """
    told = os.pread(file, 1 << 16, 0).split()
    if not told:
        return None
    found_mw, *tried_mw = map(int, told)
    now_mw = _limit_mw(nvml, uuid)
    if now_mw == found_mw or all(abs(now_mw - each) > ROUNDING_MW for each in tried_mw):
        return None
    return LeftLimit(uuid, now_mw / 1e3, found_mw / 1e3)


def _restore(nvml: Nvml, uuid: str, file: int, found_mw: int) -> None:
    """Restores a limit; then the file says nothing any more.

    Raises:
        MeterError: The driver refuses it: the file stays as it is.
    """
    try:
        _set(nvml, uuid, found_mw)
    except MeterError as error:
        raise MeterError(
            f"GPU {uuid}: its power limit could not be restored to {found_mw / 1e3:g} W, as it was "
            f"found ({error}); restore it as root: {set_command(uuid, found_mw / 1e3)}"
        ) from None
    os.ftruncate(file, 0)


def _temporary(folder: Path | None) -> Path:
    return Path(tempfile.gettempdir()) if folder is None else folder


@contextmanager
def _locked(uuid: str, folder: Path) -> Iterator[int]:
    # Of each user: one who may set no limit would leave a file that root could not use.
    path = folder / f"greenfront-{uuid}.{os.geteuid()}{SUFFIX}"
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_opened(path, os.O_RDWR | os.O_APPEND | os.O_CREAT))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MeterError(
                f"GPU {uuid}: another sweep of its power limit is at work: wait for its end"
            ) from None
        except OSError as error:
            raise MeterError(
                f"{path}: must be a file of yours, but it cannot be used ({error}); have its "
                "owner delete it"
            ) from None
        yield file


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A file of this user or of root; in a folder that everybody may write, others' tell lies."""
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        if os.fstat(file).st_uid not in {0, os.geteuid()}:
            raise PermissionError(f"it is of user {os.fstat(file).st_uid}")
        yield file
    finally:
        os.close(file)


if __name__ == "__main__":
    main(*sys.argv[1:])

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from greenfront.errors import MeterError
from greenfront.objectives.metering.gpu_lease import GpuLease, GpuSeat


class GivenUpError(Exception):
    pass


def give_up() -> None:
    raise GivenUpError


def test_a_gpu_has_one_holder_at_a_time(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def use() -> None:
        for _ in range(5):
            with GpuLease("GPU-a", tmp_path).held():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.002)
                inside[0] -= 1

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_who_waits_says_so_once_and_may_give_up(tmp_path: Path) -> None:
    said: list[str] = []
    tries = iter([None, None])

    def check() -> None:
        if next(tries, GivenUpError) is GivenUpError:
            raise GivenUpError

    with GpuLease("GPU-a", tmp_path).held():
        with pytest.raises(GivenUpError), GpuLease("GPU-a", tmp_path).held(said.append, check):
            pytest.fail("two holders")
        with GpuLease("GPU-b", tmp_path).held(said.append, give_up):
            pass
    assert said == ["waits for GPU GPU-a, which another trial uses"]
    with GpuLease("GPU-a", tmp_path).held(said.append, give_up):
        pass


def test_another_process_is_waited_for_and_its_death_ends_the_lease(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from greenfront.objectives.metering.gpu_lease import GpuLease\n"
        f"with GpuLease('GPU-a', Path({str(tmp_path)!r})).held():\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        said: list[str] = []
        with GpuLease("GPU-a", tmp_path).held(said.append, holder.kill):
            assert said


def test_no_gpus_need_no_lease(tmp_path: Path) -> None:
    with GpuLease(None, tmp_path).held(check=give_up):
        assert GpuSeat.take([], tmp_path) is None
        assert not list(tmp_path.iterdir())


def test_a_lock_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "greenfront-GPU-a.lock").mkdir()
    with (
        pytest.raises(MeterError, match=r"GPU lease .*greenfront-GPU-a.lock: .*TMPDIR"),
        GpuLease("GPU-a", tmp_path).held(),
    ):
        pass


def test_evaluators_sit_at_cards_with_the_fewest(tmp_path: Path) -> None:
    uuids = ["GPU-a", "GPU-b"]
    seats = [GpuSeat.take(uuids, tmp_path) for _ in range(5)]
    assert [seat and seat.uuid for seat in seats] == [*uuids, *uuids, "GPU-a"]
    assert seats[1] is not None
    seats[1].release()
    again = GpuSeat.take(uuids, tmp_path)
    assert again is not None
    assert again.uuid == "GPU-b"


def test_the_seat_of_a_dead_search_is_free(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from greenfront.objectives.metering.gpu_lease import GpuSeat\n"
        "held = GpuSeat.take(['GPU-a', 'GPU-b'], Path(sys.argv[1]))\n"
        "print(held.uuid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, check=False
    )
    assert done.stdout == b"GPU-a\n"
    seat = GpuSeat.take(["GPU-a", "GPU-b"], tmp_path)
    assert seat is not None
    assert seat.uuid == "GPU-a"

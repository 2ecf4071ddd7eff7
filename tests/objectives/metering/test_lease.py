from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from greenfront.errors import MeterError
from greenfront.objectives.metering.lease import GpuLease


class GivenUpError(Exception):
    pass


def give_up() -> None:
    raise GivenUpError


def test_a_gpu_has_one_holder_at_a_time(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def use() -> None:
        for _ in range(5):
            with GpuLease(["GPU-a"], tmp_path).held():
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

    with GpuLease(["GPU-a"], tmp_path).held():
        with pytest.raises(GivenUpError), GpuLease(["GPU-a"], tmp_path).held(said.append, check):
            pytest.fail("two holders")
        with GpuLease(["GPU-b"], tmp_path).held(said.append, give_up):
            pass
    assert said == ["waits for GPU GPU-a, which another trial uses"]
    with GpuLease(["GPU-a"], tmp_path).held(said.append, give_up):
        pass


def test_a_lease_that_was_given_up_half_way_is_handed_back(tmp_path: Path) -> None:
    with GpuLease(["GPU-b"], tmp_path).held():
        with (
            pytest.raises(GivenUpError),
            GpuLease(["GPU-a", "GPU-b"], tmp_path).held(check=give_up),
        ):
            pytest.fail("two holders")
        with GpuLease(["GPU-a"], tmp_path).held(check=give_up):
            pass


def test_another_process_is_waited_for_and_its_death_ends_the_lease(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from greenfront.objectives.metering.lease import GpuLease\n"
        f"with GpuLease(['GPU-a'], Path({str(tmp_path)!r})).held():\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        said: list[str] = []
        with GpuLease(["GPU-a"], tmp_path).held(said.append, holder.kill):
            assert said


def test_no_gpus_need_no_lease(tmp_path: Path) -> None:
    with GpuLease([], tmp_path).held(check=give_up):
        assert not list(tmp_path.iterdir())


def test_a_lock_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "greenfront-GPU-a.lock").mkdir()
    with (
        pytest.raises(MeterError, match=r"GPU lease .*greenfront-GPU-a.lock: .*TMPDIR"),
        GpuLease(["GPU-a"], tmp_path).held(),
    ):
        pass

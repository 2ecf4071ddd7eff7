"""The driver with a cluster that lives in this process, and one worker without any."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from greenfront.errors import SearchAborted, UsageError
from greenfront.search.ray.driver import Cluster, Demand, Workforce, connected
from greenfront.search.ray.worker import Ended, Errand, RayWorker
from greenfront.search.session import PeakMemory

ERRAND = Errand("/study", "postgresql://me@host/name", {})
OVER = Ended("all 9 trials are finished", peak=PeakMemory(3, 5))


class RayError(Exception):
    pass


class RayActorError(RayError):
    pass


@dataclass
class Fate:
    """What becomes of one actor: how it ends, after so many looks; ``None``: it gets no node."""

    end: Ended | Exception | None
    looks: int = 1


class Reference:
    def __init__(self, ready: Callable[[], bool], value: Callable[[], Any]) -> None:
        self.ready, self.value = ready, value


class FakeRay:
    """What the driver uses of Ray; actors follow their fates in the order of their making."""

    class exceptions:  # noqa: N801 - as in Ray
        RayError, RayActorError = RayError, RayActorError

    def __init__(self, *fates: Fate) -> None:
        self.fates = list(fates)
        self.made: list[FakeActor] = []
        self.options_given: dict[str, Any] = {}
        self.looks = 0

    def remote(self, _kind: type) -> FakeRay:
        return self

    def options(self, **given: Any) -> Any:
        self.options_given = given
        ray = self

        class Made:
            @staticmethod
            def remote(errand: Errand) -> FakeActor:
                actor = FakeActor(ray, ray.fates.pop(0), ray.looks)
                ray.made.append(actor)
                return actor

        return Made

    def wait(
        self, references: Sequence[Reference], num_returns: int = 1, timeout: float = 0
    ) -> tuple[list[Reference], list[Reference]]:
        self.looks += timeout > 0
        ready = [reference for reference in references if reference.ready()]
        return ready, [reference for reference in references if reference not in ready]

    def get(self, reference: Reference) -> Any:
        value = reference.value()
        if isinstance(value, Exception):
            raise value
        return value

    def kill(self, actor: FakeActor) -> None:
        actor.killed = True


@dataclass
class Method:
    reference: Reference
    calls: list[None] = field(default_factory=list)

    def remote(self) -> Reference:
        self.calls.append(None)
        return self.reference


class FakeActor:
    def __init__(self, ray: FakeRay, fate: Fate, since: int) -> None:
        self.killed = False
        runs = fate.end is not None
        self.work = Method(
            Reference(lambda: runs and ray.looks - since >= fate.looks, lambda: fate.end)
        )
        self.joined = Method(Reference(lambda: runs, lambda: "node-1, process 7: cpu modelled"))
        self.stop = Method(Reference(lambda: True, lambda: None))


def workforce(*fates: Fate) -> tuple[Workforce, FakeRay, list[str]]:
    ray, said = FakeRay(*fates), list[str]()
    cluster = Cluster(ray, "192.0.2.1:6379", "", "/tmp/logs")
    return Workforce(cluster, ERRAND, Demand(cpus=2, gpus=1), said.append), ray, said


def test_each_worker_asks_for_what_the_study_needs() -> None:
    workers, ray, said = workforce(Fate(OVER), Fate(OVER))
    assert workers.work(2, lambda doing: 0) == "all 9 trials are finished"
    assert (ray.options_given["num_cpus"], ray.options_given["num_gpus"]) == (2, 1)
    assert ray.options_given["max_restarts"] == 0  # the driver does it, and says so
    assert [line.split(" on ")[0] for line in said] == ["worker 0 joined", "worker 1 joined"]
    assert workers.peak == PeakMemory(3, 5)


def test_a_worker_that_dies_is_replaced() -> None:
    death = RayActorError("The actor died.\n\tpid: 12\nkilled by the system for its memory.")
    workers, ray, said = workforce(Fate(death), Fate(OVER, looks=4), Fate(OVER))
    done = iter(range(100))
    assert workers.work(2, lambda doing: next(done)) == "all 9 trials are finished"
    assert len(ray.made) == 3
    assert any("worker 0 died (killed by the system for its memory)" in line for line in said)


def test_workers_that_only_die_end_the_search() -> None:
    fates = [Fate(RayActorError("out of memory")) for _ in range(40)]
    workers, _, _ = workforce(*fates)
    with pytest.raises(SearchAborted, match="while no trial got finished"):
        workers.work(2, lambda doing: 7)


def test_a_worker_that_still_waits_for_a_node_is_called_back_at_the_end() -> None:
    workers, ray, _ = workforce(Fate(OVER, looks=2), Fate(None))
    seen: list[dict[int, str]] = []

    def look(doing: dict[int, str]) -> int:
        seen.append(doing)
        return 0

    workers.work(2, look)
    assert ray.made[1].killed
    assert seen[0][1] == "waits for a node with room"


def test_a_node_that_cannot_take_part_leaves_the_others_at_work() -> None:
    unable = Ended("instruments: must be those of the study", failed=True)
    workers, ray, said = workforce(Fate(unable), Fate(OVER, looks=5))
    assert workers.work(2, lambda doing: 0) == "all 9 trials are finished"
    assert len(ray.made) == 2  # it is not sent out again
    assert any("worker 0 cannot go on: instruments" in line for line in said)


@pytest.mark.parametrize(
    ("ended", "error"),
    [
        (Ended("no such data", failed=True, usage=True), UsageError),
        (Ended("disk full", failed=True, hopeless=True), SearchAborted),
    ],
    ids=["usage", "hopeless"],
)
def test_where_no_worker_can_go_on_its_error_is_told(ended: Ended, error: type[Exception]) -> None:
    workers, _, _ = workforce(Fate(ended), Fate(ended))
    with pytest.raises(error, match=ended.reason):
        workers.work(2, lambda doing: 0)
    first, _, _ = workforce(Fate(ended))
    with pytest.raises(error, match=ended.reason):
        first.begin(lambda: False)


def test_all_are_stopped_in_order_when_the_driver_leaves() -> None:
    workers, ray, _ = workforce(Fate(OVER, looks=99), Fate(None))

    def interrupted(doing: dict[int, str]) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workers.work(2, interrupted)
    workers.close()
    assert all(actor.stop.calls and actor.killed for actor in ray.made)


def test_ray_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"greenfront\[ray\]"), connected(None):
        pass


def test_a_worker_says_what_it_lacks(tmp_path: Path) -> None:
    worker = RayWorker(Errand(str(tmp_path / "none"), "sqlite:///x.db", {}))
    ended = worker.work()
    assert (ended.failed, ended.usage) == (True, True)
    assert "under the same path" in ended.reason
    assert worker.joined() is None


def test_a_ray_that_does_not_start_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray raises a bare exception when its own agents take too long."""

    def init(**_options: Any) -> None:
        raise Exception("The current node timed out during startup.")  # noqa: TRY002

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(SearchAborted, match=r"timed out.*--address auto"), connected(None):
        pass
    with pytest.raises(UsageError, match=r"--address 10\.0\.0\.1:6379"), connected("10.0.0.1:6379"):
        pass

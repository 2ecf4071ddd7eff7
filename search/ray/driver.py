"""The driver of a study on a cluster: sends workers out, replaces those that die, and watches.

Workers are whole runs that share the study's database, as any two runs do. So the driver holds
nothing that would be lost with it: Ray ends its actors, and ``resume`` goes on.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from greenfront.errors import GreenfrontError, SearchAborted, UsageError
from greenfront.search.ray.worker import Ended, Errand, RayWorker
from greenfront.search.session import PeakMemory
from greenfront.studies.analysis.words.quantities import counted

__all__ = ["Cluster", "Demand", "Workforce", "connected"]

LOOK_SECONDS = 1.0
LEAVE_SECONDS = 20.0
"""How long workers may take to end in order before they are killed."""

DEATHS_IN_VAIN = 5
"""So often each worker may die on average while no trial gets finished."""

OBJECT_STORE_BYTES = 100_000_000
"""Of a cluster that is started here: hardly anything goes through it."""

ANSWERS = 3
"""Calls that an actor serves at once: the work, whether it has joined, and a stop."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What each worker needs of its node.

    Attributes:
        cpus: Hardware threads.
        gpus: Cards.
    """

    cpus: int = 1
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        ray: The module, which is imported only where a cluster is asked for.
        address: Of its head.
        dashboard: Address of its dashboard; empty where it has none.
        logs: Folder of its logs on this machine.
    """

    ray: Any
    address: str
    dashboard: str
    logs: str

    def sentence(self) -> str:
        """Where to look at it, in words."""
        cpus = self.ray.cluster_resources().get("CPU", 0)
        nodes = sum(node["Alive"] for node in self.ray.nodes())
        seen = (
            f"dashboard at http://{self.dashboard}"
            if self.dashboard
            else ("no dashboard (pip install 'ray[default]' brings one)")
        )
        return (
            f"Ray at {self.address}: {counted(nodes, 'node')} with {cpus:g} hardware "
            f"threads; {seen}; logs in {self.logs}"
        )


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Connects to a cluster, or starts one on this machine.

    Args:
        address: ``"auto"``, or ``HOST:PORT`` of a head; ``None`` starts one.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
        SearchAborted: Ray did not start here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--engine ray needs Ray, which is not installed: pip install 'greenfront[ray]'"
        ) from error
    own: dict[str, Any] = {"object_store_memory": OBJECT_STORE_BYTES} if address is None else {}
    try:
        context: Any = ray.init(address=address or "local", log_to_driver=False, **own)
    except Exception as error:  # Ray raises no narrower one of a node that takes long to start
        if address is None:
            raise SearchAborted(
                f"Ray could not be started here ({error}): try again when the machine is less "
                "busy, start it with 'ray start --head' and give --address auto, or leave "
                "--engine ray out"
            ) from error
        raise UsageError(
            f"--address {address}: no Ray cluster answers there ({error}): start one with 'ray "
            "start --head', give its HOST:PORT, or leave --address out to start one here"
        ) from error
    try:
        session = str(context.address_info["session_dir"])
        head = str(context.address_info["gcs_address"])
        yield Cluster(ray, head, context.dashboard_url or "", f"{session}/logs")
    finally:
        ray.shutdown()


@dataclass(slots=True)
class _Post:
    """One worker's place: its present actor, and what that was asked."""

    actor: Any
    work: Any
    joined: Any
    where: str | None = None


class Workforce:
    """The workers of one study on a cluster.

    Args:
        cluster: Where they work.
        errand: What each is sent out for.
        demand: What each needs.
        say: Takes messages for the user.

    Attributes:
        peak: Highest resident memory of any that has ended.
    """

    def __init__(
        self, cluster: Cluster, errand: Errand, demand: Demand, say: Callable[[str], None]
    ) -> None:
        self._ray = cluster.ray
        self._errand = errand
        self._say = say
        self._make = cluster.ray.remote(RayWorker).options(
            num_cpus=demand.cpus,
            num_gpus=demand.gpus,
            max_restarts=0,
            max_concurrency=ANSWERS,
            scheduling_strategy="SPREAD",
        )
        self._posts: dict[int, _Post] = {}
        self._unable: set[int] = set()
        self._over: str | None = None
        self._failure: GreenfrontError | None = None
        self._deaths = 0
        self.peak = PeakMemory(0, 0)

    def begin(self, begun: Callable[[], bool]) -> None:
        """Sends out one worker, which begins the study, and waits until it has.

        Raises:
            GreenfrontError: It could not.
        """
        while not begun():
            self._send_out(1)
            self._await(1)

    def work(self, workers: int, look: Callable[[dict[int, str]], int]) -> str:
        """Keeps so many workers at work until the study is over.

        Args:
            workers: How many.
            look: Looks at the study, told what each worker does; gives its finished trials.

        Returns:
            Why the search ended, in words.

        Raises:
            GreenfrontError: No worker could go on.
        """
        self._deaths, finished = 0, -1
        while True:
            if self._over is None:
                self._send_out(workers)
            if finished < 0:
                finished = look(self._doing())
            if not self._posts:
                break
            self._await(workers)
            if self._over is not None:
                self._dismiss()
            now = look(self._doing())
            self._deaths = 0 if now > finished else self._deaths
            finished = now
        if self._over is None and self._failure is not None:
            raise self._failure
        return self._over or "done"

    def _send_out(self, workers: int) -> None:
        """Fills vacant posts, but for those whose workers cannot go on."""
        for number in range(workers):
            if number not in self._posts and number not in self._unable:
                actor = self._make.remote(self._errand)
                self._posts[number] = _Post(actor, actor.work.remote(), actor.joined.remote())
        if not self._posts and self._failure is not None:
            raise self._failure

    def _await(self, workers: int) -> None:
        """Waits a little, then sees who has joined, ended or died."""
        works = [post.work for post in self._posts.values()]
        self._ray.wait(works, timeout=LOOK_SECONDS)
        for number, post in list(self._posts.items()):
            if post.where is None and self._is_ready(post.joined):
                with contextlib.suppress(self._ray.exceptions.RayError):
                    post.where = self._ray.get(post.joined)
                if post.where is not None:
                    self._say(f"worker {number} joined on {post.where}")
            if self._is_ready(post.work):
                self._leave(number, self._posts.pop(number))
        if self._deaths > DEATHS_IN_VAIN * workers:
            raise SearchAborted(
                f"workers died {self._deaths} times while no trial got finished: see their logs, "
                "mend the cause, then resume goes on"
            )

    def _leave(self, number: int, post: _Post) -> None:
        try:
            ended: Ended = self._ray.get(post.work)
        except self._ray.exceptions.RayError as death:  # killed, its node is gone, or a fault
            self._deaths += 1
            self._ray.kill(post.actor)
            if self._over is None:
                self._say(
                    f"worker {number} died ({_last_words(death)}): what it was at is queued again, "
                    "and another takes its place"
                )
            return
        self._ray.kill(post.actor)
        if ended.peak is not None:
            self.peak = PeakMemory(
                max(self.peak.supervisor, ended.peak.supervisor),
                max(self.peak.evaluator, ended.peak.evaluator),
            )
        if not ended.failed:
            self._over = self._over or ended.reason
            return
        self._say(f"worker {number} cannot go on: {ended.reason}")
        self._unable.add(number)
        error = UsageError if ended.usage else SearchAborted
        self._failure = self._failure or error(ended.reason)
        if ended.hopeless:
            raise self._failure

    def _dismiss(self) -> None:
        """Calls those back that still wait for a node: the study is over."""
        for number, post in list(self._posts.items()):
            if not self._is_ready(post.joined):
                del self._posts[number]
                self._ray.kill(post.actor)

    def close(self) -> None:
        """Ends all that are at work, in order where they can."""
        left, self._posts = list(self._posts.values()), {}
        for post in left:
            with contextlib.suppress(self._ray.exceptions.RayError):
                post.actor.stop.remote()
        deadline = time.monotonic() + LEAVE_SECONDS
        joined = [post for post in left if self._is_ready(post.joined)]
        with contextlib.suppress(self._ray.exceptions.RayError):
            if joined:
                works = [post.work for post in joined]
                self._ray.wait(
                    works, num_returns=len(works), timeout=max(deadline - time.monotonic(), 0)
                )
        for post in left:
            self._ray.kill(post.actor)

    def _is_ready(self, reference: Any) -> bool:
        return bool(self._ray.wait([reference], timeout=0)[0])

    def _doing(self) -> dict[int, str]:
        return {
            number: post.where or "waits for a node with room"
            for number, post in sorted(self._posts.items())
        }


def _last_words(death: Exception) -> str:
    """The last line of what Ray says of a death, which is its cause."""
    lines = [line.strip() for line in str(death).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(death).__name__

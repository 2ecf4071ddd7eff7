"""Follow-ups: queued within their share, kept with their reason, and never lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from contracts.problems import Menu
from greenfront import optimize_problem
from greenfront.search.problem import Wanted
from greenfront.search.proposals.feedback import Feedback
from greenfront.spaces.knobs import Point
from greenfront.studies.analysis.history.chains import chain_of, chains
from greenfront.studies.store.follow_ups import FollowUp
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.trials import PlainTrial

HOT = {"dish": "b", "heat": 6, "spice": 0}


class Cooler(Menu):
    """Whatever is on the front and hot is wanted a degree cooler."""

    follow_up_share = 0.4

    def follow_up(
        self, point: Point, trial: PlainTrial, finished: Mapping[str, tuple[float, ...]]
    ) -> Wanted | None:
        assert trial.values in finished.values()
        heat = int(point.get("heat", 0))
        if not heat:
            return None
        return Wanted({**point, "heat": heat - 1}, True, f"too hot: heat {heat} → {heat - 1}")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def follow_ups(url: str) -> list[FollowUp]:
    storage = Storage(url, create=False)
    found = Study.open(storage, "study").follow_ups.all()
    storage.close()
    return found


def test_what_nearly_does_is_followed_up_and_the_chain_is_kept(url: str) -> None:
    result = optimize_problem(Cooler(first=[HOT]), sampler="random", trials=12, storage=url)
    kept = follow_ups(url)
    assert 2 <= len(kept) <= 0.4 * 12
    links = chains(result.trials, kept)
    assert links[0].origin == 0
    for link in links:
        new, old = result.trials[link.trial].candidate, result.trials[link.origin].candidate
        assert new == {**old, "heat": old["heat"] - 1}
        assert link.reason == f"too hot: heat {old['heat']} → {new['heat']}"
        # It comes next, before what the sampler would have proposed.
        assert link.trial == link.origin + 1
    last = links[-1].trial
    chain = chain_of(last, links)
    assert [link.trial for link in chain[:-1]] == [link.origin for link in chain[1:]]
    assert chain[-1].sentence.startswith(f"Trial {last} follows trial {links[-1].origin}: too hot")


def test_nobody_is_followed_up_without_a_share(url: str) -> None:
    class Content(Cooler):
        follow_up_share = 0.0

    optimize_problem(Content(first=[HOT]), sampler="random", trials=6, storage=url)
    assert follow_ups(url) == []


def test_what_was_written_down_but_not_queued_is_queued_by_the_next_run(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(feedback: Feedback, point: Point) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("greenfront.search.engine.loop.Engine._enqueue", dies)
        with pytest.raises(Killed):
            optimize_problem(Cooler(first=[HOT]), trials=8, storage=url)
    (lost,) = follow_ups(url)
    result = optimize_problem(Cooler(first=[HOT]), trials=8, storage=url)
    assert result.trials[1].key == lost.key
    assert result.trials[1].candidate == dict(lost.point)

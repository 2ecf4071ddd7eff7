"""The conditional space of networks: families, their shapes, and what techniques do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from greenfront.spaces.architectures.registry import architecture, is_fitted
from greenfront.spaces.candidate import ArchitectureChoice, Candidate, Placement
from greenfront.spaces.knobs import Categorical, Knob, Point, Value, When
from greenfront.spaces.options import NetworkOptions
from greenfront.spaces.space import SearchSpace
from greenfront.spaces.techniques.registry import techniques
from greenfront.spaces.techniques.technique import Scope, Together

__all__ = ["baseline_candidates", "first_generation", "network_space", "reference_candidate"]


def network_space(options: NetworkOptions) -> SearchSpace[Candidate]:
    """The conditional space that ``options`` describe; knobs with one setting are not asked."""
    asked = (knob for knob in _technique_knobs(options) if knob.count() != 1)
    return SearchSpace((*_family_knobs(options.scope), *asked), decode=_decoder(options))


def _family_knobs(scope: Scope) -> Iterator[Knob]:
    several = len(scope.families) > 1
    if several:
        yield Categorical("architecture", scope.families)
    for family in scope.families:
        chosen = (When("architecture", (family,)),) if several else ()
        for knob in scope.family(family).knobs:
            inner = tuple(When(f"{family}.{when.knob}", when.values) for when in knob.when)
            yield replace(knob, name=f"{family}.{knob.name}", when=(*chosen, *inner))


def _technique_knobs(options: NetworkOptions) -> Iterator[Knob]:
    networks = options.scope.networks
    if not networks:
        return
    trained = () if networks == options.scope.families else (When("architecture", networks),)
    for technique in techniques():
        for knob in technique.knobs(options.of(technique), options.scope):
            yield replace(knob, when=(*trained, *knob.when)) if trained else knob


def _decoder(options: NetworkOptions) -> Callable[[Point], Candidate]:
    fixed: dict[str, Value] = {"architecture": options.scope.families[0]}
    for knob in _technique_knobs(options):
        fixed[knob.name] = knob.choices[0] if isinstance(knob, Categorical) else knob.low

    def decode(point: Point) -> Candidate:
        whole = {**fixed, **point}
        family = str(whole["architecture"])
        prefix = f"{family}."
        shape = {k.removeprefix(prefix): v for k, v in point.items() if k.startswith(prefix)}
        choice = ArchitectureChoice(family, tuple(sorted(shape.items())))
        if is_fitted(family):
            return Candidate(choice)
        settings = {
            technique.settings.section: technique.decode(
                whole, family, options.of(technique), options.scope
            )
            for technique in techniques()
        }
        return Candidate.made(choice, Placement(options.scope.device), settings)

    return decode


def _baseline_points(options: NetworkOptions) -> dict[str, Point]:
    """Each family's usual shape with usual training and no technique, by family."""
    usual: dict[str, Value] = {}
    scope = options.scope
    for technique in techniques():
        usual |= technique.baseline(options.of(technique), scope)
    return {
        family: {"architecture": family, **_shape(family, scope.family(family).baseline), **usual}
        for family in scope.families
    }


def _shape(family: str, settings: Mapping[str, Value]) -> dict[str, Value]:
    return {f"{family}.{name}": value for name, value in settings.items()}


def baseline_candidates(options: NetworkOptions) -> list[Candidate]:
    """Each network's untouched baseline, whether or not the space contains it.

    Where a study names no network, those of the models that it names.
    """
    decode, points = _decoder(options), _baseline_points(options)
    return [decode(points[name]) for name in options.scope.networks or options.scope.families]


def reference_candidate(name: str) -> Candidate:
    """The usual member of a family of fitted models."""
    return Candidate(ArchitectureChoice(name, tuple(sorted(architecture(name).baseline().items()))))


def first_generation(
    options: NetworkOptions, space: SearchSpace[Candidate], seed: int
) -> list[Point]:
    """Where a search begins: baselines, each technique alone, then together.

    A smaller shape of the family counts as a technique.

    Wishes that the space does not contain (a bit-width that is not offered, a technique that is
    switched off) are dropped, and so are points that then decode to the same candidate.

    Returns:
        Whole points of ``space``: all baselines first, then technique by technique.
    """
    rng = np.random.default_rng(seed)
    knobs = {knob.name: knob for knob in space.knobs}
    turns = sorted(techniques(), key=lambda technique: technique.turn or technique.order)
    openings = [technique.opening(options.of(technique), knobs) for technique in turns]
    wishes: list[tuple[bool, Point]] = [(False, {})]
    wishes += [(False, point) for opening in openings for point in opening.alone]
    for step in Together:
        parts = (opening.together.get(step, {}) for opening in openings)
        wishes.append((step.small, {k: v for part in parts for k, v in part.items()}))
    points: dict[str, Point] = {}
    for small, wish in wishes:
        for family, baseline in _baseline_points(options).items():
            shape = _shape(family, options.scope.family(family).smaller) if small else {}
            point = space.complete({**baseline, **shape, **wish}, rng)
            points.setdefault(space.decode(point).key, point)
    return list(points.values())

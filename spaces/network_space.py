"""The conditional space of networks: families, their shapes, and what techniques do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    # What is known of the families does not change: it is looked up once, not at each point.
    families = {name: options.scope.family(name) for name in options.scope.families}
    scope = replace(options.scope, found=families)
    each_technique = [(each, each.settings.section, options.of(each)) for each in techniques()]
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
            section: technique.decode(whole, family, own, scope)
            for technique, section, own in each_technique
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
    """Where a search begins, the most telling first, so that a short search takes its beginning.

    All baselines; then each technique alone, and techniques together, on the most capable family
    (families are listed from the simplest to the most capable); then the other families' smaller
    shapes and combinations, which bring other costs; at last their techniques alone. A smaller
    shape counts as a technique.

    What can share the training of a baseline keeps its settings and costs next to nothing. What is
    trained from scratch anyway takes optimiser, rate and batch size from a spread.

    Wishes that the space does not contain (a bit-width that is not offered, a technique that is
    switched off) are dropped, and so are points that then decode to the same candidate.

    Returns:
        Whole points of ``space``.
    """
    rng = np.random.default_rng(seed)
    knobs = {knob.name: knob for knob in space.knobs}
    turns = sorted(techniques(), key=lambda technique: technique.turn or technique.order)
    openings = [
        technique.opening(options.of(technique), options.scope, knobs) for technique in turns
    ]
    alone: list[Point] = [point for opening in openings for point in opening.alone]
    varied = [knobs[name] for opening in openings for name in opening.varied]
    settings = _spread(varied, rng)
    baselines = _baseline_points(options)
    points: dict[str, Point] = {}

    def add(family: str, wish: Point) -> None:
        point = space.complete({**baselines[family], **wish}, rng)
        points.setdefault(space.decode(point).key, point)

    def add_together(family: str) -> None:
        done: list[Point] = []
        for step in Together:
            parts = (opening.together.get(step, {}) for opening in openings)
            wish = {name: value for part in parts for name, value in part.items()}
            if step.small:
                wish |= _shape(family, options.scope.family(family).smaller)
            if wish and wish not in done:
                done.append(wish)
                add(family, wish | next(settings) if step.trains_anew else wish)

    *others, best = options.scope.networks or options.scope.families
    others += [family for family in options.scope.families if family not in (*others, best)]
    for family in baselines:
        add(family, {})
    for wish in alone:
        add(best, wish)
    add_together(best)
    for family in others:
        add_together(family)
    for family in others:
        for wish in alone:
            add(family, wish)
    return list(points.values())


def _spread(knobs: Sequence[Knob], rng: np.random.Generator) -> Iterator[dict[str, Value]]:
    """Settings without end, of which any first few lie evenly over what is on offer.

    An additive recurrence by powers of the generalised golden ratio, the positive root of
    ``x ** (d + 1) = x + 1`` in ``d`` dimensions, from a drawn start. Source: Roberts, "The
    unreasonable effectiveness of quasirandom sequences", 2018.
    """
    dimensions = len(knobs)
    ratio = 2.0
    for _ in range(50):  # a fixed-point iteration that gains a digit every few rounds
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    place = rng.random(dimensions)
    while True:
        yield {knob.name: knob.at(float(share)) for knob, share in zip(knobs, place, strict=True)}
        place = (place + steps) % 1.0

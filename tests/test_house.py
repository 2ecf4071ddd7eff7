"""The house as `docs/design.md` draws it is the house as it stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("spaces", "objectives", "studies", "search", "cli")
"""From the ground up: each may import what stands below it."""

STUDIES = ("store", "config", "analysis", "export", "report", "dashboard")
"""The same within ``studies``."""

MOST_LINES = 400

PLACES = {name: ROOT / name for name in FLOORS[:-1]} | {"cli": ROOT / "src" / "greenfront" / "cli"}
FILES = {
    ".".join(["greenfront", name, *path.relative_to(place).with_suffix("").parts]): path
    for name, place in PLACES.items()
    for path in sorted(place.rglob("*.py"))
    if path.name != "__init__.py"
}


def imported(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, also within functions and for types alone."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from {name if name in FILES else node.module for name in whole} & FILES.keys()


ARROWS = {(name, other) for name, path in FILES.items() for other in imported(path)}


def reachable(arrows: set[tuple[str, str]]) -> dict[str, set[str]]:
    """From each room to all that it can reach."""
    reached = {room: {b for a, b in arrows if a == room} for arrow in arrows for room in arrow}
    while True:
        grown = {
            room: others.union(*(reached[other] for other in others))
            for room, others in reached.items()
        }
        if grown == reached:
            return reached
        reached = grown


def room(module: str, depth: int) -> str:
    """The folder of a module, as the pictures name it, or the one around it at a depth."""
    return "/".join(module.split(".")[1:-1][:depth])


def direct(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows that are not implied by a longer way."""
    reached = reachable(arrows)
    return {
        (a, b)
        for a, b in arrows
        if not any(b in reached[other] for x, other in arrows if x == a and other != b)
    }


def between(depth: int) -> set[tuple[str, str]]:
    """Arrows between the folders at a depth that lie in the same folder, but what others imply."""
    rooms = {(room(a, depth), room(b, depth)) for a, b in ARROWS}
    return direct(
        {
            (a, b)
            for a, b in rooms
            if a != b
            and a.count("/") == b.count("/") == depth - 1
            and a.rpartition("/")[0] == b.rpartition("/")[0]
        }
    )


def test_files_import_each_other_in_no_circle() -> None:
    assert {name for name, others in reachable(ARROWS).items() if name in others} == set()


def test_every_arrow_points_down() -> None:
    upward = [
        (a, b) for a, b in ARROWS if FLOORS.index(a.split(".")[1]) < FLOORS.index(b.split(".")[1])
    ]
    assert upward == []
    for lower, upper in pairwise(STUDIES):
        below = STUDIES[: STUDIES.index(lower) + 1]
        assert [
            (a, b)
            for a, b in ARROWS
            if a.split(".")[1:3] in [["studies", name] for name in below]
            and b.split(".")[1:3] == ["studies", upper]
        ] == []


def test_the_pictures_show_the_folders_and_their_arrows() -> None:
    """None leads back to where it began."""
    text = (ROOT / "docs" / "design.md").read_text()
    house, analysis = re.findall(r"```mermaid\n(.*?)```", text, flags=re.DOTALL)
    for picture, arrows in (house, between(1) | between(2)), (analysis, between(3)):
        assert set(re.findall(r"^\s*(\S+) --> (\S+)$", picture, flags=re.MULTILINE)) == arrows
        assert {name for name, others in reachable(arrows).items() if name in others} == set()
    rooms = {room(name, 2) for name in FILES} - set(FLOORS)
    assert rooms == set(re.findall(r"^\s*(\w+/\w+)\[", house, flags=re.MULTILINE))
    parts = {room(name, 3) for name in FILES if name.startswith("greenfront.studies.analysis.")}
    assert parts - rooms == set(re.findall(r"^\s*(\w+/\w+/\w+)\[", analysis, flags=re.MULTILINE))


@pytest.mark.parametrize("folder", [*FLOORS, "tests", "benchmarks"])
def test_no_file_is_long(folder: str) -> None:
    place = PLACES.get(folder, ROOT / folder)
    long = {
        str(path.relative_to(ROOT)): lines
        for path in place.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert long == {}


def test_only_the_store_knows_studies_by_storage_and_number() -> None:
    """Elsewhere a study is one object."""
    found = [
        f"{name}.{node.name}"
        for name, path in FILES.items()
        if not name.startswith("greenfront.studies.store.")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and {"storage", "study_id"} <= {arg.arg for arg in [*node.args.args, *node.args.kwonlyargs]}
    ]
    assert found == []


def test_an_outcome_is_read_from_the_database_in_one_place() -> None:
    found = [
        name
        for name, path in FILES.items()
        if re.search(r"from_json\(\s*Outcome\b|Outcome\.from_json", path.read_text())
    ]
    assert found == ["greenfront.studies.store.trials"]


def test_a_knob_of_a_technique_has_one_home() -> None:
    """Named in one file of ``spaces``, in one stage, and nowhere else in the product."""
    found = [name for name, path in FILES.items() if "quantization_aware" in path.read_text()]
    homes = [name for name in found if name.startswith("greenfront.spaces.")]
    stages = [name for name in found if name.startswith("greenfront.objectives.")]
    assert homes == ["greenfront.spaces.techniques.precision"]
    assert len(stages) <= 1
    assert [name for name in found if name not in homes + stages] == []


def test_the_design_names_files_that_there_are() -> None:
    """And all of ``search`` that no folder of its own describes as a whole."""
    text = (ROOT / "docs" / "design.md").read_text()
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    paths = [path.as_posix() for path in [*FILES.values(), *ROOT.glob("tests/**/*.py")]]
    assert {name for name in named if not any(p.endswith(f"/{name}") for p in paths)} == set()
    elsewhere = {"evaluator", "electricity", "samplers", "ray"}
    parts = {
        path.name
        for path in [*ROOT.glob("search/*.py"), *ROOT.glob("search/*/*.py")]
        if path.parent.name not in elsewhere and path.name != "__init__.py"
    }
    assert parts - {name.rsplit("/", 1)[-1] for name in named} == set()

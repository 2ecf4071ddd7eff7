"""Tables of published trainings as search problems: EC-NAS (4 vertices) and LCBench.

Two objectives, both minimised: the error after the whole training in per cent, and the energy of
that training. Rungs are epochs. Sources and licences: the data folder's README.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from greenfront.spaces.knobs import Categorical, Point, Real
from greenfront.spaces.space import SearchSpace

__all__ = ["LCBENCH", "EcNas", "LcBench", "Table"]

Array = NDArray[np.float64]

LCBENCH = ("3945", "126026", "168868", "167190", "189906", "7593", "34539")
"""The first three are the tasks that the prototype was tuned on, the others were drawn blindly."""


@dataclass(frozen=True, slots=True)
class Row:
    """A choice whose identity is written out: quicker to tell apart than a hash of it."""

    key: str

    def to_json(self) -> dict[str, Any]:
        return {"row": self.key}


class Table(Protocol):
    """A problem whose answers are known beforehand.

    Attributes:
        name: Of the table.
        space: What may be chosen.
        epochs: Of each rung.
        reference: Worst error and energy that count.
        foreseen: Whether the energy of the whole training is known exactly from the first rung on.
        full: Energy of a mean whole training of a random candidate.
    """

    name: str
    space: SearchSpace[Row]
    epochs: tuple[int, ...]
    reference: tuple[float, float]
    foreseen: bool
    full: float

    def curve(self, point: Point) -> Array:
        """Error and energy so far at each rung ``[rungs, 2]``."""
        ...

    def describe(self, point: Point, settings: tuple[float, ...]) -> tuple[float, ...]:
        """Free numbers of a point."""
        ...


OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
EDGES = [(i, j) for i in range(4) for j in range(i + 1, 4)]


@dataclass(frozen=True)
class Cell:
    """A cell without dead ends: edges between its vertices, operations of the inner ones."""

    edges: frozenset[tuple[int, int]]
    operations: tuple[int, ...]

    @property
    def vertices(self) -> int:
        return len(self.operations) + 2

    @cached_property
    def key(self) -> str:
        """The same for isomorphic cells: the least of all orders of the inner vertices."""
        from itertools import permutations

        inner, last = range(1, self.vertices - 1), self.vertices - 1
        forms = []
        for order in permutations(inner):
            place = {0: 0, last: last, **{old: new + 1 for new, old in enumerate(order)}}
            edges = sorted((place[a], place[b]) for a, b in self.edges)
            forms.append((edges, [self.operations[old - 1] for old in order]))
        return json.dumps(min(forms))

    def paths(self) -> list[tuple[int, ...]]:
        """The operations along every path from input to output."""
        last = self.vertices - 1

        def from_(vertex: int) -> list[tuple[int, ...]]:
            if vertex == last:
                return [()]
            own = () if vertex == 0 else (self.operations[vertex - 1],)
            return [own + rest for a, b in sorted(self.edges) if a == vertex for rest in from_(b)]

        return from_(0)


def cell_of(edges: Sequence[tuple[int, int]], operations: Sequence[int]) -> Cell:
    """The cell without its dead ends; input joined to output where no path does."""
    last = len(operations) + 1

    def reached(start: int, backward: bool) -> set[int]:
        found, waiting = {start}, [start]
        while waiting:
            here = waiting.pop()
            for a, b in edges:
                one, other = (b, a) if backward else (a, b)
                if one == here and other not in found:
                    found.add(other)
                    waiting.append(other)
        return found

    alive = reached(0, False) & reached(last, True)
    if not {0, last} <= alive:
        return Cell(frozenset({(0, 1)}), ())
    place = {old: new for new, old in enumerate(sorted(alive))}
    kept = frozenset((place[a], place[b]) for a, b in edges if a in place and b in place)
    return Cell(kept, tuple(operations[v - 1] for v in sorted(alive) if 0 < v < last))


@dataclass
class EcNas:
    """EC-NAS-Bench, 4 vertices: 91 cells on CIFAR-10 with measured kWh.

    A rung's energy is that of four epochs times its epochs over four: measured once a cell, as a
    search could.

    Attributes:
        repeat: Each cell was trained three times, independently: which time counts, 1 to 3. Numbers
            are reported of the first; what is tried out is tried on the others.
    """

    data: Path
    repeat: int = 1
    name: str = "ec-nas-4v"
    epochs: tuple[int, ...] = (4, 12, 36, 108)
    foreseen: bool = True
    space: SearchSpace[Row] = field(init=False)
    reference: tuple[float, float] = field(init=False)
    full: float = field(init=False)

    def __post_init__(self) -> None:
        self.table, self.parameters = self._read()
        finals = np.array([curve[-1] for curve in self.table.values()])
        self.finals = finals
        self.reference = (30.0, float(finals[:, 1].max() * 1.05))
        self.full = float(finals[:, 1].mean())
        edges = tuple(Categorical(f"edge{a}{b}", (False, True)) for a, b in EDGES)
        operations = tuple(Categorical(f"operation{v}", OPERATIONS) for v in (1, 2))
        self.space = SearchSpace((*edges, *operations), lambda point: Row(self.cell(point).key))
        self._cells: dict[tuple[Any, ...], Cell] = {}
        self._described: dict[str, tuple[float, ...]] = {}

    def cell(self, point: Point) -> Cell:
        """What a point decodes to."""
        raw = tuple(point.values())
        if raw not in self._cells:
            edges = [(a, b) for a, b in EDGES if point[f"edge{a}{b}"]]
            operations = [OPERATIONS.index(str(point[f"operation{v}"])) for v in (1, 2)]
            self._cells[raw] = cell_of(edges, operations)
        return self._cells[raw]

    def curve(self, point: Point) -> Array:
        return self.table[self.cell(point).key]

    def describe(self, point: Point, settings: tuple[float, ...]) -> tuple[float, ...]:  # noqa: ARG002
        """Of the cell: its operations, edges, paths, depth and parameters."""
        cell = self.cell(point)
        if cell.key not in self._described:
            paths, counts = cell.paths(), [cell.operations.count(o) for o in range(3)]
            entering = sum(b == cell.vertices - 1 for _, b in cell.edges)
            self._described[cell.key] = (
                *(count / 2 for count in counts),
                len(cell.edges) / 4,
                max(map(len, paths)) / 2,
                min(map(len, paths)) / 2,
                2 * float(np.log10(self.parameters[cell.key])),
                max(path.count(0) for path in paths) / 1.5,
                max(len(path) - path.count(2) for path in paths) / 1.5,
                min(path.count(2) for path in paths) / 1.5,
                float(() in paths),
                float(np.log(entering)),
            )
        return self._described[cell.key]

    def _read(self) -> tuple[dict[str, Array], dict[str, float]]:
        repeats: dict[str, dict[int, list[tuple[float, float]]]] = {}
        parameters: dict[str, float] = {}
        lines = (self.data / "ecnas_4v" / "ecnas_4v_real.jsonl").read_text().splitlines()
        for row in map(json.loads, lines):
            size = int(len(row["adj"]) ** 0.5)
            edges = [(i // size, i % size) for i, bit in enumerate(row["adj"]) if bit == "1"]
            inner = [OPERATIONS.index(name) for name in row["ops"].split(",")[1:-1]]
            key = cell_of(edges, inner).key
            error = 100 - 100 * row["evals"][-1]["val_acc"]
            each = repeats.setdefault(key, {}).setdefault(row["budget"], [])
            each.append((error, row["total_kwh"]))
            parameters[key] = row["params"]
        k = self.repeat - 1
        table = {
            key: np.array([[by[b][k][0], by[4][k][1] * b / 4] for b in self.epochs])
            for key, by in repeats.items()
        }
        return table, parameters

    def points(self) -> dict[str, Point]:
        """One point of each cell of the space, by the cell's key."""
        names, found = [k.name for k in self.space.knobs], dict[str, Point]()
        for values in product(*(k.values() for k in self.space.knobs)):
            point = dict(zip(names, values, strict=True))
            found.setdefault(self.cell(point).key, point)
        return found


@dataclass
class LcBench:
    """One LCBench task through YAHPO Gym's surrogate; seconds of training stand for energy.

    The unit of energy is a mean whole training of the space. The reference is the 60th percentile
    of the error and the 99th of the cost of 20,000 random candidates.
    """

    data: Path
    task: str
    name: str = field(init=False)
    epochs: tuple[int, ...] = (2, 6, 17, 52)
    foreseen: bool = False
    space: SearchSpace[Row] = field(init=False)
    reference: tuple[float, float] = field(init=False)
    full: float = 1.0

    def __post_init__(self) -> None:
        import onnxruntime

        self.name = f"lcbench-{self.task}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        folder = self.data / "lcbench"
        self._session = onnxruntime.InferenceSession(
            (folder / "model.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        coding = json.loads((folder / "encoding.json").read_text())
        self._number = coding["OpenML_task_id"][self.task]
        self._curves: dict[tuple[Any, ...], Array] = {}
        knobs = (
            Real("batch_size", 16, 512, log=True),
            Real("learning_rate", 1e-4, 0.1, log=True),
            Real("momentum", 0.1, 0.99),
            Real("weight_decay", 1e-5, 0.1),
            Real("num_layers", 1, 5),
            Real("max_units", 64, 1024, log=True),
            Real("max_dropout", 0, 1),
        )
        self.space = SearchSpace(knobs, lambda point: Row(repr(tuple(point.values()))))
        self._low = np.array([np.log(k.low) if k.log else k.low for k in knobs])
        self._high = np.array([np.log(k.high) if k.log else k.high for k in knobs])
        self._logs = np.array([k.log for k in knobs])
        drawn = np.random.default_rng(123).random((20_000, len(knobs)))
        settings = self._low + drawn * (self._high - self._low)
        finals = self._ask(np.where(self._logs, np.exp(settings), settings), self.epochs[-1])
        self._seconds = float(finals[:, 1].mean())
        bounds = np.percentile(finals[:, 0], 60), np.percentile(finals[:, 1], 99) / self._seconds
        self.reference = float(bounds[0]), float(bounds[1])

    def curve(self, point: Point) -> Array:
        raw = tuple(point.values())
        if raw not in self._curves:
            settings = np.array([raw] * len(self.epochs), dtype=np.float64)
            found = self._ask(settings, np.array(self.epochs))
            found[:, 1] = np.maximum.accumulate(found[:, 1]) / self._seconds
            self._curves[raw] = found
        return self._curves[raw]

    def describe(self, point: Point, settings: tuple[float, ...]) -> tuple[float, ...]:  # noqa: ARG002
        return settings

    def _ask(self, settings: Array, epochs: int | NDArray[np.int64]) -> Array:
        whole = settings.copy()
        whole[:, [0, 4, 5]] = np.round(whole[:, [0, 4, 5]])
        numbers = np.column_stack([np.broadcast_to(epochs, len(whole)), whole])
        task = np.full((len(whole), 1), self._number, dtype=np.int32)
        inputs = {"x_cat": task, "x_cont": numbers.astype(np.float32)}
        found = self._session.run(None, inputs)[0]
        return np.column_stack([100 - found[:, 1], np.maximum(found[:, 0], 1e-3)]).astype(float)

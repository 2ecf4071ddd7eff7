"""A table that loses no number on a narrow terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

__all__ = ["Sheet"]

WIDE = 120
"""From so many columns on, the numbers that a narrow terminal folds away stand in the line."""

WORDS_NEED = 24
"""Fewer columns than these fold words into a pillar."""

INDENT = 4

GAP = 2


@dataclass(frozen=True, slots=True)
class _Row:
    cells: Sequence[str]
    remark: str | None
    style: str


@dataclass(slots=True)
class Sheet:
    """Rows of numbers and words; where both do not fit, the words go below their numbers.

    Args:
        title: Above it.
        headings: Numbers to the right, words to the left: a heading in capitals marks a number.
        spare: Headings of numbers that a narrow terminal shows below the others, each by its name.
    """

    title: str
    headings: Sequence[str]
    spare: Sequence[str] = ()
    _rows: list[_Row] = field(default_factory=list)

    def add(self, *cells: str, remark: str | None = None, style: str = "") -> None:
        """Adds a row.

        Args:
            cells: One for each heading.
            remark: A sentence on a line of its own, among the words.
            style: Of the row.
        """
        self._rows.append(_Row(cells, remark, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws it as wide as there is room."""
        if self._fits(options.max_width):
            yield self._wide()
        else:
            yield from self._narrow(options.max_width)

    def _fits(self, width: int) -> bool:
        words = [index for index in range(len(self.headings)) if self._is_words(index)]
        room = width - self._numbers_width() - GAP
        return room >= sum(min(self._longest(index), WORDS_NEED) + GAP for index in words)

    def _numbers_width(self) -> int:
        numbers = (index for index in range(len(self.headings)) if not self._is_words(index))
        return sum(self._longest(index) + GAP for index in numbers)

    def _is_words(self, index: int) -> bool:
        return self.headings[index].islower()

    def _longest(self, index: int) -> int:
        return max(map(cell_len, [self.headings[index], *(row.cells[index] for row in self._rows)]))

    def _wide(self) -> Table:
        table = Table(title=Text(self.title, style="bold"), title_justify="left", box=None)
        for index, heading in enumerate(self.headings):
            if self._is_words(index):
                table.add_column(heading, overflow="fold")
            else:
                width = self._longest(index)
                table.add_column(heading, justify="right", no_wrap=True, min_width=width)
        words = next(index for index in range(len(self.headings)) if self._is_words(index))
        for row in self._rows:
            table.add_row(*map(Text, row.cells), style=row.style)
            if row.remark:
                table.add_row(*[""] * words, Text(row.remark), style="dim italic")
        return table

    def _narrow(self, width: int) -> Iterator[RenderableType]:
        spare = () if width >= max(WIDE, self._numbers_width()) else self.spare
        kept = [index for index, name in enumerate(self.headings) if name not in spare]
        words = [index for index in kept if self._is_words(index)]
        numbers = [index for index in kept if index not in words]
        widths = [self._longest(index) for index in numbers]

        def line(cells: Sequence[str], style: str) -> Iterator[RenderableType]:
            padded = [
                " " * (width - cell_len(cells[index])) + cells[index]
                for index, width in zip(numbers, widths, strict=True)
            ]
            # Cut by nobody: a terminal that is narrower still breaks the line where it ends.
            yield Text((" " * GAP).join(padded), style=style, no_wrap=True, overflow="ignore")
            said = " · ".join(cells[index] for index in words)
            yield Padding(Text(said, style=style, overflow="fold"), (0, 0, 0, INDENT), expand=False)

        folded = [(index, name) for index, name in enumerate(self.headings) if name in spare]
        yield Text(self.title, style="bold")
        yield from line(self.headings, "bold")
        for row in self._rows:
            yield from line(row.cells, row.style)
            more = (" " * GAP).join(
                f"{name} {row.cells[at]}" for at, name in folded if row.cells[at]
            )
            if more:
                below = Text(more, style="dim", overflow="fold")
                yield Padding(below, (0, 0, 0, INDENT), expand=False)
            if row.remark:
                remark = Text(row.remark, style="dim italic", overflow="fold")
                yield Padding(remark, (0, 0, 0, INDENT), expand=False)

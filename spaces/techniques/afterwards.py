"""What no search chooses: techniques that are applied to picked models, after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from greenfront.spaces.knobs import Knob, Point, Value
from greenfront.spaces.table import Table
from greenfront.spaces.techniques.technique import Scope, Settings, Technique

__all__ = ["Afterwards", "NoOptions"]

S = TypeVar("S", bound=Settings)


class NoOptions(Table):
    """No keys: what is done afterwards is not searched."""


class Afterwards(Technique[S, NoOptions], Generic[S]):
    """A technique without knobs: a space never contains it."""

    options = NoOptions

    def knobs(self, options: NoOptions, scope: Scope) -> Iterator[Knob]:
        """None."""
        return iter(())

    def decode(self, point: Point, family: str, options: NoOptions, scope: Scope) -> S | None:
        """What a space contains is left as it is."""
        return None

    def baseline(self, options: NoOptions, scope: Scope) -> Mapping[str, Value]:
        """Nothing to set."""
        return {}

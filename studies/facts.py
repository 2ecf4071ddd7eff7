"""What a study had to find out about its data and its machine before it could lay out its space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from greenfront.objectives.tasks.task import TaskFacts

__all__ = ["StudyFacts"]


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """Found once, when a study begins, and kept with it.

    Attributes:
        task: Of the data.
        device: Where trials are trained, ``"cpu"`` or ``"cuda"``.
        mixed_precision: Whether bfloat16 training gains anything on that device.
        int8: Latency of each family's baseline in int8 kernels, as a share of its latency in
            single precision; empty where 8 bits are not searched.
    """

    task: TaskFacts
    device: str
    mixed_precision: bool
    int8: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns plain values that ``json.dumps`` takes."""
        return {
            "task": self.task.to_json(),
            "device": self.device,
            "mixed_precision": self.mixed_precision,
            "int8": dict(self.int8),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_json`."""
        return cls(
            TaskFacts.from_json(data["task"]),
            str(data["device"]),
            bool(data["mixed_precision"]),
            data.get("int8", {}),
        )

"""The one interface behind which every model family stands.

Life of an architecture: the search asks ``objection`` once a task, then ``knobs`` and
``baseline`` to lay out the space; all three are cheap and import no torch. An evaluator calls
``encode`` once for the data and ``build`` for each trial, and prunes what ``head`` does not
protect.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from greenfront.spaces.knobs import Knob, Value

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

__all__ = ["Architecture"]


class Architecture(abc.ABC):
    """A family of networks.

    Attributes:
        name: As written in the study file.
        cannot_prune: Why channels cannot be removed from this family; ``None`` where they can.
        body_rate: Share of the learning rate that all layers but the head get: pretrained weights
            are moved gently.
        layered: Whether the weights are pretrained and :meth:`blocks` are known, so that the
            learning rate may differ from block to block.
        padding: What fills short inputs up, so that a batch may drop columns that hold nothing
            else; ``None`` where all inputs have one length.
    """

    name: str
    cannot_prune: str | None = None
    body_rate: float = 1.0
    layered: bool = False
    padding: int | None = None

    @abc.abstractmethod
    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Why the family cannot take such inputs; ``None`` if it can.

        Args:
            input_shape: Of one input, without the batch axis; ``()`` for a text.

        Raises:
            UsageError: What the name stands for is not to be found here.
        """

    @abc.abstractmethod
    def knobs(self) -> tuple[Knob, ...]:
        """What may be chosen, in the order it is asked; names carry no prefix."""

    @abc.abstractmethod
    def baseline(self) -> Mapping[str, Value]:
        """The shape that one would take without a search: a point of :meth:`knobs`."""

    def smaller(self) -> Mapping[str, Value]:
        """What one would change of the baseline first to save energy: a search begins there, too.

        Returns:
            New settings of some of the baseline's knobs, for about half to two thirds of its
            cost; nothing where the family has no such knob.
        """
        return {}

    @abc.abstractmethod
    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """A fresh module; what is not pretrained is random, from torch's global generator.

        Args:
            shape: Settings of the knobs.
            input_shape: Shape of one input, without the batch axis; ``()`` for a text.
            classes: Number of outputs.

        Returns:
            A module from what :meth:`encode` gives, ``[n, …]``, to logits ``[n, classes]``.
        """

    def head(self, module: nn.Module) -> nn.Module:
        """The layer that gives the logits, by default the last: its outputs are never pruned."""
        return list(module.children())[-1]

    def blocks(self, module: nn.Module) -> Sequence[nn.Module]:
        """The body in parts from the input to the output, embeddings or stem first.

        Args:
            module: What :meth:`build` returned, pruned or not.

        Returns:
            Modules that may be views: only their parameters and modes matter. What the head holds,
            and what stands between it and the last block, is in none of them. None by default.
        """
        del module
        return ()

    def encode(
        self, shape: Mapping[str, Value], inputs: NDArray[Any], corpus: NDArray[Any]
    ) -> NDArray[Any]:
        """Turns a task's inputs into the network's: texts into token numbers.

        Args:
            shape: Settings of the knobs.
            inputs: As the task holds them, ``[n, …]``.
            corpus: Inputs of the training split, from which a vocabulary may be learnt.

        Returns:
            float32 ``[n, *input_shape]`` as they are, or int64 ``[n, tokens]`` for texts.
        """
        del shape, corpus
        return inputs

    def save_encoder(self, shape: Mapping[str, Value], corpus: NDArray[Any], folder: Path) -> None:
        """Leaves beside an exported file what its users need to encode their inputs.

        Args:
            shape: Settings of the knobs.
            corpus: Inputs of the training split, from which a vocabulary may be learnt.
            folder: Of the exported file. Nothing is written where inputs are taken as they are.
        """
        del shape, corpus, folder

    def fingerprint(self) -> str:
        """Identity of the pretrained weights; empty where all weights are random."""
        return ""

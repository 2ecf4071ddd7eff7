"""The interface of all model families: of networks, which are trained, and of fitted models.

A search calls ``objection`` once a task, then ``facts`` for the space; both are cheap and import no
torch. Where the family is code of the user's, an evaluator is asked for its facts, so that the code
runs in no other process. An evaluator calls ``encode`` once for the data. For each trial of a
network it calls ``build``, and prunes everything but the ``head``; fitted models are
:class:`~greenfront.spaces.architectures.estimator.Estimator`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from greenfront.errors import UsageError
from greenfront.spaces.knobs import Knob, Value

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

__all__ = ["Architecture", "Encoder", "Extent", "FamilyFacts", "ModelFamily", "unknown_family"]

Encoder = Callable[["NDArray[Any]"], "NDArray[Any]"]
"""Encodes the inputs of some examples."""


def unknown_family(name: str, known: Iterable[str], forms: Iterable[str] = ()) -> UsageError:
    """What is raised where there is no such family: the nearest name, and all that there are.

    Args:
        name: As written in the study file.
        known: Names of the families that could have been meant.
        forms: How names of other families read.
    """
    names = list(known)
    near = get_close_matches(name, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    listed = ", ".join((*names, *forms))
    return UsageError(f"architecture {name!r} is unknown{hint}: take one of {listed}")


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a network is, as far as its shape tells.

    Attributes:
        weights: Of its matrices and kernels.
        products: Multiply-adds of a prediction.
    """

    weights: int
    products: int


@dataclass(frozen=True, slots=True)
class FamilyFacts:
    """What a search has to know of a family: plain values, for which none of its code has to run.

    Attributes:
        knobs: See :meth:`ModelFamily.knobs`.
        baseline: See :meth:`ModelFamily.baseline`.
        smaller: See :meth:`ModelFamily.smaller`.
        layered: See :class:`Architecture`.
        effort: See :class:`Architecture`.
        cannot_prune: See :class:`Architecture`.
        remarks: What else people should know of its networks, one sentence each.
    """

    knobs: tuple[Knob, ...]
    baseline: Mapping[str, Value]
    smaller: Mapping[str, Value]
    layered: bool = False
    effort: float = 1.0
    cannot_prune: str | None = None
    remarks: tuple[str, ...] = ()


class ModelFamily(abc.ABC):
    """What a study file names as an architecture.

    Attributes:
        name: As written in the study file.
        padding: Number that pads short inputs, so that a batch may drop columns without others;
            ``None`` where all inputs have one length.
        encoding_knobs: Knobs on which :meth:`encoder` depends.
        foreign: Whether the models come from code of the user's, which runs in evaluators alone:
            what they do is tried before a search relies on it.
    """

    name: str
    padding: int | None = None
    encoding_knobs: tuple[str, ...] = ()
    foreign: bool = False

    @abc.abstractmethod
    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Why the family cannot take such inputs; ``None`` if it can.

        Args:
            input_shape: Of one input, without the batch axis; ``()`` for a text.

        Raises:
            UsageError: What the name stands for is not installed or found here.
        """

    @abc.abstractmethod
    def knobs(self) -> tuple[Knob, ...]:
        """The knobs of the family, in their order; names carry no prefix."""

    @abc.abstractmethod
    def baseline(self) -> Mapping[str, Value]:
        """The usual shape without a search: a point of :meth:`knobs`."""

    def smaller(self) -> Mapping[str, Value]:
        """Changes to the baseline that save energy; a search tries the result early.

        Returns:
            Settings of some of the baseline's knobs, for about half to two thirds of its cost;
            nothing where the family has no such knob.
        """
        return {}

    def facts(self) -> FamilyFacts:
        """All that lays out a space, as the family says it.

        Raises:
            UsageError: The function that makes the networks says something else than it should.
        """
        return FamilyFacts(self.knobs(), self.baseline(), self.smaller())

    def extent(
        self,
        shape: Mapping[str, Value],
        input_shape: tuple[int, ...],
        outputs: int,
    ) -> Extent | None:
        """How large a model is, told without building it; ``None``, the default: it is not known.

        Arguments are those of :meth:`Architecture.build`.
        """
        del shape, input_shape, outputs
        return None

    def encoder(self, shape: Mapping[str, Value], corpus: NDArray[Any]) -> Encoder | None:
        """What encodes a task's inputs for the model: texts as token numbers.

        It is called for each prediction, so that what can be made before is made here.

        Args:
            shape: Settings of the knobs.
            corpus: Inputs of the training split, from which a vocabulary may be learnt.

        Returns:
            From inputs as the task holds them, ``[n, …]``, to int64 ``[n, tokens]`` for texts;
            ``None`` where the model takes them as they are.
        """
        del shape, corpus
        return None

    def encode(
        self, shape: Mapping[str, Value], inputs: NDArray[Any], corpus: NDArray[Any]
    ) -> NDArray[Any]:
        """Encodes inputs ``[n, …]``; see :meth:`encoder`."""
        encoder = self.encoder(shape, corpus)
        return inputs if encoder is None else encoder(inputs)

    def save_encoder(self, shape: Mapping[str, Value], corpus: NDArray[Any], folder: Path) -> None:
        """Writes what users of an exported file need to encode inputs, if anything."""
        del shape, corpus, folder

    def fingerprint(self) -> str:
        """Identity of the pretrained weights; empty where all weights are random."""
        return ""


class Architecture(ModelFamily):
    """A family of networks.

    Attributes:
        cannot_prune: Why channels cannot be removed from this family; ``None`` where they can.
        body_rate: Factor on the learning rate of all layers but the head, for pretrained weights.
        weight_decay: Of AdamW.
        warm_up: Share of a training's steps over which the rate rises to its peak.
        effort: Passes that it needs, as a share of what a network of random weights takes: where a
            study leaves epochs to us.
        layered: Whether the weights are pretrained and :meth:`blocks` are known, so that the
            learning rate may differ from block to block.
    """

    cannot_prune: str | None = None
    body_rate: float = 1.0
    weight_decay: float = 1e-2
    warm_up: float = 0.05
    effort: float = 1.0
    layered: bool = False

    def facts(self) -> FamilyFacts:
        """See :meth:`ModelFamily.facts`."""
        return FamilyFacts(
            self.knobs(),
            self.baseline(),
            self.smaller(),
            self.layered,
            self.effort,
            self.cannot_prune,
        )

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

    def adapt(self, module: nn.Module, inputs: Tensor) -> None:
        """Sets what of a fresh module follows from the training inputs; by default nothing.

        Args:
            module: From :meth:`build`.
            inputs: As :meth:`encode` gives them, ``[n, …]``.
        """

    def head(self, module: nn.Module) -> nn.Module:
        """The layer that gives the logits, by default the last: its outputs are never pruned."""
        return list(module.children())[-1]

    def frozen_body(self, module: nn.Module) -> nn.Module | None:
        """All below the head, where none of it is trained; ``None`` where it is.

        What it says of the examples is computed once, and the head is trained on that.
        """
        del module
        return None

    def blocks(self, module: nn.Module) -> Sequence[nn.Module]:
        """The body in parts from the input to the output, embeddings or stem first.

        Returns:
            Modules that may be views: only their parameters and modes matter. The head, and what
            is between it and the last block, is in none of them. Empty by default.
        """
        del module
        return ()

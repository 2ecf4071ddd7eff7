"""Pretrained text encoders that stay as they are, below a classifier that is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from greenfront.errors import UsageError
from greenfront.spaces.architectures.transformers import Transformer
from greenfront.spaces.knobs import Knob, Value

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FrozenEncoder"]

KNOBS = ("layers", "length")
"""Of an encoder that is trained: heads and neurons could not be left out without training."""


class FrozenEncoder(Transformer):
    """The mean of an encoder's last states, then a linear classifier, which alone is trained.

    What the encoder says of the training texts is computed once, so that a training costs little
    more than one pass over them, where fine-tuning takes three times as much for each epoch.

    Args:
        name: ``frozen:`` and what may follow ``hf:``.

    Raises:
        UsageError: Nothing follows ``frozen:``.
    """

    cannot_prune = "its encoder is not trained, and could not make up for what is removed"
    body_rate = 1.0
    warm_up = 0.05
    effort = 1.0
    layered = False

    def __init__(self, name: str) -> None:
        wanted = name.removeprefix("frozen:")
        if not wanted.strip():
            raise UsageError(
                f"architecture {name!r} must name a model after 'frozen:': a folder, a package "
                "that carries one ('frozen:minilm'), or a name on huggingface.co"
            )
        super().__init__(f"hf:{wanted}")
        self.name = name

    def knobs(self) -> tuple[Knob, ...]:
        """Layers to keep, from the lowest, and length of texts."""
        return tuple(knob for knob in super().knobs() if knob.name in KNOBS)

    def baseline(self) -> Mapping[str, Value]:
        """The whole encoder, on texts of 128 tokens."""
        whole = super().baseline()
        return {name: whole[name] for name in KNOBS}

    def build(
        self,
        shape: Mapping[str, Value],
        input_shape: tuple[int, ...],  # noqa: ARG002
        classes: int,
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        from greenfront.spaces.architectures.text_classifier import frozen

        found = self.checkpoint
        return frozen(found.folder, classes, found.padding, int(shape["layers"]))

    def head(self, module: nn.Module) -> nn.Module:
        """The classifier."""
        return module.get_submodule("head")

    def frozen_body(self, module: nn.Module) -> nn.Module | None:
        """The encoder."""
        return module.get_submodule("body")

    def blocks(self, module: nn.Module) -> Sequence[nn.Module]:
        """None: nothing of the encoder is trained."""
        del module
        return ()

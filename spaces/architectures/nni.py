"""The search spaces of NNI's hub: mobile networks, cells and transformers."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from greenfront.errors import UsageError
from greenfront.spaces.architectures.architecture import Architecture, unknown_family
from greenfront.spaces.architectures.cnn import image_objection
from greenfront.spaces.architectures.nni_import import INSTALL, importing_nni
from greenfront.spaces.architectures.nni_spaces import SPACES
from greenfront.spaces.knobs import Knob, Value

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NNI"]

PREFIX = "nni:"


class NNI(Architecture):
    """A space of ``nni.nas.hub``: its choices are the knobs, a frozen member is the network.

    Args:
        name: ``nni:`` and one of ``mobilenetv3`` (Bender et al., TuNAS, arXiv 2008.06120),
            ``proxylessnas`` (Cai et al., arXiv 1812.00332), ``nasbench201`` (Dong and Yang, arXiv
            2001.00326), ``shufflenet`` (Guo et al., arXiv 1904.00420) and ``autoformer`` (Chen et
            al., the tiny one, arXiv 2107.00651).

    Raises:
        UsageError: There is no such space; the message lists them.
    """

    def __init__(self, name: str) -> None:
        self._short = name.removeprefix(PREFIX)
        if self._short not in SPACES:
            raise unknown_family(name, (PREFIX + short for short in SPACES))
        self._space = SPACES[self._short]
        self.name = name
        self.cannot_prune = self._space.cannot_prune

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes images of at least 4 pixels an edge; AutoFormer square ones."""
        for package in ("nni", "pytorch_lightning"):
            if importlib.util.find_spec(package) is None:
                raise UsageError(
                    f"architecture {self.name!r} needs the package {package!r}, which is not "
                    f"installed: {INSTALL}"
                )
        objection = image_objection(input_shape)
        if objection is None and self._space.square and input_shape[1] != input_shape[2]:
            return "it needs images as high as wide"
        return objection

    def knobs(self) -> tuple[Knob, ...]:
        """NNI's choices, under its labels."""
        return self._space.knobs

    def baseline(self) -> Mapping[str, Value]:
        """The network that the authors of the space published."""
        return self._space.baseline

    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """See :meth:`Architecture.build`."""
        hub, model_context = _imported(self.name)
        from greenfront.spaces.architectures.nni_modules import PLAIN, patch_edge

        sizes: dict[str, int] = {}
        if self._short == "autoformer":
            patch = patch_edge(input_shape[1])
            row = -(-input_shape[1] // patch)
            sizes = {"img_size": row * patch, "patch_size": patch, "in_channels": input_shape[0]}
        with model_context(self._space.sample(dict(shape))):
            member = getattr(hub, self._space.class_name)(num_labels=classes, **sizes)
        return PLAIN[self._short](member, input_shape)


def _imported(name: str) -> tuple[Any, Any]:
    """NNI's hub, and the context in which its spaces are built as frozen members."""
    with importing_nni(f"architecture {name!r} needs"):
        import nni.nas.hub.pytorch as hub
        from nni.nas.space import model_context
    return hub, model_context

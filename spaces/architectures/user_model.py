"""``module:function``: networks from a function of the user's."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from greenfront.errors import UsageError
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.knobs import Categorical, Integer, Knob, Real, Value
from greenfront.spaces.sources import sources_hash
from greenfront.spaces.user_code import (
    FAULTS,
    import_module,
    is_function_name,
    working_directory_first,
)

if TYPE_CHECKING:
    from torch import nn

__all__ = ["UserModel"]

HEADS = ("head", "classifier", "fc")
"""Where networks conventionally keep the layers that give the logits."""


class UserModel(Architecture):
    """What the function ``f(input_shape, classes)`` of the user's returns: a module to logits.

    The function may carry attributes: ``knobs``, a tuple of knobs whose settings it is then called
    with by keyword; ``baseline``, their usual settings, by name; and ``cannot_prune``, a
    reason.

    Args:
        name: Like ``package.module:function``. The module is looked for in the working directory
            first, then where Python looks.

    Raises:
        UsageError: The name is not of this form.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._module_name, _, self._function_name = name.partition(":")
        if not is_function_name(name):
            raise UsageError(
                f"architecture {name!r} must read module:function, for example 'my_nets:small' "
                "for the function small in my_nets.py"
            )

    @functools.cached_property
    def _imported(self) -> tuple[Callable[..., Any], str]:
        with working_directory_first():
            function = _find(self._module_name, self._function_name, self.name)
        # At once: the files may change while the process runs, and what it imported does not.
        return function, _fingerprint(self._module_name, function)

    @property
    def _function(self) -> Callable[..., Any]:
        return self._imported[0]

    # The base leaves this open to assignment; here it is the function's to say.

    @property
    def cannot_prune(self) -> str | None:  # type: ignore[override]
        """What the function says."""
        given = getattr(self._function, "cannot_prune", None)
        return None if given is None else str(given)

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes numbers; their shape is checked by :meth:`build`."""
        if input_shape == ():
            return "it needs images or tables, not texts"
        self.baseline()
        return None

    def knobs(self) -> tuple[Knob, ...]:
        """Those of the function; none by default."""
        given = getattr(self._function, "knobs", ())
        if not isinstance(given, (tuple, list)) or not all(
            isinstance(knob, (Categorical, Integer, Real)) for knob in given
        ):
            raise UsageError(
                f"architecture {self.name!r}: its knobs must be a tuple of Categorical, Integer "
                f"and Real from greenfront.spaces.knobs, but are {given!r}"
            )
        return tuple(given)

    def baseline(self) -> Mapping[str, Value]:
        """That of the function; empty where it has no knobs."""
        given = getattr(self._function, "baseline", {})
        asked: dict[str, Value] = {}
        for knob in self.knobs():
            if not all(condition.holds(asked) for condition in knob.when):
                continue
            value = given.get(knob.name) if isinstance(given, Mapping) else None
            if value is None or not knob.contains(value):
                raise UsageError(
                    f"architecture {self.name!r}: its baseline must be a dictionary with a "
                    f"setting of each knob that is asked, but is {given!r}: give "
                    f"{knob.name!r} one of its values"
                )
            asked[knob.name] = value
        return asked

    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """See :meth:`Architecture.build`.

        Raises:
            UsageError: The function fails, or returns no module from such inputs to logits.
        """
        import torch

        module = self._call(shape, input_shape, classes)
        training = module.training
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                logits = module.eval()(torch.zeros(2, *input_shape))
        except FAULTS as error:
            raise UsageError(
                f"architecture {self.name!r}: its network must take inputs [n, "
                f"{', '.join(map(str, input_shape))}], but raised {type(error).__name__}: {error}"
            ) from error
        found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        if found != [2, classes]:
            raise UsageError(
                f"architecture {self.name!r}: its network must give logits [n, {classes}], but "
                f"gave {found} for n = 2: end it with a layer of so many outputs as it is told "
                "there are classes"
            )
        return module.train(training)

    def head(self, module: nn.Module) -> nn.Module:
        """The last linear layer or convolution, below ``head``, ``classifier`` or ``fc`` if any.

        Raises:
            UsageError: There is none.
        """
        from torch import nn

        named = (getattr(module, name, None) for name in HEADS)
        for place in (*named, module):
            if isinstance(place, nn.Module):
                layers = [m for m in place.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
                if layers:
                    return layers[-1]
        raise UsageError(
            f"architecture {self.name!r}: its network must have an nn.Linear or nn.Conv2d that "
            "gives the logits, but has neither"
        )

    def fingerprint(self) -> str:
        """Hash of the code that was imported.

        It covers the module, and what this imports from beside it: see :func:`sources_hash`.
        """
        return self._imported[1]

    def _call(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        from torch import nn

        try:
            module = self._function(input_shape, classes, **shape)
        except FAULTS as error:
            settings = "".join(f", {key}={value!r}" for key, value in shape.items())
            raise UsageError(
                f"architecture {self.name!r}: the call ({input_shape}, {classes}{settings}) must "
                f"return a network, but raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(module, nn.Module):
            raise UsageError(
                f"architecture {self.name!r} must return a torch.nn.Module, but returned a "
                f"{type(module).__name__}"
            )
        return module


def _find(module_name: str, function_name: str, name: str) -> Callable[..., Any]:
    module = import_module(module_name, f"architecture {name!r}", UsageError)
    function = getattr(module, function_name, None)
    if function is None:
        known = [key for key, value in vars(module).items() if callable(value)]
        near = get_close_matches(function_name, known, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"architecture {name!r}: module {module_name!r} ({module.__file__}) must define "
            f"{function_name!r}, but does not{hint}"
        )
    if not callable(function):
        raise UsageError(
            f"architecture {name!r} must be a function, but is of type "
            f"{type(function).__name__}: name one that takes (input_shape, classes) and returns a "
            "torch.nn.Module"
        )
    return function  # type: ignore[no-any-return]


def _fingerprint(module_name: str, function: Callable[..., Any]) -> str:
    # The function may have been made elsewhere, where no import that can be followed leads.
    names = dict.fromkeys((module_name, getattr(function, "__module__", module_name)))
    return "-".join(sources_hash(sys.modules[name]) for name in names if name in sys.modules)

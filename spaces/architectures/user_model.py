"""``module:function``: networks from a function of the user's."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from greenfront.errors import UsageError
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.knobs import Categorical, Integer, Knob, Real, Value
from greenfront.spaces.sources import sources_hash
from greenfront.spaces.user_code import (
    FAULTS,
    calling,
    import_module,
    is_function_name,
    working_directory_first,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

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

    foreign = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._heads: WeakKeyDictionary[nn.Module, list[str]] = WeakKeyDictionary()
        self._module_name, _, self._function_name = name.partition(":")
        if not is_function_name(name):
            raise UsageError(
                f"architecture {name!r} must read module:function, for example 'my_nets:small' "
                "for the function small in my_nets.py"
            )

    @functools.cached_property
    def _imported(self) -> tuple[Callable[..., Any], str]:
        with working_directory_first(), _settings_kept():
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
        return "it needs images or tables, not texts" if input_shape == () else None

    def knobs(self) -> tuple[Knob, ...]:
        """Those of the function; none by default."""
        given = getattr(self._function, "knobs", ())
        if not isinstance(given, (tuple, list)) or not all(
            isinstance(knob, (Categorical, Integer, Real)) for knob in given
        ):
            raise UsageError(
                f"architecture {self.name!r}: its knobs must be a tuple of Categorical, Integer "
                f"and Real from greenfront, but are {given!r}"
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
        """See :meth:`Architecture.build`; weights of other precisions become single.

        Raises:
            UsageError: The function fails, or returns no module from such inputs to logits.
        """
        import torch

        module = self._call(shape, input_shape, classes).float()
        training = module.training
        try:
            with torch.no_grad(), _outputs_seen(module) as seen:
                logits = module.eval()(torch.zeros(2, *input_shape))
        except FAULTS as error:
            raise UsageError(
                f"architecture {self.name!r}: its network must take inputs [n, "
                f"{', '.join(map(str, input_shape))}], but raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(logits, torch.Tensor):
            raise UsageError(
                f"architecture {self.name!r}: its network must give logits [n, {classes}], but "
                f"gave {type(logits).__name__}: return the tensor of its logits alone"
            )
        if list(logits.shape) != [2, classes]:
            raise UsageError(
                f"architecture {self.name!r}: its network must give logits [n, {classes}], but "
                f"gave {list(logits.shape)} for n = 2: end it with a layer of so many outputs as "
                "it is told there are classes"
            )
        self._heads[module] = [name for name, output in seen if _is_same(output, logits)]
        return module.train(training)

    def head(self, module: nn.Module) -> nn.Module:
        """The layer whose output the network returns, as it was seen when it was built.

        Where something follows it, the last linear layer or convolution, below ``head``,
        ``classifier`` or ``fc`` if any.

        Raises:
            UsageError: There is none.
        """
        from torch import nn

        seen = self._heads.get(module)
        if seen:
            return module.get_submodule(seen[-1])
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
            with _settings_kept(), calling(f"architecture {self.name!r}"):
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


@contextlib.contextmanager
def _outputs_seen(module: nn.Module) -> Iterator[list[tuple[str, Any]]]:
    """Collects what the linear layers and convolutions answer, by name, in their order."""
    from torch import nn

    seen: list[tuple[str, Any]] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, output, name=name: seen.append((name, output)))
        for name, layer in module.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d))
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _is_same(output: Any, logits: Tensor) -> bool:
    """Whether a layer's output is the network's, perhaps in another shape."""
    same_place: bool = output.data_ptr() == logits.data_ptr()
    return same_place and output.numel() == logits.numel()


@contextlib.contextmanager
def _settings_kept() -> Iterator[None]:
    """Undoes what code of the user's sets for all of torch, which is not for the network alone."""
    import torch

    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        torch.set_num_threads(threads)


def _find(module_name: str, function_name: str, name: str) -> Callable[..., Any]:
    module = import_module(name, f"architecture {name!r}", UsageError)
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

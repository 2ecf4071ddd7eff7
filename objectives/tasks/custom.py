"""Kind ``module:function``: data from a function of the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from greenfront.errors import DataError
from greenfront.objectives.tasks.raw import Raw, array_inputs
from greenfront.objectives.tasks.settings import TaskSettings, suggest
from greenfront.spaces.user_code import (
    FAULTS,
    calling,
    import_module,
    is_function_name,
    working_directory_first,
)

__all__ = ["read"]


def read(settings: TaskSettings) -> Raw:
    """Calls the function without arguments.

    Its module is looked for in the working directory first, then where Python looks.

    Raises:
        DataError: If the function cannot be imported, fails, does not return a pair of arrays, or
            if the inputs cannot be used.
    """
    module_name, _, function_name = settings.kind.partition(":")
    if not is_function_name(settings.kind):
        raise DataError(
            f"task kind {settings.kind!r} must read module:function, for example "
            "'my_data:load' for the function load in my_data.py"
        )
    source = f"task function {settings.kind!r}"
    with working_directory_first():
        returned = _call(_find(module_name, function_name, source), source)
    if not isinstance(returned, tuple) or len(returned) != 2:
        length = f" of {len(returned)}" if isinstance(returned, tuple) else ""
        raise DataError(
            f"{source} must return (inputs, labels), but what it returned is of "
            f"type {type(returned).__name__}{length}: return a pair of arrays"
        )
    try:
        inputs, labels = (np.asarray(part) for part in returned)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{source} must return arrays, but numpy cannot make them of what it returned "
            f"({error}): return numpy arrays"
        ) from error
    return Raw(source, array_inputs(inputs, source), labels)


def _find(module_name: str, function_name: str, source: str) -> Callable[[], Any]:
    module = import_module(f"{module_name}:{function_name}", source, DataError)
    function = getattr(module, function_name, None)
    if function is None:
        known = [name for name, value in vars(module).items() if callable(value)]
        raise DataError(
            f"{source}: module {module_name!r} ({module.__file__}) must define "
            f"{function_name!r}, but does not. {suggest(function_name, known)}"
        )
    if not callable(function):
        raise DataError(
            f"{source} must be a function, but is of type {type(function).__name__}: name a "
            "function without arguments that returns (inputs, labels)"
        )
    return function  # type: ignore[no-any-return]


def _call(function: Callable[[], Any], source: str) -> Any:
    try:
        with calling(source):
            return function()
    except FAULTS as error:
        raise DataError(
            f"{source} must return (inputs, labels) when called without arguments, but raised "
            f"{type(error).__name__}: {error}. Correct it, and try it alone first"
        ) from error

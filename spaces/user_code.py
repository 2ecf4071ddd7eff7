"""Code of the user's, named ``module:function`` in a study file: found and imported in one way."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from greenfront.errors import UsageError

__all__ = [
    "FAULTS",
    "CodeRules",
    "calling",
    "code_forbidden",
    "import_module",
    "is_function_name",
    "set_code_rules",
    "working_directory_first",
]

FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    KeyboardInterrupt,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemExit,
    TypeError,
    ValueError,
)
"""What code of the user's may raise, also to end the process, which is not its own; whatever else
it raises goes through."""

Watch = Callable[[str, str], AbstractContextManager[None]]
"""Told what is done with code of the user's (``importing`` or ``calling``), and which."""


@dataclass(frozen=True, slots=True)
class CodeRules:
    """What an evaluator holds code of the user's to.

    Attributes:
        named: Functions that may be imported, each as ``module:function``; ``None``: any.
        watch: Told what runs, so that whoever waits knows what has crashed or hangs.
    """

    named: Collection[str] | None = None
    watch: Watch = lambda _what, _whose: nullcontext()


_rules = CodeRules()


def set_code_rules(rules: CodeRules) -> CodeRules:
    """Holds all code of the user's in this process to rules; returns those of before."""
    global _rules
    before, _rules = _rules, rules
    return before


@contextmanager
def code_forbidden() -> Iterator[None]:
    """Around what imports none: a process that holds a database, whatever that names."""
    before = set_code_rules(CodeRules(named=()))
    try:
        yield
    finally:
        set_code_rules(before)


def calling(source: str) -> AbstractContextManager[None]:
    """Around a call of the user's code; ``source`` is what names it."""
    return _rules.watch("calling", source)


def is_function_name(name: str) -> bool:
    """Whether a name reads ``package.module:function``."""
    module_name, _, function_name = name.partition(":")
    return all(part.isidentifier() for part in (*module_name.split("."), function_name))


@contextmanager
def working_directory_first() -> Iterator[None]:
    """Lets modules be found in the working directory before anywhere else."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)


def import_module(function: str, source: str, refusal: type[UsageError]) -> ModuleType:
    """Imports the module of ``module:function``; messages call ``source`` what names it.

    Raises:
        UsageError: As ``refusal``: it cannot be imported, or may not be.
    """
    name, rules = function.partition(":")[0], _rules
    if rules.named is not None and function not in rules.named:
        raise refusal(
            f"{source}: no study file of yours names it, and what is stored is no reason to run "
            "code: name it in the study file, and run that"
        )
    try:
        with rules.watch("importing", f"module {name!r} of {source}"):
            return importlib.import_module(name)
    except (*FAULTS, UsageError) as error:  # ours: of a knob that cannot be, for one
        raise refusal(
            f"{source}: module {name!r} must be importable, but importing it from "
            f"{Path.cwd()} failed ({type(error).__name__}: {error}): correct the name, the module, "
            "or the directory you start from"
        ) from error

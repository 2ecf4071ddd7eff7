"""Code of the user's: what a study file names, and what is stored may not name alone.

A study that is resumed, and a folder that is verified, say themselves which functions make their
data and networks. A database or a folder may come from anybody, so their word is not enough to
import a module: a study file in the working directory, where modules are looked for first, has to
name the same function.
"""

from __future__ import annotations

from pathlib import Path

from greenfront.errors import StudyError, UsageError
from greenfront.spaces.architectures.registry import is_fitted, network
from greenfront.studies.config.study_file import StudyFile

__all__ = ["is_own_family", "own_code", "require_named_here"]


def own_code(file: StudyFile) -> set[str]:
    """The functions of the user's that a study file names, each as ``module:function``."""
    found = {name for name in file.space.architectures or () if is_own_family(name)}
    return found | ({file.task.kind} if file.task.family == "module:function" else set())


def is_own_family(name: str) -> bool:
    """Whether the networks of a family come from a function of the user's.

    Raises:
        UsageError: There is no such family.
    """
    return ":" in name and not is_fitted(name) and network(name).foreign


def require_named_here(file: StudyFile, whose: str, given: StudyFile | None = None) -> None:
    """Refuses code that only a database or an exported folder names.

    Args:
        file: What is stored there.
        whose: What it belongs to, in words.
        given: A study file of the user's that was named, beside those of the working directory.

    Raises:
        StudyError: None of them names it.
    """
    missing = own_code(file) - (set() if given is None else own_code(given))
    for path in sorted(Path.cwd().glob("*.toml")) if missing else ():
        try:
            missing -= own_code(StudyFile.read(path))
        except UsageError:
            continue
    if missing:
        names = ", ".join(repr(name) for name in sorted(missing))
        raise StudyError(
            f"{whose} names code to run, {names}, which no study file in {Path.cwd()} "
            "names: what is stored is no reason to run code. Start from the folder of the study "
            "file, or go on with a study by greenfront run FILE, a worker by --file FILE"
        )

"""One script of several of our modules, to stand beside an exported model and need none of us."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

__all__ = ["bundled"]

OURS = "greenfront"


def bundled(modules: Sequence[str]) -> str:
    """The content of modules in their order, without their imports of each other.

    Args:
        modules: Absolute names; the last is the script, whose documentation stands first.
    """
    imports: dict[str, set[str]] = {}
    parts, documentation = [], ""
    for name in modules:
        text = _source(name)
        documentation = ast.get_docstring(ast.parse(text), clean=False) or ""
        body, own = _split(text)
        for source, imported in own:
            imports.setdefault(source, set()).update(imported)
        parts.append(f"# --- from {name}\n\n{body}")
    head = [f'"""{documentation}"""', "from __future__ import annotations"]
    return "\n\n".join([*head, "\n".join(_lines(imports)), "\n\n\n".join(parts)]) + "\n"


def _source(module: str) -> str:
    found = find_spec(module)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(module)
    return Path(found.origin).read_text(encoding="utf-8")


def _lines(imports: Mapping[str, set[str]]) -> list[str]:
    """One statement for each module: ``import m``, or ``from m import a, b``."""
    return sorted(
        f"{source} import {', '.join(sorted(names))}" if names else source
        for source, names in imports.items()
    )


def _split(text: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """What a module says, and what it imports at its beginning of others than us."""
    lines: list[str | None] = list(text.splitlines())
    imports: list[tuple[str, list[str]]] = []
    for place, node in enumerate(ast.parse(text).body):
        match node:
            case ast.Expr(value=ast.Constant()) if place == 0:
                pass  # its documentation
            case ast.Import():
                imports.append((ast.unparse(node), []))
            case ast.ImportFrom(module=str(module)):
                if module != "__future__" and module.partition(".")[0] != OURS:
                    imports.append((f"from {module}", [ast.unparse(name) for name in node.names]))
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                pass
            case _:
                continue
        end = node.end_lineno or node.lineno
        lines[node.lineno - 1 : end] = [None] * (end - node.lineno + 1)
    return "\n".join(line for line in lines if line is not None).strip("\n"), imports

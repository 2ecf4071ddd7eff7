"""The networks of timm, read from its source files, because importing it takes seconds."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from greenfront.errors import UsageError

__all__ = ["Network", "network", "networks"]

_ENTRY = re.compile(r"^@register_model\b.*\n(?:(?:@.*|#.*|\s*)\n)*def (\w+)\(", re.MULTILINE)
_PATCH = re.compile(r"patch(\d+)")

EDGES = (32, 64, 96, 128, 160, 192, 224)
"""Multiples of 32: most networks halve their maps five times."""

UNPRUNABLE = "Torch-Pruning cannot follow which of its channels belong together"

# By file, from building, exporting and pruning a small network of each.
# What is not named has failed, or has not been tried.
# fmt: off
_PRUNABLE = frozenset(
    {
        "beit", "byobnet", "convmixer", "convnext", "cspnext", "deit", "densenet", "dla",
        "efficientnet", "ghostnet", "hardcorenas", "hgnet", "hrnet", "inception_next",
        "inception_v3", "inception_v4", "lcnetv2", "mobilenetv3", "mobilevit", "rdnet",
        "regnet", "repghost", "repvit", "resnet", "resnetv2", "selecsls", "senet",
        "starnet", "vgg", "vision_transformer", "vovnet", "xception",
    }
)
# fmt: on

_EDGES = {
    "efficientformer": (224,),
    "inception_resnet_v2": EDGES[2:],
    "inception_v3": EDGES[2:],
    "inception_v4": EDGES[2:],
    "vgg": (224,),  # its pooling is exported at this size alone
}

_OBJECTIONS = {
    "byoanet": "it needs images of more than 224 pixels an edge",
    "crossvit": "it needs images in two sizes of its own",
    "csatv2": "it needs colour images of 512 pixels an edge",
    "deepseek_vit": "it needs operators that cannot be exported",
    "efficientvim": "it needs several classifiers, of which a trial can protect one",
    "naflexvit": "it needs operators that cannot be exported",
    "volo": "it needs a second classifier to give its logits, and a trial can protect one",
}


@dataclass(frozen=True, slots=True)
class Network:
    """One network of timm's.

    Attributes:
        name: Without a tag.
        file: Where it is defined.
        edges: Of the square images that it can take.
        cannot_prune: Why channels cannot be removed from it; ``None`` where they can.
        objection: Why it cannot be used; ``None`` where it can.
        drops_paths: Whether its blocks can be skipped at random in training.
        layered: Whether it groups its weights by their distance from the input.
        arguments: Those of its arguments that it sets to plain values and callers may override.
    """

    name: str
    file: Path
    edges: tuple[int, ...]
    cannot_prune: str | None
    objection: str | None
    drops_paths: bool
    layered: bool
    arguments: Mapping[str, Any]

    @property
    def family(self) -> str:
        """Name of the file, which holds networks of one kind."""
        return self.file.stem


@functools.cache
def networks() -> Mapping[str, Path]:
    """Every name that timm can build, and the file that defines it.

    Raises:
        UsageError: timm is not installed.
    """
    found = importlib.util.find_spec("timm")
    if found is None or found.origin is None:
        raise UsageError(
            "architectures 'timm:…' need the package 'timm', which is not installed: "
            'pip install "greenfront[timm]"'
        )
    files = sorted((Path(found.origin).parent / "models").glob("*.py"))
    return MappingProxyType(
        {name: file for file in files for name in _ENTRY.findall(_source(file))}
    )


@functools.cache
def network(name: str) -> Network:
    """The network of this name.

    Raises:
        KeyError: There is none.
        UsageError: timm is not installed.
    """
    file = networks()[name]
    source = _source(file)
    arguments = _arguments(source, name)
    patch = _PATCH.search(name)
    given = arguments.get("patch_size")
    step = int(patch[1]) if patch else given if isinstance(given, int) else 1
    return Network(
        name,
        file,
        edges=_EDGES.get(file.stem) or _in_steps(step),
        cannot_prune=None if file.stem in _PRUNABLE else UNPRUNABLE,
        objection=_OBJECTIONS.get(file.stem),
        drops_paths="drop_path_rate: float" in source or file.stem == "deit",
        layered="def group_matcher(" in source,
        arguments=arguments,
    )


def _in_steps(step: int) -> tuple[int, ...]:
    """The usual edges, moved to multiples of a patch; two patches at the least."""
    nearest = (round(edge / step) * step for edge in EDGES)
    return tuple(dict.fromkeys(edge for edge in nearest if edge >= 2 * step))


@functools.cache
def _source(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _arguments(source: str, name: str) -> Mapping[str, Any]:
    """Plain values of ``model_args = dict(…)`` in an entry that passes ``dict(model_args, …)``.

    Only there a caller's arguments override the entry's own; elsewhere they would clash.
    """
    start = source.index(f"def {name}(")
    entry = ast.parse(source[start:].partition("\n\n\n")[0]).body[0]
    text = ast.unparse(entry)
    if "**dict(model_args, **kwargs)" not in text:
        return {}
    for statement in ast.walk(entry):
        match statement:
            case ast.Assign(
                targets=[ast.Name(id="model_args")],
                value=ast.Call(func=ast.Name(id="dict"), keywords=keywords),
            ):
                return {k.arg: v for k in keywords if k.arg and (v := _plain(k.value)) is not None}
            case _:
                pass
    return {}


def _plain(value: ast.expr) -> object:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None

"""Networks of the timm library, fresh or pretrained."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenfront.errors import UsageError
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.architectures.timm_catalogue import Network, network, networks
from greenfront.spaces.architectures.torchvision_shim import allow_torchvision
from greenfront.spaces.architectures.weights import (
    content_hash,
    given_file,
    hub_file,
    in_order,
    misfits,
    packaged_file,
    read_tensors,
)
from greenfront.spaces.knobs import Categorical, Knob, Value

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Timm"]

BASELINE_EDGE = 64
PRETRAINED_BASELINE_EDGE = 96
"""Filters learnt on large photographs need larger images."""

PRETRAINED_BODY_RATE = 0.1
PRETRAINED_EFFORT = 0.2
DROP_PATH = (0.0, 0.1, 0.2)
FROZEN = (0.0, 0.5)
FRACTIONS = (0.25, 0.5, 0.75, 1.0)

HUB_FILES = ("model.safetensors", "pytorch_model.bin")

# Arguments that scale a family: blocks of each stage, and channels of each stage.
_STAGED = {"resnet": ("layers", "channels"), "convnext": ("depths", "dims")}
_RESNET_CHANNELS = (64, 128, 256, 512)
_PLAIN_TRANSFORMERS = frozenset({"vision_transformer", "deit"})


class Timm(Architecture):
    """A network of timm's under a layer that resizes images to the ``resolution`` asked for.

    Where its definition lets a caller set the number of blocks and channels, ``depth`` and
    ``width`` scale it; other families are scaled by naming several of their members.

    Args:
        name: ``timm:NAME`` with random weights, else ``timm:NAME@hub`` (timm's own),
            ``timm:NAME@package`` (an installed package's) or ``timm:NAME@/path/to/file``. NAME
            may end in the ``.TAG`` of one of timm's sets of weights.

    Raises:
        UsageError: The name is not of such a form, or timm, where it is installed, has no such
            network.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tagged, at, self._source = name.removeprefix("timm:").partition("@")
        self._model = self._tagged.partition(".")[0]
        if not self._model or (at and not self._source):
            raise UsageError(
                f"architecture {name!r} must read timm:NAME, timm:NAME@hub, timm:NAME@package or "
                "timm:NAME@/path/to/file.safetensors, for example 'timm:resnet50'"
            )
        if self._source:
            self.body_rate = PRETRAINED_BODY_RATE
            self.effort, self.warm_up = PRETRAINED_EFFORT, 0.1
        if importlib.util.find_spec("timm") is not None:
            found = self._network()
            self.cannot_prune = found.cannot_prune
            self.layered = bool(self._source) and found.layered

    def objection(self, input_shape: tuple[int, ...]) -> str | None:
        """Takes images of any size."""
        if len(input_shape) != 3:
            kind = "texts" if input_shape == () else "tables"
            return f"it needs images [channels, height, width], not {kind}"
        found = self._network()
        self._file()
        return found.objection

    def knobs(self) -> tuple[Knob, ...]:
        """Edge of the resized image; where the family allows, dropped paths, depth and width.

        Pretrained networks have a share of frozen blocks instead of the last two.
        """
        found = self._network()
        knobs = [Categorical("resolution", found.edges)]
        if found.drops_paths:
            knobs.append(Categorical("drop_path", DROP_PATH))
        if self.layered:
            knobs.append(Categorical("frozen", FROZEN))
        if not self._source:  # pretrained weights have one shape
            knobs += [
                Categorical(knob, choices)
                for knob, scale in (("depth", _deeper), ("width", _wider))
                if len(choices := _distinct(found, scale)) > 1
            ]
        return tuple(knobs)

    def baseline(self) -> Mapping[str, Value]:
        """The published network, on small images."""
        wish = PRETRAINED_BASELINE_EDGE if self._source else BASELINE_EDGE
        usual: dict[str, Value] = {
            "resolution": min(self._network().edges, key=lambda edge: abs(edge - wish)),
            "drop_path": 0.0,
            "frozen": 0.0,
            "depth": 1.0,
            "width": 1.0,
        }
        return {knob.name: usual[knob.name] for knob in self.knobs()}

    def smaller(self) -> Mapping[str, Value]:
        """Images of two thirds of the edge."""
        edges, usual = self._network().edges, int(self.baseline()["resolution"])
        return {"resolution": min(edges, key=lambda edge: abs(edge - usual * 2 / 3))}

    def build(
        self, shape: Mapping[str, Value], input_shape: tuple[int, ...], classes: int
    ) -> nn.Module:
        """See :meth:`Architecture.build`.

        Raises:
            UsageError: The weights cannot be had or do not fit, or timm has no such tag.
        """
        from collections import OrderedDict

        from torch import nn

        edge = int(shape["resolution"])
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if input_shape[1:] != (edge, edge):
            layers["resize"] = nn.Upsample(size=(edge, edge), mode="bilinear")
        arguments: dict[str, Any] = {"in_chans": input_shape[0]}
        if self._pretrained_cfg().fixed_input_size:
            arguments["img_size"] = edge
        if "drop_path" in shape:
            arguments["drop_path_rate"] = float(shape["drop_path"])
        for knob, scale in (("depth", _deeper), ("width", _wider)):
            if knob in shape:
                arguments |= scale(self._network(), float(shape[knob]))
        layers["network"] = (
            self._pretrained(arguments, classes)
            if self._source
            else self._create(num_classes=classes, **arguments)
        )
        if not shape.get("frozen"):
            return nn.Sequential(layers)
        from greenfront.spaces.architectures.timm_blocks import PartlyFrozen

        return PartlyFrozen(layers, float(shape["frozen"]))

    def head(self, module: nn.Module) -> nn.Module:
        """The classifier; the first one of networks that average two."""
        body: Any = module.get_submodule("network")
        classifier: nn.Module | tuple[nn.Module, ...] = body.get_classifier()
        return classifier[0] if isinstance(classifier, tuple) else classifier

    def blocks(self, module: nn.Module) -> Sequence[nn.Module]:
        """The stem, then the blocks; see :meth:`Architecture.blocks`."""
        from greenfront.spaces.architectures.timm_blocks import blocks_of

        return blocks_of(module.get_submodule("network")) if self._network().layered else ()

    def fingerprint(self) -> str:
        """Hash of the file of weights; for timm's own, which set of which release they are."""
        file = self._file()
        if file is not None:
            return content_hash(file)
        return (
            f"{self._tagged} of timm {importlib.metadata.version('timm')}" if self._source else ""
        )

    def _network(self) -> Network:
        if self._model not in networks():
            near = get_close_matches(self._model, networks(), n=3)
            hint = f": did you mean {', '.join(map(repr, near))}?" if near else ""
            raise UsageError(
                f"architecture {self.name!r}: timm {importlib.metadata.version('timm')} has no "
                f"network {self._model!r}{hint or ', nor one of a name like it'}"
            )
        return network(self._model)

    def _file(self) -> Path | None:
        match self._source:
            case "" | "hub":
                return None
            case "package":
                return packaged_file(self._model, self.name)
            case path:
                return given_file(path, self.name)

    def _pretrained_cfg(self) -> Any:
        allow_torchvision()
        from timm.models import PretrainedCfg, get_pretrained_cfg

        try:
            return get_pretrained_cfg(self._tagged) or PretrainedCfg()
        except RuntimeError as error:
            raise UsageError(f"architecture {self.name!r}: timm says: {error}") from error

    def _create(self, **arguments: Any) -> nn.Module:
        from timm import create_model

        module: nn.Module = create_model(self._tagged, **arguments)
        return module

    def _pretrained(self, arguments: Mapping[str, Any], classes: int) -> nn.Module:
        about = self._pretrained_cfg()
        tensors = self._tensors(about)
        heads = (about.classifier,) if isinstance(about.classifier, str) else about.classifier
        rows = [len(tensors[f"{h}.weight"]) for h in heads or () if f"{h}.weight" in tensors]
        # Files without a head, or from before timm renamed it, do not tell their classes.
        for count in rows[:1] or (about.num_classes, 0):
            try:
                body: Any = self._create(
                    pretrained=True,
                    pretrained_cfg_overlay={
                        "state_dict": tensors,
                        "num_classes": count,
                        "label_offset": 0,
                        "custom_load": False,
                    },
                    num_classes=count,
                    **arguments,
                )
            except (AttributeError, LookupError, RuntimeError, ValueError) as error:
                failure = error
                continue
            del body.pretrained_cfg["state_dict"]  # or every copy of the network would carry it
            if count != classes:
                body.reset_classifier(classes)
            module: nn.Module = body
            return module
        wanted = self._create(num_classes=count).state_dict()
        raise UsageError(
            f"architecture {self.name!r}: the weights do not fit: "
            f"{misfits(tensors, wanted) or failure}"
        ) from failure

    def _tensors(self, about: Any) -> dict[str, Tensor]:
        file = self._file()
        if file is None:
            if not about.hf_hub_id or about.custom_load:
                raise UsageError(
                    f"architecture {self.name!r}: the hub has no weights of {self._tagged!r} that "
                    "are plain tensors: take '@/path/to/file.safetensors', or another .TAG"
                )
            names = (about.hf_hub_filename,) if about.hf_hub_filename else HUB_FILES
            file = hub_file(about.hf_hub_id, names, self.name)
        tensors = read_tensors(file, self.name)
        if self._source != "package":
            return tensors
        wanted = self._create().state_dict()
        renamed = in_order(tensors, wanted)
        if renamed is None:
            raise UsageError(
                f"architecture {self.name!r}: {str(file)!r} does not hold the network's tensors in "
                f"their order: take the release of the package that this one was written for"
            )
        return renamed


def _distinct(
    found: Network, scale: Callable[[Network, float], Mapping[str, object]]
) -> tuple[float, ...]:
    """Fractions that give different networks; of equal ones the largest."""
    largest = {repr(scale(found, fraction)): fraction for fraction in FRACTIONS}
    return tuple(largest.values())


def _deeper(found: Network, fraction: float) -> dict[str, object]:
    """Arguments for this share of the blocks, at least one a stage."""
    if found.family in _STAGED:
        argument = _STAGED[found.family][0]
        match found.arguments.get(argument):
            case [*blocks]:
                return {argument: tuple(max(1, round(count * fraction)) for count in blocks)}
            case _:
                return {}
    depth = found.arguments.get("depth")
    if found.family in _PLAIN_TRANSFORMERS and isinstance(depth, int):
        return {"depth": max(1, round(depth * fraction))}
    return {}


def _wider(found: Network, fraction: float) -> dict[str, object]:
    """Arguments for this share of the channels: whole vector registers, whole attention heads."""
    arguments = found.arguments
    if found.family in _STAGED and _STAGED[found.family][0] in arguments:
        argument = _STAGED[found.family][1]
        match arguments.get(argument, _RESNET_CHANNELS):
            case [*stages]:
                return {argument: tuple(max(8, round(n * fraction / 8) * 8) for n in stages)}
            case _:
                return {}
    heads, channels = arguments.get("num_heads"), arguments.get("embed_dim")
    if (
        found.family in _PLAIN_TRANSFORMERS
        and isinstance(heads, int)
        and isinstance(channels, int)
        and channels % heads == 0
    ):
        kept = max(1, round(heads * fraction))
        return {"num_heads": kept, "embed_dim": kept * (channels // heads)}
    return {}

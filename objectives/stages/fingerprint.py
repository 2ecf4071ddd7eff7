"""Whether a network that was stored and brought back is the one that was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from greenfront.errors import TrialFailed

__all__ = ["Fingerprint", "answers_to", "fingerprint", "largest_difference", "require_same"]

TOLERANCES = {"cpu": 1e-4, "cuda": 1e-2}
"""Largest difference of answers that sums in another order explain, as a share of the largest
answer; a GPU may choose other kernels, of fewer bits, each time."""

SHOWN = 3
"""Attributes that a message names."""

_INTERNALS = frozenset(vars(nn.Module()))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """By what a stored network is known again.

    Attributes:
        answers: Logits of a few examples, ``[n, outputs]``.
        outside: What it holds outside its state dictionary, which no file of weights brings back:
            hashes by attribute.
    """

    answers: list[list[float]]
    outside: Mapping[str, str]


def fingerprint(model: nn.Module, inputs: Tensor) -> Fingerprint:
    """Takes the fingerprint of a network, which stays in the mode that it is in."""
    answers: list[list[float]] = answers_to(model, inputs).tolist()
    return Fingerprint(answers, dict(_outside(model)))


def require_same(model: nn.Module, inputs: Tensor, stored: Fingerprint) -> None:
    """Compares a network that was brought back with the one that was stored.

    Args:
        model: Brought back.
        inputs: Those with which the fingerprint was taken.
        stored: The fingerprint.

    Raises:
        TrialFailed: It answers otherwise (cause ``"not restored"``); the message names the
            attributes whose content no state dictionary holds and that differ.
    """
    answers = answers_to(model, inputs)
    difference = largest_difference(answers, torch.tensor(stored.answers))
    if difference <= TOLERANCES[inputs.device.type]:
        return
    found = dict(_outside(model))
    differing = [name for name, held in stored.outside.items() if found.get(name) != held]
    names = ", ".join(map(repr, differing[:SHOWN]))
    names += f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
    if differing:
        why = (
            f"{names} differs, which its state dictionary does not hold: keep it with "
            "register_buffer(), or make it the same at each call"
        )
    else:
        why = (
            "something that neither its state dictionary nor its attributes hold differs: keep "
            "all that it needs in parameters and in buffers"
        )
    raise TrialFailed(
        "not restored",
        "a network must answer alike after its weights are stored and loaded into a new one, but "
        f"its answers differ by {difference:.2g} of the largest: {why}",
    )


def answers_to(model: nn.Module, inputs: Tensor) -> Tensor:
    """What a network answers in evaluation, on the CPU in single precision; its mode stays."""
    training = model.training
    try:
        with torch.no_grad():
            answers: Tensor = model.eval()(inputs)
    finally:
        model.train(training)
    return answers.float().cpu()


def largest_difference(given: Tensor, wanted: Tensor) -> float:
    """As a share of the largest number that is wanted; infinite where shapes differ."""
    if given.shape != wanted.shape:
        return float("inf")
    if not given.numel():
        return 0.0
    given, wanted = given.nan_to_num(), wanted.nan_to_num()
    largest = max(float(wanted.abs().max()), torch.finfo(torch.float32).tiny)
    return float((given - wanted).abs().max()) / largest


def _outside(model: nn.Module) -> Iterator[tuple[str, str]]:
    stored = model.state_dict(keep_vars=True).keys()
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        held = {key: value for key, value in vars(module).items() if key not in _INTERNALS}
        for key, value in {**held, **module._buffers}.items():
            if prefix + key not in stored:
                yield from _hashes(prefix + key, value)


def _hashes(name: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case nn.Module() | nn.Parameter():
            return
        case Tensor() if value.layout == torch.strided:
            flat = value.detach().cpu().flatten().view(torch.uint8)
            yield from _hashes(name, flat.numpy())
        case np.ndarray():
            content = np.ascontiguousarray(value)
            digest = hashlib.sha256(f"{content.dtype}{content.shape}".encode())
            digest.update(content.tobytes())
            yield name, digest.hexdigest()
        case float():
            yield name, repr(value)
        case list() | tuple():
            for number, item in enumerate(value):
                yield from _hashes(f"{name}[{number}]", item)
        case dict():
            for key, item in value.items():
                yield from _hashes(f"{name}[{key!r}]", item)

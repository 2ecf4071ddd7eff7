"""A network as a user writes one, named in a study file as ``contracts.own_network:build``."""

from __future__ import annotations

from torch import nn

WIDTH = 64


def build(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    channels = input_shape[0]
    return nn.Sequential(
        nn.Conv2d(channels, WIDTH, 3, stride=2, padding=1),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(),
        nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
        nn.BatchNorm2d(2 * WIDTH),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * WIDTH, classes),
    )

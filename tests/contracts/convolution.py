"""A small convolutional network, and images for it, whose normalisation has seen them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

__all__ = ["IMAGES", "convolution"]

IMAGES = np.random.default_rng(0).standard_normal((40, 3, 6, 6)).astype(np.float32)


def convolution() -> nn.Module:
    """Four classes, in evaluation; the same each time."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 36, 4),
    )
    model(torch.from_numpy(IMAGES))  # moves the statistics away from 0 and 1
    return model.eval()

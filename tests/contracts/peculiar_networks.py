"""Source of a module of networks of the kinds that people write, by function name."""

from __future__ import annotations

SOURCE = '''
import random
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    """A small network that the others are variants of."""

    def __init__(self, classes, width=16):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.mid = nn.Conv2d(width, width, 3, padding=1)
        self.fc = nn.Linear(width, classes)

    def features(self, x):
        return F.relu(self.mid(F.relu(self.conv(x)))).mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


def plain(shape, classes):
    return Net(classes)


class Noisy(Net):
    def forward(self, x):
        h = self.features(x)
        return self.fc(h + 0.3 * torch.randn_like(h))


class AlwaysDrop(Net):
    def forward(self, x):
        return self.fc(F.dropout(self.features(x), 0.5))


class NumpyNoise(Net):
    def forward(self, x):
        return self.fc(self.features(x) * float(np.random.rand()))


class BatchMean(Net):
    def forward(self, x):
        h = self.features(x)
        return self.fc(h - h.mean(0))


class BatchStatistics(Net):
    def __init__(self, classes):
        super().__init__(classes)
        self.norm = nn.BatchNorm2d(16, track_running_stats=False)
    def features(self, x):
        return self.norm(self.mid(F.relu(self.conv(x)))).mean((2, 3))


class Branch(Net):
    def forward(self, x):
        h = self.features(x)
        return self.fc(h) if x.mean() > 0 else self.fc(-h)


class InPlace(Net):
    def forward(self, x):
        return self.fc(self.features(x.mul_(0.5)))


class IntBatch(Net):
    def forward(self, x):
        return self.fc(self.features(x).view(int(x.shape[0]), 16))


class Squeezer(Net):
    def forward(self, x):
        h = F.relu(self.mid(F.relu(self.conv(x))))
        x = self.fc(F.adaptive_avg_pool2d(h, 1).squeeze())
        return x if x.dim() == 2 else x[None]


class Squeezed(Net):
    def forward(self, x):
        h = F.relu(self.mid(F.relu(self.conv(x))))
        return self.fc(F.adaptive_avg_pool2d(h, 1).squeeze())


class Counting(Net):
    """Decides in Python on one example's numbers."""
    def forward(self, x):
        rows = [self.fc(self.features(row[None]) * (1 + int(row.argmax()))) for row in x]
        return torch.cat(rows)


class Exported(Net):
    """Does something else while it is exported."""
    def forward(self, x):
        return self.fc(self.features(x)) * (2 if torch.onnx.is_in_onnx_export() else 1)


class Infinite(Net):
    def forward(self, x):
        return self.fc(self.features(x)) / (0 * x.sum((1, 2, 3)))[:, None]


class Frozen(Net):
    def __init__(self, classes):
        super().__init__(classes)
        self.requires_grad_(False)


class InPlaceWeights(Net):
    """Changes a weight between its use and the gradient."""
    def forward(self, x):
        h = self.fc(self.features(x))
        if self.training:
            with torch.no_grad():
                self.fc.weight.clamp_(-1, 1)
                self.mid.weight.mul_(0.999)
        return h


class Clamped(Net):
    """Keeps a weight within bounds."""
    def forward(self, x):
        with torch.no_grad():
            self.mid.weight.clamp_(-0.1, 0.1)
        return super().forward(x)


class PlainBasis(Net):
    """A random tensor in an attribute that no state dictionary holds."""
    def __init__(self, classes):
        super().__init__(classes)
        self.basis = torch.randn(36, 36)
    def forward(self, x):
        return super().forward((x.flatten(1) @ self.basis).view(x.shape))


class NumpyBasis(Net):
    def __init__(self, classes):
        super().__init__(classes)
        self._basis = [np.random.randn(6).astype(np.float32), random.random()]
    def forward(self, x):
        return super().forward(x * torch.from_numpy(self._basis[0]) + self._basis[1])


GENERATOR = np.random.default_rng()


class OwnGenerator(Net):
    """Its attribute follows no seed."""
    def __init__(self, classes):
        super().__init__(classes)
        self._basis = torch.from_numpy(GENERATOR.standard_normal(6)).float()
    def forward(self, x):
        return super().forward(x * self._basis)


class OwnWeights(Net):
    """Its first weights follow no seed, but its state dictionary holds them."""
    def __init__(self, classes):
        super().__init__(classes)
        with torch.no_grad():
            self.mid.weight.copy_(torch.from_numpy(0.1 * GENERATOR.standard_normal((16, 16, 3, 3))))


class PlainStatistics(Net):
    """Keeps a running mean in a plain attribute."""
    def __init__(self, classes):
        super().__init__(classes)
        self.center = torch.zeros(16)
    def forward(self, x):
        h = self.features(x)
        if self.training:
            self.center = 0.5 * self.center + 0.5 * h.mean(0).detach() + 1
        return self.fc(h - self.center)


class PassingBuffer(PlainStatistics):
    def __init__(self, classes):
        super().__init__(classes)
        del self.center
        self.register_buffer("center", torch.zeros(16), persistent=False)


class KeptStatistics(PlainStatistics):
    """The same in a buffer."""
    def __init__(self, classes):
        super().__init__(classes)
        del self.center
        self.register_buffer("center", torch.zeros(16))


class ConstantBuffer(Net):
    """A constant need not be stored."""
    def __init__(self, classes):
        super().__init__(classes)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 1), persistent=False)
    def forward(self, x):
        return self.fc(self.features(x) * self.scale)


class CumulativeNorm(Net):
    """Batch normalisation whose statistics are means over all batches."""
    def __init__(self, classes):
        super().__init__(classes)
        self.norm = nn.BatchNorm2d(16, momentum=None)
    def features(self, x):
        return F.relu(self.norm(self.mid(F.relu(self.conv(x))))).mean((2, 3))


class TwoNames(Net):
    def __init__(self, classes):
        super().__init__(classes)
        self.again = nn.Conv2d(16, 16, 3, padding=1)
        self.again.weight = self.mid.weight
    def features(self, x):
        return F.relu(self.again(F.relu(self.mid(F.relu(self.conv(x)))))).mean((2, 3))


class SharedConv(Net):
    """One convolution used three times, each time with a normalisation of its own."""
    def __init__(self, classes):
        super().__init__(classes, 24)
        self.norms = nn.ModuleList(nn.BatchNorm2d(24) for _ in range(3))
    def features(self, x):
        x = F.relu(self.conv(x))
        for norm in self.norms:
            x = F.relu(norm(self.mid(x)))
        return x.mean((2, 3))


class Recurrent(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.rnn = nn.LSTM(6, 16, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(32, classes)
    def forward(self, x):
        return self.fc(self.rnn(x.squeeze(1))[0][:, -1])


class Probabilities(Net):
    def forward(self, x):
        return self.fc(self.features(x)).softmax(1)


class LogProbabilities(Net):
    def forward(self, x):
        return F.log_softmax(self.fc(self.features(x)), 1)


class Double(Net):
    def __init__(self, classes):
        super().__init__(classes)
        self.double()


class Lazy(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv, self.fc = nn.LazyConv2d(16, 3), nn.LazyLinear(classes)
    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).flatten(1))


def told(shape, classes):
    return Net(classes)
told.cannot_prune = "it is not mine to prune"


def __getattr__(name):
    kind = globals().get(name.title().replace("_", ""))
    if kind is None:
        raise AttributeError(name)
    return lambda shape, classes: kind(classes)
'''

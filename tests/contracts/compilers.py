"""A machine on which no steps of a training can be compiled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def no_compiler() -> Iterator[None]:
    """A machine without a compiler of C++, and without code from earlier runs."""
    import torch._inductor.config as settings
    import torch.compiler.config as caches

    with (
        settings.patch({"cpp.cxx": ("/nothing/here/c++",)}),
        caches.patch(force_disable_caches=True),
    ):
        yield

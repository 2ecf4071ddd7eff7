"""Whatever a table holds, it becomes a task or is refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenfront.errors import DataError
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.split import assemble
from greenfront.objectives.tasks.table import read

SOUND = (
    "id,x,day,land,kind\n"
    + "\n".join(
        f'{i},{i * i % 31}.5,2026-01-{1 + i % 28:02},"a, {i % 4}",{"ab"[i % 2]}' for i in range(40)
    )
    + "\n"
).encode()
SNIPPETS = [
    *(b",", b";", b"\t", b"|", b" ", b"\n", b"\r\n", b"\r", b'"', b'""', b"\\", b"'", b"#"),
    *(b"sep=;\n", b"?", b"NA", b"nan", b"inf", b"1e999", b"-", b"\x00", b"\xff", b"\xef\xbb\xbf"),
    *(b"\xfe\xff", b"99999999999999999999", b"1,5", b"kind", b"kind,kind", b"2026-13-01", b"\xe9"),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "data.csv"


edits = st.lists(
    st.tuples(
        st.floats(0, 1), st.integers(0, 30), st.sampled_from(SNIPPETS) | st.binary(max_size=4)
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(edits=edits)
def test_a_mutated_table_is_a_task_or_refused(path, edits):
    content = SOUND
    for where, cut, snippet in edits:
        place = int(where * len(content))
        content = content[:place] + snippet + content[place + cut :]
    check(path, content)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_task_or_refused(path, content):
    check(path, content)
    check(path, b"x,kind\n" + content)


def check(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    wanted = TaskSettings(kind="csv", path=str(path), target="kind")
    try:
        raw = read(wanted)
        task = assemble(raw, wanted, seed=0)
    except DataError as error:
        told = str(error)
    else:
        told = raw.source
        assert raw.schema is not None
        assert sum(task.facts.sizes.values()) == raw.schema.rows == len(raw.labels)
        for part in (task.train, task.validation, task.test):
            assert np.isfinite(part.inputs).all()
    assert told.startswith(str(path))

"""What all tests share: threads, hypothesis, and databases: SQLite, PostgreSQL where installed."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

# Before any numerical library is loaded: the networks of tests are too small to gain by threads,
# and the workers of pytest-xdist would fight over the cores.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import hypothesis
import pytest
import sqlalchemy as sa

from contracts import durations
from contracts.forked import forked_evaluators
from contracts.postgres import postgres_server, postgres_url
from greenfront.studies.store.storage import Storage

TESTS = Path(__file__).parent

# No test asserts on time, and a busy machine is no reason to fail.
PATIENT = hypothesis.settings(
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.filter_too_much,
    ],
)
LOCAL_EXAMPLES = 40
"""Of each property; CI tries all of hypothesis's hundred."""

hypothesis.settings.register_profile("explore", PATIENT, max_examples=LOCAL_EXAMPLES)
# The gate tries the same examples each time: what it lets in does not depend on luck.
hypothesis.settings.register_profile("gate", PATIENT, derandomize=True)
hypothesis.settings.load_profile("gate" if os.environ.get("CI") else "explore")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--record-durations``."""
    parser.addoption("--record-durations", action="store_true", help="write tests/durations.json")


def pytest_configure(config: pytest.Config) -> None:
    """The process that gathers the reports records them."""
    if config.getoption("--record-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(durations.Recorder())


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Marks what takes long, before some are chosen by that; then puts the longest files first."""
    seconds = durations.recorded()
    durations.marked(items, seconds)
    yield
    durations.longest_first(items, seconds)


def pytest_collection() -> None:
    """Little of what is imported and collected is garbage: looking for some takes seconds."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What was imported to collect the tests stays: garbage collections need not look at it."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def evaluators() -> Iterator[None]:
    """Evaluators that are started in this process are forked from it."""
    with forked_evaluators():
        yield


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """Starts a server that listens on a socket in the folder, and trusts everybody."""
    with postgres_server() as server:
        yield server.folder


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables, to be copied: making them takes its time."""
    path = tmp_path_factory.mktemp("template") / "study.db"
    Storage(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_folder: Path) -> str:
    """The name of a database with all tables, to be copied."""
    with _server(postgres_folder) as connection:
        connection.exec_driver_sql("CREATE DATABASE tables")
    Storage(postgres_url(postgres_folder, "tables")).close()
    return "tables"


@pytest.fixture(params=["sqlite", "postgresql"])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database of each kind, without tables unless the test asks for ``storage``."""
    tables = "storage" in request.fixturenames
    if request.param == "sqlite":
        if tables:
            shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "study.db")
        yield f"sqlite:///{tmp_path}/study.db"
        return
    folder = request.getfixturevalue("postgres_folder")
    template = request.getfixturevalue("postgres_template") if tables else "template1"
    name = f"test_{uuid4().hex}"
    with _server(folder) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield postgres_url(folder, name)
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def storage(storage_url: str) -> Iterator[Storage]:
    """An open storage of each kind."""
    opened = Storage(storage_url)
    yield opened
    opened.close()


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine(postgres_url(folder, "postgres"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()

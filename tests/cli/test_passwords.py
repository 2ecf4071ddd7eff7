"""A password of a database is shown nowhere and kept nowhere, however wrong it is given."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage
from typer.core import TyperGroup
from typer.main import get_command

from contracts.command import FAST, Command
from contracts.waiting import eventually
from greenfront.cli.app import application
from greenfront.studies.store import migrations
from greenfront.studies.store.passwords import without_passwords
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

SECRET = "Zx9hunter2"
HOST = "127.0.0.1:1"
PG = "postgresql+psycopg"

WRONG = {
    "nobody listens": f"{PG}://ada:{SECRET}@{HOST}/x",
    "no driver named": f"postgresql://ada:{SECRET}@{HOST}/x",
    "another driver": f"postgresql+psycopg2://ada:{SECRET}@{HOST}/x",
    "an asynchronous driver": f"postgresql+psycopg_async://ada:{SECRET}@{HOST}/x",
    "a driver that is not there": f"postgresql+asyncpg://ada:{SECRET}@{HOST}/x",
    "another database": f"mysql+pymysql://ada:{SECRET}@{HOST}/x",
    "no such database": f"greendb://ada:{SECRET}@{HOST}/x",
    "no database": f"http://ada:{SECRET}@{HOST}/x",
    "a key-value store": f"redis://:{SECRET}@{HOST}/0",
    "unknown host": f"{PG}://ada:{SECRET}@nowhere.invalid/x",
    "port too large": f"{PG}://ada:{SECRET}@127.0.0.1:99999/x",
    "port is a word": f"{PG}://ada:{SECRET}@127.0.0.1:port/x",
    "two ports": f"{PG}://ada:{SECRET}@127.0.0.1:1:2/x",
    "two hosts": f"{PG}://ada:{SECRET}@127.0.0.1:1,127.0.0.2:1/x",
    "half an address": f"{PG}://ada:{SECRET}@[::1:1/x",
    "no host": f"postgresql://ada:{SECRET}",
    "no scheme": f"ada:{SECRET}@{HOST}/x",
    "no colon": f"postgresql//ada:{SECRET}@{HOST}/x",
    "one slash": f"postgresql:/ada:{SECRET}@{HOST}/x",
    "no slash": f"postgresql:ada:{SECRET}@{HOST}/x",
    "capitals": f"POSTGRESQL://ada:{SECRET}@{HOST}/x",
    "a space before": f" postgresql://ada:{SECRET}@{HOST}/x",
    "a line break": f"{PG}://ada:{SECRET}\n@{HOST}/x",
    "spaces in it": f"{PG}://ada:a @ {SECRET}@{HOST}/x",
    "a slash in it": f"{PG}://ada:a/{SECRET}@{HOST}/x",
    "an at in it": f"{PG}://ada:a@{SECRET}@{HOST}/x",
    "a question mark in it": f"{PG}://ada:a?{SECRET}@{HOST}/x",
    "a number sign in it": f"{PG}://ada:#{SECRET}@{HOST}/x",
    "a bracket in it": f"{PG}://ada:[{SECRET}@{HOST}/x",
    "percent-encoded": f"{PG}://ada:{SECRET}%40%2F@{HOST}/x",
    "wrongly percent-encoded": f"{PG}://ada:%zz{SECRET}@{HOST}/x",
    "in the query": f"{PG}://ada@{HOST}/x?password={SECRET}",
    "twice in the query": f"{PG}://ada@{HOST}/x?password={SECRET}&password=b",
    "in the query beside what is unknown": f"{PG}://ada@/x?host=h&password={SECRET}&bogus=1",
    "of a key": f"{PG}://ada@{HOST}/x?sslpassword={SECRET}",
    "beside what is unknown": f"{PG}://ada:{SECRET}@{HOST}/x?bogus=1",
    "beside a wrong number": f"{PG}://ada:{SECRET}@{HOST}/x?connect_timeout=soon",
    "beside a wrong mode": f"{PG}://ada:{SECRET}@{HOST}/x?sslmode=nope",
    "as libpq takes it": f"host=127.0.0.1 port=1 user=ada password={SECRET}",
    "as libpq takes it, quoted": f"host=127.0.0.1 port=1 password='{SECRET} {SECRET}'",
    "of a file": f"sqlite://ada:{SECRET}@{HOST}/x.db",
    "in the query of a file": f"sqlite:///x.db?password={SECRET}",
    "of an encrypted file": f"sqlite+pysqlcipher://:{SECRET}@/x.db",
}
"""Each is refused, and none may be shown while it is."""

IN_FILE = {
    "as the study's name": f'[study]\nname = "{WRONG["nobody listens"]}"',
    "as another key": f'[study]\nstorge = "{WRONG["nobody listens"]}"',
    "as the table": f'study = "{WRONG["nobody listens"]}"',
    "as a list": f'[study]\nstorage = ["{WRONG["nobody listens"]}"]',
    "as the path of data": f'[task]\nkind = "csv"\npath = "{WRONG["nobody listens"]}"',
    "as the kind of data": f'[task]\nkind = "{WRONG["nobody listens"]}"',
    "as a trace": f'[carbon]\ntrace = "{WRONG["nobody listens"]}"',
    "as a family": f'[space]\narchitectures = ["{WRONG["nobody listens"]}"]',
    "without quotes": f"[study]\nstorage = {WRONG['nobody listens']}",
    "not closed": f'[study]\nstorage = "{WRONG["nobody listens"]}',
}
"""Places of a study file where a URL has no business, or is wrongly written."""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize("way", WRONG)
def test_a_wrong_storage_is_refused_without_its_password(command: Command, way: str) -> None:
    assert SECRET not in command.read("studies", "--storage", WRONG[way], code=2)
    escaped = WRONG[way].replace("\n", "\\n")
    command.write_study(study=f'storage = "{escaped}"')
    assert SECRET not in command.read("run", "study.toml", code=2)
    assert command.contents() == {"study.toml"}


@pytest.mark.parametrize("way", ["nobody listens", "no host", "as libpq takes it"])
def test_every_command_refuses_it_alike(
    command: Command, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE", WRONG[way])
    for words in (("studies",), ("front", "x", "--json"), ("resume", "x"), ("dashboard",)):
        assert SECRET not in command.read(*words, "--storage-env", "DATABASE", code=2)
        assert SECRET not in command.read(*words, "--storage", WRONG[way], code=2)


@pytest.mark.parametrize("way", list(IN_FILE))
def test_a_url_where_it_does_not_belong_is_refused_without_its_password(
    command: Command, way: str
) -> None:
    text = IN_FILE[way]
    task = "" if "[task]" in text else '\n[task]\nkind = "digits"\n'
    (command.folder / "study.toml").write_text(text + task)
    said = command.read("run", "study.toml", code=2)
    assert SECRET not in said, said


def test_a_variable_names_the_storage_and_hints_name_the_variable(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE", f"sqlite:///{command.folder}/elsewhere.db")
    Storage(f"sqlite:///{command.folder}/elsewhere.db").close()
    assert "elsewhere.db" in command.read("studies", "--storage-env", "DATABASE", "--json")
    told = command.read("studies", "--storage-env", "NOWHERE", code=2)
    assert "'NOWHERE', which is not set: export NOWHERE=" in told
    both = ("--storage-env", "DATABASE", "--storage", "sqlite:///x.db")
    assert "not both" in command.read("studies", *both, code=2)


def test_every_command_that_takes_a_storage_takes_a_variable() -> None:
    commands = get_command(application())
    assert isinstance(commands, TyperGroup)
    options = {
        name: {option for each in command.params for option in each.opts}
        for name, command in commands.commands.items()
    }
    taking = {name for name, known in options.items() if "--storage" in known}
    assert taking >= {"run", "resume", "studies", "front", "export", "report", "dashboard"}
    assert all("--storage-env" in options[name] for name in taking)


def test_words_of_other_libraries_are_shown_without_passwords() -> None:
    for url in (each for each in WRONG.values() if "://" in each or "password" in each):
        assert SECRET not in without_passwords(f"could not open {url!r}", one_word=True)
    usual = "2 of 3 at 10:30, see http://127.0.0.1:8080/dashboard and C:/data (sqlite:///a.db)"
    assert without_passwords(usual) == usual


def test_a_fault_of_ours_is_shown_without_passwords(tmp_path: Path) -> None:
    code = (
        "import sys; from unittest.mock import patch; from greenfront.cli import app\n"
        f"def broken(): raise RuntimeError('cannot reach {WRONG['nobody listens']}')\n"
        "with patch.object(app, 'application', broken): app.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "RuntimeError: cannot reach postgresql+psycopg://ada:***@127.0.0.1:1/x" in done.stderr
    assert SECRET not in done.stderr


def test_what_older_versions_have_kept_goes_when_the_database_is_opened(
    storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "VERSIONS", ("1", "2", "3", "4", "5"))
    storage = Storage(storage_url)
    kept = {"study": {"storage": WRONG["nobody listens"], "name": "old"}, "task": {"kind": "csv"}}
    Study.create(
        storage,
        "old",
        directions=["maximize"],
        identity="one",
        configuration=kept,
        meters=None,
        facts=None,
    )
    with storage.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE greenfront_trials DROP COLUMN afterwards")
        connection.exec_driver_sql("ALTER TABLE greenfront_pauses DROP COLUMN kind")
        connection.exec_driver_sql("UPDATE greenfront_version SET version_num = '5'")
    assert SECRET in "".join(texts(storage))
    storage.close()
    monkeypatch.undo()
    storage = Storage(storage_url, create=False)
    assert SECRET not in "".join(texts(storage))
    now = Study.open(storage, "old").configuration
    assert now["study"]["storage"] == f"{PG}://ada:***@127.0.0.1:1/x"
    assert now["task"] == kept["task"]
    storage.close()


def texts(storage: Storage) -> Iterator[str]:
    """Everything in all tables of a database, Optuna's and ours."""
    tables = sa.MetaData()
    with storage.reading() as connection:
        tables.reflect(connection)
        for table in tables.sorted_tables:
            yield from (str(row) for row in connection.execute(sa.select(table)))


@pytest.mark.parametrize("storage_url", ["postgresql"], indirect=True)
def test_a_whole_study_shows_and_keeps_no_password(
    storage_url: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of the tests trusts everybody, so that any password will do."""
    url = storage_url.replace("greenfront@", f"greenfront:{SECRET}@")
    command.write_study(study='name = "quiet"', budget="trials = 2", **FAST)
    process = command.start("run", "study.toml", "--storage", url)
    try:
        lines = command_lines(process)
        said = process.communicate()[0]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "a password that is typed stays in the shell's history" in said
    assert "--storage 'postgresql+psycopg://greenfront:***@" in said
    assert [line for line in lines if "evaluator.child" in line]
    assert SECRET not in "".join(lines)
    monkeypatch.setenv("DATABASE", url)
    where = ("--storage-env", "DATABASE")
    for words in (
        ("run", "study.toml"),
        ("studies", "--json"),
        ("front", "quiet"),
        ("front", "quiet", "--json"),
        ("ledger", "quiet", "--json"),
        ("whatif", "quiet", "--json"),
        ("table", "quiet"),
        ("pick", "quiet"),
        ("compare", "quiet", "quiet:0", "--json"),
        ("report", "quiet", "-o", "report.html"),
        ("export", "quiet", "-o", "model", "--json"),
        ("front", "another"),
        ("whatif", "quiet", "--trace", "missing.csv"),
    ):
        wrong = "another" in words or "missing.csv" in words
        said += command.read(*words, *where, code=2 if wrong else 0)
    assert "greenfront export quiet --storage-env DATABASE --trial" in said
    assert SECRET not in said
    opened = Storage(url)
    assert isinstance(opened.optuna, RDBStorage)
    assert SECRET not in "".join(texts(opened))
    opened.close()
    files = [path for path in command.folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def command_lines(process: subprocess.Popen[str]) -> list[str]:
    """Of a run and its evaluator, as everybody on the machine may read them."""
    run = psutil.Process(process.pid)

    def of_both() -> list[str]:
        lines = []
        for each in (run, *run.children(recursive=True)):
            with contextlib.suppress(OSError):  # it has just ended
                lines.append(Path(f"/proc/{each.pid}/cmdline").read_text())
        return lines if any("evaluator.child" in line for line in lines) else []

    return eventually(of_both, "evaluator", process)

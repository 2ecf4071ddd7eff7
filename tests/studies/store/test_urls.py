from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.command import Command
from greenfront.errors import StorageError
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study
from greenfront.studies.store.urls import parsed_url, shown_url

PASSWORDS = st.text(st.sampled_from("aB3@#/:?[]!$&+=~.-_ é"), min_size=1, max_size=12)


@given(PASSWORDS)
def test_a_password_may_hold_special_characters(secret: str) -> None:
    """None of them has to be escaped, as long as what follows it is a usual host."""
    url = f"postgresql+psycopg://ada:{secret}@db.example.org:5432/studies"
    found = parsed_url(url)
    ambiguous = "?" in secret.partition("@")[2]
    if not ambiguous:
        assert (found.username, found.password) == ("ada", secret)
        assert (found.host, found.port, found.database) == ("db.example.org", 5432, "studies")


@given(PASSWORDS.filter(lambda secret: len(secret) > 3))
def test_nothing_of_a_password_is_shown(secret: str) -> None:
    for url in (
        f"postgresql+psycopg://ada:{secret}@db.example.org:5432/studies",
        f"postgres//ada:{secret}@db.example.org/studies",
        f"postgresql://ada:{secret}@db.example.org:port/studies",
        f"mysql://ada:{secret}@/studies",
    ):
        shown = shown_url(url)
        rest = shown.replace("***", "").replace("postgresql+psycopg://ada:", "")
        assert secret not in rest
        assert ":port" in url or shown.partition("***@")[2] == url.rpartition("@")[2]


def test_escaped_characters_are_decoded_and_other_secrets_hidden() -> None:
    assert parsed_url("postgresql+psycopg://u:a%40b%2Fc@h/x").password == "a@b/c"
    assert parsed_url("postgresql+psycopg://u%40corp:p#@h/x").username == "u@corp"
    assert shown_url("mysql://h/x?ssl_password=abc&charset=utf8") == (
        "mysql://h/x?charset=utf8&ssl_password=***"
    )
    assert shown_url("mysql://h/x?charset=utf8") == "mysql://h/x?charset=utf8"
    assert parsed_url("sqlite:////home/a@b/x.db").database == "/home/a@b/x.db"


def test_messages_hold_no_password() -> None:
    for url in (
        "postgresql+psycopg://u:p@ss#w/ord@localhost:1/x",
        "postgresql://u:p@ss#w/ord@localhost:port/x",
        "greendb://u:p@ss#w/ord@localhost:1/x",
        "postgresql://u:p@ss#w/ord",
    ):
        with pytest.raises(StorageError) as told:
            Storage(url)
        assert "***" in str(told.value)
        for part in ("p@ss", "ss#w", "#w", "/ord"):
            assert part not in str(told.value)


@pytest.mark.parametrize("storage_url", ["postgresql"], indirect=True)
def test_a_server_is_reached_with_such_a_password(storage_url: str, tmp_path: Path) -> None:
    """The server of the tests trusts everybody; what matters is that its address is understood."""
    url = storage_url.replace("greenfront@", "greenfront:p@ss#w/ord@")
    storage = Storage(url)
    Study.create(
        storage,
        "wine",
        directions=["maximize"],
        identity="one",
        configuration={},
        meters=None,
        facts=None,
    )
    command = Command(tmp_path)
    for words in (("studies",), ("studies", "--json"), ("front", "beer"), ("resume", "wine")):
        said = command.read(*words, "--storage", url, code=0 if words[0] == "studies" else 2)
        assert "wine" in said
        assert not any(part in said for part in ("p@ss", "ss#w", "/ord"))
    storage.close()


def test_psycopg_is_taken_where_no_driver_is_named() -> None:
    for url in ("postgresql://h/x", "postgres://h/x"):
        assert parsed_url(url).drivername == "postgresql+psycopg"

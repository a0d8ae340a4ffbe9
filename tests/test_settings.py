"""Forms of DATABASE_URL, and what asyncpg gets of them."""

import pytest

from graphql_api.settings import Settings, asyncpg_url


def connect_arguments(url: str, **values: str) -> dict[str, object]:
    """The arguments of asyncpg.connect."""
    parsed = asyncpg_url(url, **values)
    return dict(parsed.get_dialect()().create_connect_args(parsed)[1])


def test_a_url_of_one_host() -> None:
    assert connect_arguments("postgresql+psycopg2://app:p%40ss@db.internal/notify") == {
        "host": "db.internal",
        "database": "notify",
        "user": "app",
        "password": "p@ss",
    }


def test_of_several_hosts_the_writable_one_is_used() -> None:
    assert connect_arguments("postgresql://app@one,two:5433/notify") == {
        "host": ["one", "two"],
        "port": [5432, 5433],
        "database": "notify",
        "user": "app",
        "target_session_attrs": "read-write",
    }


def test_of_several_bulk_hosts_a_standby_is_preferred() -> None:
    settings = Settings.model_validate({"database_url_bulk": "postgresql://replica:5432,primary:5432/notify"})

    assert settings.replica_url is not None
    assert settings.replica_url.query["target_session_attrs"] == "prefer-standby"


def test_parameters_of_the_url_take_precedence() -> None:
    url = "postgresql://one,two/notify?target_session_attrs=any&sslmode=require"

    assert connect_arguments(url)["target_session_attrs"] == "any"
    assert connect_arguments(url)["ssl"] == "require"


def test_the_url_is_converted_to_the_format_of_libpq() -> None:
    settings = Settings.model_validate({"database_url": "postgresql+asyncpg://app@one,two:5433/notify?sslmode=require"})

    assert settings.libpq_url == (
        "postgresql://app@/notify?host=one%2Ctwo&port=5432%2C5433&sslmode=require&target_session_attrs=read-write"
    )


@pytest.mark.parametrize("url", ["mysql://one,two/notify", "one,two", "postgresql://secret@one:port/notify", ""])
def test_an_invalid_url_is_an_error_that_does_not_quote_it(url: str) -> None:
    with pytest.raises(ValueError, match="must be like") as error:
        asyncpg_url(url)

    assert "secret" not in str(error.value)

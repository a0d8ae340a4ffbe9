"""What DATABASE_URL may look like, and where it leads."""

import pytest

from graphql_api.settings import Settings, asyncpg_url


def led(url: str, **values: str) -> dict[str, object]:
    """What asyncpg is given."""
    made = asyncpg_url(url, **values)
    return dict(made.get_dialect()().create_connect_args(made)[1])


def test_one_host_is_taken_as_it_is() -> None:
    assert led("postgresql+psycopg2://app:p%40ss@db.internal/notify") == {
        "host": "db.internal",
        "database": "notify",
        "user": "app",
        "password": "p@ss",
    }


def test_of_several_hosts_the_one_that_takes_writes_is_wanted() -> None:
    assert led("postgresql://app@one,two:5433/notify") == {
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


def test_what_the_url_says_itself_is_kept() -> None:
    url = "postgresql://one,two/notify?target_session_attrs=any&sslmode=require"

    assert led(url)["target_session_attrs"] == "any"
    assert led(url)["ssl"] == "require"


def test_programs_of_postgresql_get_the_url_in_their_own_words() -> None:
    settings = Settings.model_validate({"database_url": "postgresql+asyncpg://app@one,two:5433/notify?sslmode=require"})

    assert settings.libpq_url == (
        "postgresql://app@/notify?host=one%2Ctwo&port=5432%2C5433&sslmode=require&target_session_attrs=read-write"
    )


@pytest.mark.parametrize("url", ["mysql://one,two/notify", "one,two", "postgresql://secret@one:port/notify", ""])
def test_anything_else_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match="must be like") as refusal:
        asyncpg_url(url)

    assert "secret" not in str(refusal.value)

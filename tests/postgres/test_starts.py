"""Starts: created databases, settings, secrets and errors."""

import os
import re
import socket
import stat
from pathlib import Path

import asyncpg
import pytest

from graphql_api import postgres
from graphql_api.postgres import clusters
from tests.postgres.owner_processes import BINARIES, fetch_value, needs_proc, postmaster_pid, start_error


def test_a_first_start_creates_an_empty_database_in_utf8_and_utc(bindir: Path, tmp_path: Path) -> None:
    with postgres.start(tmp_path / "new" / "data", bindir=bindir) as server:
        row = fetch_value(
            server.url(),
            "SELECT concat_ws(' ', current_database(), current_user, current_setting('server_encoding'),"
            " current_setting('TimeZone'), current_setting('fsync'), lower('ÀÉ'), host(inet_server_addr()),"
            " (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace))",
        )

    assert row == "notify notify UTF8 UTC on àé 127.0.0.1 0"


def test_the_cluster_has_the_extensions_of_the_migrations(bindir: Path, data_dir: Path) -> None:
    with postgres.start(data_dir, bindir=bindir) as server:
        assert fetch_value(server.url(), "CREATE EXTENSION pg_trgm") is None
        assert fetch_value(server.url(), "SELECT similarity('Zoë', 'zoë')") == 1
        assert len(str(fetch_value(server.url(), "SELECT gen_random_uuid()"))) == 36


def test_a_second_start_does_not_run_initdb_and_keeps_the_data(
    bindir: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(clusters.Cluster, "_run")  # it runs initdb
    for _ in range(2):
        with postgres.start(data_dir, bindir=bindir) as server:
            assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"


def test_a_server_can_be_fast_and_not_durable(bindir: Path, data_dir: Path) -> None:
    with postgres.start(data_dir, bindir=bindir, durable=False, settings={"max_connections": "42"}) as server:
        names = ("fsync", "synchronous_commit", "full_page_writes", "max_connections")
        assert [fetch_value(server.url(), f"SHOW {name}") for name in names] == ["off", "off", "off", "42"]


def test_a_wrong_password_is_refused(bindir: Path, data_dir: Path) -> None:
    with (
        postgres.start(data_dir, bindir=bindir) as server,
        pytest.raises(asyncpg.InvalidPasswordError),
    ):
        fetch_value(f"postgresql://notify:guess@127.0.0.1:{server.port}/notify", "SELECT 1")


def test_only_their_owners_can_read_the_password_and_the_cluster(data_dir: Path) -> None:
    assert stat.S_IMODE((data_dir / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE((data_dir / "cluster").stat().st_mode) == 0o700


def test_the_password_is_not_in_the_repr(bindir: Path, data_dir: Path) -> None:
    with postgres.start(data_dir, bindir=bindir) as server:
        assert repr(server) == f"PostgresServer(data_dir={data_dir!r}, port={server.port})"


@needs_proc
def test_the_server_does_not_inherit_our_environment(
    bindir: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SECRET_KEY": "hidden", "PGDATA": "/nowhere", "PGPORT": "1", "PGUSER": "nobody"}.items():
        monkeypatch.setenv(name, value)

    with postgres.start(data_dir, bindir=bindir) as server:
        environment = Path(f"/proc/{postmaster_pid(data_dir)}/environ").read_text()
        assert fetch_value(server.url(), "SELECT 1") == 1

    assert not re.search("hidden|PGPORT|PGUSER|nowhere", environment)


def test_personal_data_are_not_logged(bindir: Path, data_dir: Path) -> None:
    with postgres.start(data_dir, bindir=bindir) as server:
        fetch_value(server.url(), "CREATE TABLE people (address text UNIQUE)")
        fetch_value(server.url(), "INSERT INTO people VALUES ('someone@example.com')")
        with pytest.raises(asyncpg.UniqueViolationError):
            fetch_value(server.url(), "INSERT INTO people VALUES ('someone@example.com')")

    log = (data_dir / "log").read_text()
    assert "duplicate key" in log
    assert "someone" not in log


def test_a_path_can_be_long_and_have_spaces_and_quotes(bindir: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / ("a 'quoted' \"name\" " * 6) / "deeper"
    with postgres.start(data_dir, bindir=bindir, durable=False) as server:
        assert fetch_value(server.url(), "SELECT 1") == 1


def test_a_used_port_has_a_message(bindir: Path, data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        message = start_error(data_dir, bindir=bindir, port=port)

    assert (
        message == f"PostgreSQL cannot have port {port} of 127.0.0.1 (Address already in use): choose another, or none."
    )


def test_a_requested_port_is_used(bindir: Path, data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with postgres.start(data_dir, bindir=bindir, port=port) as server:
        assert (server.port, fetch_value(server.url(), "SELECT 1")) == (port, 1)


def test_an_impossible_folder_has_a_message(bindir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    message = start_error(tmp_path / "file" / "data", bindir=bindir)

    assert message == (
        f"The database cannot live in {tmp_path}/file/data (Not a directory: {tmp_path}/file/data): set DATA_DIR."
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_an_unwritable_folder_has_a_message(bindir: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    message = start_error(tmp_path / "data", bindir=bindir)

    assert message == f"The database cannot live in {tmp_path}/data (Permission denied: {tmp_path}/data): set DATA_DIR."


def test_data_of_another_version_have_a_message(bindir: Path, data_dir: Path) -> None:
    (data_dir / "cluster" / "PG_VERSION").write_text("14\n")

    message = start_error(data_dir, bindir=bindir)

    version = {"wheel": 18, "debian-15": 15}[next(name for name, folder in BINARIES.items() if folder == bindir)]
    assert message == (
        f"The data in {data_dir} were made by PostgreSQL 14, but {bindir} is PostgreSQL {version}: "
        "set PG_BINDIR to a PostgreSQL 14, or DATA_DIR to another folder."
    )


def test_an_error_of_postgresql_has_a_message(bindir: Path, data_dir: Path) -> None:
    message = start_error(data_dir, bindir=bindir, settings={"shared_buffers": "lots"})

    assert message.startswith(f"PostgreSQL did not start in {data_dir}: invalid value for parameter")


def test_a_failed_start_releases_the_folder(bindir: Path, data_dir: Path) -> None:
    start_error(data_dir, bindir=bindir, settings={"shared_buffers": "lots"})

    with postgres.start(data_dir, bindir=bindir) as server:
        assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"

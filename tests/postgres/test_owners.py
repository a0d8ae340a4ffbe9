"""Owners of servers, killed in the tests: no server outlives its owner, no other process is harmed."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from graphql_api import postgres
from tests.postgres.owner_processes import (
    cluster_processes,
    fetch_value,
    needs_proc,
    owner_process,
    postmaster_pid,
    read_line,
    wait_until_gone,
    watchdog_pid,
)
from tests.waiting import WAIT_TIMEOUT_SECONDS, attempts


def test_a_server_started_in_a_thread_outlives_the_thread(bindir: Path, data_dir: Path) -> None:
    servers: list[postgres.PostgresServer] = []
    thread = threading.Thread(target=lambda: servers.append(postgres.start(data_dir, bindir=bindir)))
    thread.start()
    thread.join()

    with servers[0] as server:
        for _ in attempts():
            if not Path(f"/proc/self/task/{thread.native_id}").exists():
                break
        # A server that is ending takes no new connections.
        for _ in range(20):
            assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"


@needs_proc
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_server_outlives_its_owner(bindir: Path, data_dir: Path, signal_number: signal.Signals) -> None:
    with owner_process(data_dir, bindir) as process:
        url = read_line(process)
        assert fetch_value(url, "SELECT word FROM kept") == "still here"
        assert "postgres" in cluster_processes(data_dir).values()
        process.send_signal(signal_number)
        process.wait(WAIT_TIMEOUT_SECONDS)
        wait_until_gone(data_dir)

    with postgres.start(data_dir, bindir=bindir) as server:
        assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"


@needs_proc
@pytest.mark.parametrize("delay", [0, 0.005, 0.01, 0.02, 0.04, 0.08])
def test_no_server_outlives_an_owner_killed_while_starting_it(bindir: Path, data_dir: Path, delay: float) -> None:
    with owner_process(data_dir, bindir) as process:
        time.sleep(delay)
        process.kill()
        process.wait()
        for _ in attempts():
            if cluster_processes(data_dir) == {}:
                break

    with postgres.start(data_dir, bindir=bindir) as server:
        assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"


@needs_proc
@pytest.mark.parametrize("delay", [0.05, 0.2, 0.4])
def test_a_killed_first_start_is_repeated(bindir: Path, tmp_path: Path, delay: float) -> None:
    data_dir = tmp_path / "data"
    with owner_process(data_dir, bindir) as process:
        time.sleep(delay)
        process.kill()
        process.wait()
        for _ in attempts():
            if cluster_processes(data_dir) == {}:
                break

    # The second start deletes files that the killed initdb still wrote during the first.
    for _ in range(2):
        with postgres.start(data_dir, bindir=bindir, durable=False) as server:
            assert fetch_value(server.url(), "SELECT 1") == 1
    assert list(data_dir.glob("cluster-*")) == []


@needs_proc
def test_a_server_without_an_owner_is_stopped_by_its_pid_file(bindir: Path, data_dir: Path) -> None:
    with owner_process(data_dir, bindir) as process:
        url = read_line(process)
        leftover = postmaster_pid(data_dir)
        os.kill(watchdog_pid(leftover), signal.SIGKILL)
        process.kill()
        process.wait()
        assert fetch_value(url, "SELECT 1") == 1

    with postgres.start(data_dir, bindir=bindir) as server:
        assert postmaster_pid(data_dir) != leftover
        assert leftover not in cluster_processes(data_dir)
        assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"


@needs_proc
def test_a_killed_server_recovers(bindir: Path, data_dir: Path) -> None:
    with owner_process(data_dir, bindir) as process:
        fetch_value(read_line(process), "CREATE TABLE more AS SELECT 'written' AS word")
        os.kill(postmaster_pid(data_dir), signal.SIGKILL)
        process.kill()

    with postgres.start(data_dir, bindir=bindir) as server:
        assert fetch_value(server.url(), "SELECT word FROM more") == "written"


def test_a_pid_file_with_the_pid_of_another_process_is_harmless(bindir: Path, data_dir: Path) -> None:
    cluster = (data_dir / "cluster").stat()
    account: dict[str, Any] = {"user": cluster.st_uid, "group": cluster.st_gid} if os.geteuid() == 0 else {}
    pid_file = data_dir / "cluster" / "postmaster.pid"
    with subprocess.Popen(["/bin/sleep", "60"], **account) as other_process:
        pid_file.write_text(
            f"{other_process.pid}\n{data_dir / 'cluster'}\n1700000000\n5432\n\n127.0.0.1\n  1  1\nready   \n"
        )
        try:
            with postgres.start(data_dir, bindir=bindir) as server:
                assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"
            assert other_process.poll() is None
        finally:
            other_process.kill()


@pytest.mark.parametrize("content", ["", "\n", "12"])
def test_an_incomplete_pid_file_is_ignored(bindir: Path, data_dir: Path, content: str) -> None:
    (data_dir / "cluster" / "postmaster.pid").write_text(content)

    with postgres.start(data_dir, bindir=bindir) as server:
        assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"


@needs_proc
def test_a_second_process_shares_the_server_of_the_first(bindir: Path, data_dir: Path) -> None:
    with owner_process(data_dir, bindir) as process:
        url = read_line(process)
        with postgres.start(data_dir, bindir=bindir) as shared:
            assert shared.url() == url
        assert fetch_value(url, "SELECT word FROM kept") == "still here"

        process.terminate()
        process.wait()
        with postgres.start(data_dir, bindir=bindir) as server:
            assert server.url() != url
            assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"


@needs_proc
def test_concurrent_first_starts_create_one_cluster(bindir: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with owner_process(data_dir, bindir) as first, owner_process(data_dir, bindir) as second:
        assert read_line(first) == read_line(second) != ""


def test_stopping_twice_is_harmless(bindir: Path, data_dir: Path) -> None:
    server = postgres.start(data_dir, bindir=bindir)
    server.stop()
    server.stop()

    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        fetch_value(server.url(), "SELECT 1")

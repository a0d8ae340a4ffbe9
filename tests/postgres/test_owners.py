"""Whose server it is, with processes that are really killed: none is left over, none is harmed."""

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
from tests.waiting import PATIENCE, attempts


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
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_server_outlives_its_owner(bindir: Path, data_dir: Path, end: signal.Signals) -> None:
    with owner_process(data_dir, bindir) as process:
        url = read_line(process)
        assert fetch_value(url, "SELECT word FROM kept") == "still here"
        assert "postgres" in cluster_processes(data_dir).values()
        process.send_signal(end)
        process.wait(PATIENCE)
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
def test_a_first_start_that_was_killed_is_made_anew(bindir: Path, tmp_path: Path, delay: float) -> None:
    place = tmp_path / "data"
    with owner_process(place, bindir) as process:
        time.sleep(delay)
        process.kill()
        process.wait()
        for _ in attempts():
            if cluster_processes(place) == {}:
                break

    # What a first start's last program still wrote meanwhile, the next one sees to.
    for _ in range(2):
        with postgres.start(place, bindir=bindir, durable=False) as server:
            assert fetch_value(server.url(), "SELECT 1") == 1
    assert list(place.glob("cluster-*")) == []


@needs_proc
def test_a_leftover_server_is_ended_by_its_own_pid_file(bindir: Path, data_dir: Path) -> None:
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
def test_a_server_that_was_killed_itself_recovers(bindir: Path, data_dir: Path) -> None:
    with owner_process(data_dir, bindir) as process:
        fetch_value(read_line(process), "CREATE TABLE more AS SELECT 'written' AS word")
        os.kill(postmaster_pid(data_dir), signal.SIGKILL)
        process.kill()

    with postgres.start(data_dir, bindir=bindir) as server:
        assert fetch_value(server.url(), "SELECT word FROM more") == "written"


def test_a_pid_file_that_names_a_stranger_harms_nobody(bindir: Path, data_dir: Path) -> None:
    owned = (data_dir / "cluster").stat()
    account: dict[str, Any] = {"user": owned.st_uid, "group": owned.st_gid} if os.geteuid() == 0 else {}
    stale = data_dir / "cluster" / "postmaster.pid"
    with subprocess.Popen(["/bin/sleep", "60"], **account) as stranger:
        stale.write_text(f"{stranger.pid}\n{data_dir / 'cluster'}\n1700000000\n5432\n\n127.0.0.1\n  1  1\nready   \n")
        try:
            with postgres.start(data_dir, bindir=bindir) as server:
                assert fetch_value(server.url(), "SELECT word FROM kept") == "still here"
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize("said", ["", "\n", "12"])
def test_a_pid_file_cut_short_is_no_obstacle(bindir: Path, data_dir: Path, said: str) -> None:
    (data_dir / "cluster" / "postmaster.pid").write_text(said)

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
def test_two_first_starts_at_once_make_one_cluster(bindir: Path, tmp_path: Path) -> None:
    place = tmp_path / "data"
    with owner_process(place, bindir) as one, owner_process(place, bindir) as two:
        assert read_line(one) == read_line(two) != ""


def test_stopping_twice_is_harmless(bindir: Path, data_dir: Path) -> None:
    server = postgres.start(data_dir, bindir=bindir)
    server.stop()
    server.stop()

    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        fetch_value(server.url(), "SELECT 1")

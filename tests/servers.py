"""The processes that run the tests, and the PostgreSQL that they share: hooks of pytest and of pytest-xdist.

The whole fast suite runs in as many processes as there are cores, a file at a time in each. A part of it (a file, a
folder, `-k`, `--lf`, `--pdb` ...) runs in one: it would be over before others have started and imported everything,
and its output stays in order. `-n` overrides both.
"""

import asyncio
import contextlib
import math
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from graphql_api import postgres
from tests.models.databases import drop_template

MAX_PROCESSES = 8
"""Each takes half a gigabyte; with more of them the longest file is what takes the time."""
SLOWEST_FILES = (
    "tests/migrate/test_migrations.py",
    "tests/worker/test_nights.py",
    "tests/matrix/test_matrix.py",
    "tests/commands/test_cli.py",
    "tests/postgres/test_owners.py",
    "tests/worker/test_queue.py",
    "tests/matrix/test_sharing.py",
    "tests/worker/test_end_to_end.py",
)
"""Files that begin first, so that none of them is the last that all wait for."""

SETTINGS = {
    "max_connections": "400",
    "autovacuum": "off",  # it would visit hundreds of databases that live for a second
    "checkpoint_timeout": "1h",
    "max_wal_size": "8GB",
}

_SERVER = pytest.StashKey[tuple[Path, postgres.PostgresServer]]()


def url(config: pytest.Config) -> str:
    """The URL of the server's administrator."""
    if given := os.environ.get("DATABASE_URL"):
        return given
    if shared := getattr(config, "workerinput", {}).get("postgres_url"):
        return str(shared)
    if _SERVER not in config.stash:
        folder = Path(tempfile.mkdtemp(prefix="notify-tests-"))
        server = postgres.start(folder, durable=False, settings=SETTINGS)
        config.stash[_SERVER] = folder, server
    return config.stash[_SERVER][1].url()


def pytest_configure() -> None:
    """Prepare what programs that tests start inherit: compiled modules, and a SIGINT that is not ignored.

    A shell lets its background jobs ignore SIGINT, and some tests are about Ctrl-C.
    """
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes `-n auto` means; 0 is this one."""
    chosen = config.option
    part = chosen.file_or_dir or chosen.keyword or chosen.markexpr or getattr(chosen, "lf", False)
    closely = chosen.usepdb or chosen.trace or chosen.collectonly or chosen.capture == "no"
    processes = 1 if part or closely else min(cores(), MAX_PROCESSES)
    return processes if processes > 1 else 0


def cores() -> int:
    """The cores that this process may use: by its affinity, and by the quota of its control group."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        there = min(there, math.ceil(int(quota) / int(period)))
    return there


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process that is about to start where the server is."""
    node.workerinput["postgres_url"] = url(node.config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start with the slowest files where processes share them out."""
    if hasattr(config, "workerinput"):
        order = {name: place for place, name in enumerate(SLOWEST_FILES)}
        items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server, or leave nothing on it."""
    if _SERVER in config.stash:
        folder, server = config.stash[_SERVER]
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    elif not hasattr(config, "workerinput") and (given := os.environ.get("DATABASE_URL")):
        with contextlib.suppress(OSError):
            asyncio.run(drop_template(given))

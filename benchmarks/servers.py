"""The servers that are compared: each is started on one core and a free port, and stopped at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.clients import HOST
from benchmarks.scenarios import HANDWRITTEN, OURS, POSTGRAPHILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
POSTGRAPHILE_FOLDER = Path(__file__).resolve().parent / "postgraphile"
POOL_SIZE = 8
"""Database connections of each server."""
STARTUP_TIMEOUT_SECONDS = 60.0
"""Seconds within which a server must accept connections."""


class ServerUnavailable(Exception):
    """The server cannot be run here; the message is a sentence with the reason."""


@dataclass(frozen=True, slots=True)
class ServerKind:
    """A server to compare: its query language, path and command."""

    name: str
    title: str
    language: str
    path: str
    command: tuple[str, ...]
    folder: Path = ROOT


SERVER_KINDS = (
    ServerKind("planned", "Notify GraphQL", OURS, "/graphql", (sys.executable, "-m", "graphql_api", "serve")),
    ServerKind("core", "without planner", OURS, "/graphql", (sys.executable, "-m", "benchmarks.unplanned")),
    ServerKind("postgraphile", "PostGraphile 5", POSTGRAPHILE, "/graphql", ("server.mjs",), folder=POSTGRAPHILE_FOLDER),
    ServerKind(
        "handwritten",
        "SQL by hand",
        HANDWRITTEN,
        "/",
        (
            *(sys.executable, "-m", "uvicorn", "benchmarks.handwritten:app", "--host", HOST),
            *("--loop", "uvloop", "--http", "httptools", "--lifespan", "on", "--no-access-log"),
            *("--timeout-keep-alive", "65", "--log-level", "warning", "--port"),
        ),
    ),
)
"""This server first, the upper limit last."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A running server."""

    kind: ServerKind
    pid: int
    port: int
    headers: Mapping[str, str]


def prepare(kind: ServerKind) -> None:
    """Install what a server needs; raises `ServerUnavailable` where it cannot be run."""
    if kind.name == "planned" and not find_spec("graphql_api.planner"):
        raise ServerUnavailable("The planner is not installed.")
    if kind.language != POSTGRAPHILE:
        return
    if not shutil.which("npm"):
        raise ServerUnavailable("It needs npm, which is not installed.")
    if not (POSTGRAPHILE_FOLDER / "node_modules" / "postgraphile").exists():
        print("Installing PostGraphile from npm ...", flush=True)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        install = subprocess.run(command, cwd=POSTGRAPHILE_FOLDER, check=False, capture_output=True, text=True)  # noqa: S603
        if install.returncode:
            raise ServerUnavailable(f"npm could not install it: {install.stderr.strip().splitlines()[-1:]}")


def node_path() -> str:
    """Path of the Node.js that was installed with PostGraphile; otherwise that of the system."""
    installed = next(POSTGRAPHILE_FOLDER.glob("node_modules/node-linux-*/bin/node"), None)
    return str(installed or shutil.which("node") or "node")


@contextmanager
def running(
    kind: ServerKind, core: int, environment: Mapping[str, str], headers: Mapping[str, str], logs: Path
) -> Iterator[RunningServer]:
    """Run a server on one core until the context is left; its output goes to a file of `logs`."""
    port = _free_port()
    command = [*kind.command, str(port)] if kind.language == HANDWRITTEN else list(kind.command)
    if kind.language == POSTGRAPHILE:
        command.insert(0, node_path())
    server_environment = {
        **os.environ,
        **environment,
        "PORT": str(port),
        "HOST": HOST,
        "POOL_SIZE": str(POOL_SIZE),
        "DATABASE_POOL_SIZE": str(POOL_SIZE),
        "DATABASE_POOL_TIMEOUT": "60",  # with 64 requests at once, the last ones wait long
        "REQUEST_TIMEOUT": "60",
        "NODE_ENV": "production",
        "GRAPHILE_ENV": "production",
    }
    with (logs / f"{kind.name}.log").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=kind.folder,
            env=server_environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - no threads run yet
        )
        try:
            _wait_until_listening(process, port, logs / f"{kind.name}.log")
            yield RunningServer(kind, process.pid, port, headers)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"A server exited (status {process.returncode}): see {log}.")
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"A server accepted no connection within {STARTUP_TIMEOUT_SECONDS:g} seconds: see {log}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])

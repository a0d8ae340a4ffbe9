"""Client tools of npm, installed from their lock file, and a real server for them."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dev_server import DevServer, running_dev_server

CLIENTS_FOLDER = Path(__file__).parent
NODE_MODULES = CLIENTS_FOLDER / "node_modules"


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of the installed tools; installs them once, and again after a change of the lock file."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("There is no npm: install Node 20.19 or newer.")
    lock, installed = (CLIENTS_FOLDER / "package-lock.json").read_bytes(), NODE_MODULES / ".installed"
    if not installed.exists() or installed.read_bytes() != lock:
        subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=CLIENTS_FOLDER, check=True)
        installed.write_bytes(lock)
    return NODE_MODULES / ".bin"


@pytest.fixture(scope="session")
def server(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:  # noqa: ARG001  # skip first
    """A development server with demo data."""
    with running_dev_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture
def project(tools: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A function that copies a client of this folder to a temporary folder, and returns the path."""
    (tmp_path / "node_modules").symlink_to(tools.parent)

    def copy(name: str) -> Path:
        return shutil.copytree(CLIENTS_FOLDER / name, tmp_path / name)

    return copy


@pytest.fixture
def command(server: DevServer) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """A function that runs a program with the server in its environment; asserts that it succeeds."""
    return command_runner(server)


def command_runner(server: DevServer | None) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """The same for any server, or for programs without one."""
    environment = {} if server is None else {
        "GRAPHQL_URL": server.graphql_url,
        "TOKEN": server.tokens["service_manager"],
        "SERVICE_ID": server.service_id,
    }  # fmt: skip

    def run(folder: Path, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        process = subprocess.run(
            words, cwd=folder, env=os.environ | environment, check=False, capture_output=True, text=True
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process

    return run

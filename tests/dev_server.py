"""A real server for the suites that look at it from outside: `python -m graphql_api dev`, with data of its own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
START_TIMEOUT_SECONDS = 600.0  # seconds, of which a first start spends most on copying PostgreSQL and making demo data
STOP_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class DevServer:
    """Where it listens and what works there, as its `dev.json` tells."""

    graphql_url: str
    explorer_url: str
    tokens: dict[str, str]
    service_id: str
    template_ids: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> "DevServer":
        """Take the parts of `dev.json` that these suites use."""
        told = json.loads(path.read_text())
        return cls(**{name: told[name] for name in cls.__dataclass_fields__})


@contextlib.contextmanager
def running_dev_server(data_dir: Path, **settings: str) -> Iterator[DevServer]:
    """Start a server on a free port, wait until it answers, and stop it in the end.

    `DEV_JSON`, the path of a running server's `dev.json`, takes that server instead, where no settings are asked for.
    """
    if (path := os.environ.get("DEV_JSON")) and not settings:
        yield DevServer.read(Path(path))
        return
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"PORT": str(free_port()), "DATA_DIR": str(data_dir), "DEMO_NOTIFICATIONS": "500"} | settings
    log = data_dir.parent / f"{data_dir.name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "graphql_api", "dev"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        try:
            yield wait_until_ready(data_dir / "dev.json", process, log)
        finally:
            stop(process)


def wait_until_ready(path: Path, process: "subprocess.Popen[bytes]", log: Path) -> DevServer:
    """Wait for `dev.json`, which the server writes when it answers; RuntimeError with its output when it does not."""
    end = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, KeyError):
            server = DevServer.read(path)
            with socket.create_connection(("127.0.0.1", int(server.explorer_url.rstrip("/").rpartition(":")[2]))):
                return server
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{log.read_text()}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End it as Ctrl-C does, and by force when that does not help."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""Server processes, started as a deployment starts them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.cluster.clusters import HOST, free_port

ROOT = Path(__file__).resolve().parents[2]
SERVE_ARGUMENTS = ("-m", "graphql_api", "serve")


@dataclass
class ServerProcess:
    """A running server."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Its base URL, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def read_log(self) -> str:
        """Its output so far."""
        return self.log.read_text()

    async def stop(self, seconds: float = 120) -> int:
        """Send SIGTERM, and return the exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), seconds)


@asynccontextmanager
async def running_server(
    environment: Mapping[str, str],
    log_folder: Path,
    *arguments: str,
    port: int | None = None,
    preexec: Callable[[], object] | None = None,
    status_path: str = "/_status",
) -> AsyncIterator[ServerProcess]:
    """A server that responds at `status_path`, until the block ends; `arguments` replace those of `serve`."""
    port = port or free_port()
    log = log_folder / f"server-{port}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(arguments or SERVE_ARGUMENTS),
            cwd=ROOT,
            env={**os.environ, "POINTS_PER_MINUTE": "1000000000", **environment, "PORT": str(port), "HOST": HOST},
            stdout=output,
            stderr=output,
            preexec_fn=preexec,
        )
    server = ServerProcess(process, port, log)
    try:
        async with httpx2.AsyncClient(timeout=60) as http:
            await _wait_until_ready(http, server, status_path)
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _wait_until_ready(
    http: httpx2.AsyncClient, server: ServerProcess, status_path: str, seconds: float = 300
) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if (await http.get(f"{server.url}{status_path}")).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < end, server.read_log()
        assert server.process.returncode is None, server.read_log()
        await asyncio.sleep(0.05)

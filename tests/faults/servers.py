"""Server processes of their own, as a deployment starts them, and how they are doing."""

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
    """One server."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    def read_log(self) -> str:
        """What it has said until now."""
        return self.log.read_text()

    async def stop(self, seconds: float = 120) -> int:
        """Tell it to end, and wait until it has."""
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), seconds)


@asynccontextmanager
async def running_server(
    environment: Mapping[str, str],
    logs: Path,
    *arguments: str,
    port: int | None = None,
    preexec: Callable[[], object] | None = None,
) -> AsyncIterator[ServerProcess]:
    """A server that answers, until the block ends; `program` are other arguments for Python than those of `serve`."""
    port = port or free_port()
    log = logs / f"server-{port}-{time.monotonic_ns()}.log"
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
    served = ServerProcess(process, port, log)
    try:
        async with httpx2.AsyncClient(timeout=60) as http:
            await _wait_until_ready(http, served)
        yield served
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _wait_until_ready(http: httpx2.AsyncClient, served: ServerProcess, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if (await http.get(f"{served.url}/_status")).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < end, served.read_log()
        assert served.process.returncode is None, served.read_log()
        await asyncio.sleep(0.05)

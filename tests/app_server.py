"""The application on a free port, in this process, for tests that need a real connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import uvicorn

from graphql_api import app
from graphql_api.commands import serve
from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from tests.waiting import WAIT_TIMEOUT_SECONDS


@asynccontextmanager
async def serve_settings(settings: Settings, database: Database, store: Store) -> AsyncIterator[str]:
    """Serve the application with settings; yields `host:port`."""
    async with serve_app(app.create(settings, database=database, store=store)) as address:
        yield address


@asynccontextmanager
async def serve_app(application: app.EnvelopeMiddleware) -> AsyncIterator[str]:
    """Serve an application; yields `host:port`."""
    with serve.listen("127.0.0.1", 0) as listener:
        server = ReadyServer(serve.uvicorn_config(lambda: application))
        task = asyncio.create_task(server._serve([listener]))  # noqa: SLF001 - `serve` would take the tests' signals
        await server.ready.wait()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def client_of(address: str, **options: Any) -> httpx2.AsyncClient:
    """A client of such an address, which waits for as long as a slow machine may need."""
    return httpx2.AsyncClient(base_url=f"http://{address}", timeout=WAIT_TIMEOUT_SECONDS, **options)


class ReadyServer(serve.DrainingServer):
    """A server that sets `ready` once it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        """Start, and set `ready`."""
        await super().startup(sockets)
        self.ready.set()

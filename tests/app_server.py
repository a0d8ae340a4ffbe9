"""The application on a free port of this machine, in this process, for tests that need a real connection."""

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
from tests.waiting import PATIENCE


@asynccontextmanager
async def serve_settings(settings: Settings, database: Database, store: Store) -> AsyncIterator[str]:
    """Serve, and answer the address without its scheme."""
    async with serve_app(app.create(settings, database=database, store=store)) as address:
        yield address


@asynccontextmanager
async def serve_app(application: app.EnvelopeMiddleware) -> AsyncIterator[str]:
    """Serve what was made already, and answer its address."""
    with serve.listen("127.0.0.1", 0) as listener:
        server = ReadyServer(serve.uvicorn_config(application=application))
        task = asyncio.create_task(server._serve([listener]))  # noqa: SLF001 - `serve` would take the tests' signals
        await server.ready.wait()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def client_of(address: str, **options: Any) -> httpx2.AsyncClient:
    """A client of such an address, which waits for as long as a slow machine may need."""
    return httpx2.AsyncClient(base_url=f"http://{address}", timeout=PATIENCE, **options)


class ReadyServer(serve.DrainingServer):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.ready.set()

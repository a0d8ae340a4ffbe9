"""The application on a free port of this machine, in this process, for tests that need a real connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from graphql_api import app
from graphql_api.commands import serve
from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings


@asynccontextmanager
async def serve_settings(settings: Settings, database: Database, store: Store) -> AsyncIterator[str]:
    """Serve, and answer the address without its scheme."""
    async with serve_app(app.create(settings, database=database, store=store)) as address:
        yield address


@asynccontextmanager
async def serve_app(application: app.EnvelopeMiddleware) -> AsyncIterator[str]:
    """Serve what was made already, and answer its address."""
    with serve.listen("127.0.0.1", 0) as listener:
        server = ReadyServer(serve.uvicorn_config(lambda: application))
        task = asyncio.create_task(server._serve([listener]))  # noqa: SLF001 - `serve` would take the tests' signals
        await server.ready.wait()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


class ReadyServer(serve.DrainingServer):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.ready.set()

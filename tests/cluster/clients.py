"""A server process with its own connections to the cluster, and an HTTP client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from graphql_api import models
from graphql_api.auth.crypto import Signer
from graphql_api.settings import Settings
from tests.cluster.servers import running_server

METRICS_TOKEN = "for-the-tests-alone"


@dataclass
class Client:
    """Sends requests to one server with one token."""

    url: str
    token: str
    http: httpx2.AsyncClient

    async def post(self, document: str, **variables: Any) -> httpx2.Response:
        """The whole response."""
        return await self.http.post(
            f"{self.url}/graphql",
            json={"query": document, "variables": variables},
            headers={"authorization": f"Bearer {self.token}"},
        )

    async def ask(self, document: str, **variables: Any) -> Any:
        """The `data` of a response without errors."""
        body = (await self.post(document, **variables)).json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    async def metrics(self) -> str:
        """The Prometheus metrics, as text."""
        response = await self.http.get(f"{self.url}/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})
        assert response.status_code == 200
        return response.text


def api_key_token(key: models.ApiKey, signer: Signer) -> str:
    """The plaintext of an API key."""
    return f"key-{key.service_id}-{signer.unsign(key.secret)}"


@asynccontextmanager
async def running_client(settings: Settings, token: str) -> AsyncIterator[Client]:
    """A server with these settings, until the block ends; its log is in their data folder."""
    environment = {**_environment(settings), "METRICS_TOKEN": METRICS_TOKEN}
    async with (
        running_server(environment, settings.data_dir, status_path="/_status?simple") as server,
        httpx2.AsyncClient(timeout=20, limits=httpx2.Limits(max_connections=200)) as http,
    ):
        yield Client(server.url, token, http)


def _environment(settings: Settings) -> dict[str, str]:
    explicit = settings.model_dump(mode="python", include=settings.model_fields_set, exclude_none=True)
    secret = {name: getattr(settings, name).get_secret_value() for name in explicit if name.startswith("database_url")}
    plain = {name: str(value) for name, value in explicit.items()} | secret
    return {name.upper(): value for name, value in plain.items()} | {
        "SECRET_KEY": settings.secret_keys[0].decode(),
        "DANGEROUS_SALT": settings.salt.decode(),
    }

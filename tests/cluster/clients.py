"""A server process of its own, with connections of its own to the cluster, and a client of it over HTTP."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from graphql_api import models
from graphql_api.auth.crypto import Signer
from graphql_api.settings import Settings
from tests.cluster.clusters import HOST, free_port

ROOT = Path(__file__).resolve().parents[2]
METRICS_TOKEN = "for-the-tests-alone"


@dataclass
class Client:
    """Asks one server with one token."""

    url: str
    token: str
    http: httpx2.AsyncClient

    async def post(self, document: str, **variables: Any) -> httpx2.Response:
        """The whole answer."""
        return await self.http.post(
            f"{self.url}/graphql",
            json={"query": document, "variables": variables},
            headers={"authorization": f"Bearer {self.token}"},
        )

    async def ask(self, document: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = (await self.post(document, **variables)).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def metrics(self) -> str:
        """What Prometheus is told."""
        answer = await self.http.get(f"{self.url}/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})
        assert answer.status_code == 200
        return answer.text


def api_key_token(key: models.ApiKey, signer: Signer) -> str:
    """An API key as it was shown once."""
    return f"key-{key.service_id}-{signer.unsign(key.secret)}"


@asynccontextmanager
async def running_client(settings: Settings, token: str) -> AsyncIterator[Client]:
    """A server by the settings that were given, until the block ends; its log is in their data folder."""
    url = f"http://{HOST}:{(port := free_port())}"
    log = settings.data_dir / f"server-{port}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "graphql_api", "serve"),
            cwd=ROOT,
            env={**os.environ, **_environment(settings), "PORT": str(port), "METRICS_TOKEN": METRICS_TOKEN},
            stdout=output,
            stderr=output,
        )
    try:
        async with httpx2.AsyncClient(timeout=20, limits=httpx2.Limits(max_connections=200)) as http:
            await _wait_until_ready(http, f"{url}/_status?simple", log)
            yield Client(url, token, http)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)


def _environment(settings: Settings) -> dict[str, str]:
    given = settings.model_dump(mode="python", include=settings.model_fields_set, exclude_none=True)
    secret = {name: getattr(settings, name).get_secret_value() for name in given if name.startswith("database_url")}
    plain = {name: str(value) for name, value in given.items()} | secret
    return {name.upper(): value for name, value in plain.items()} | {
        "SECRET_KEY": settings.secret_keys[0].decode(),
        "DANGEROUS_SALT": settings.salt.decode(),
    }


async def _wait_until_ready(http: httpx2.AsyncClient, url: str, log: Path) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            if (await http.get(url)).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < end, await asyncio.to_thread(log.read_text)
        await asyncio.sleep(0.05)

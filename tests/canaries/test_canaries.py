"""Secrets go through every mutation, error, timeout, socket and the worker: no log, metric or list of them has one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
import websockets
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from graphql_api import migrate, models, postgres
from graphql_api.auth import tokens
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.enums import Channel
from graphql_api.settings import Settings, asyncpg_url
from tests.builders import Builders
from tests.canaries.secrets import Canaries
from tests.cluster.servers import ServerProcess, running_server
from tests.schema.tenants import Tenant, create_tenant, mutation_document, mutation_names, valid_inputs

pytestmark = pytest.mark.timeout(180)

LOGGED = {"log_min_duration_statement": "0", "log_connections": "on", "log_statement": "all"}
LEAKY = """
from graphql_api.commands import cli
from graphql_api.observability import logs
logs.strip_exception_message = lambda _logger, _name, event: event | {"exception": str(event.pop("exc_info", None))}
from sqlalchemy.ext.asyncio import create_async_engine
from graphql_api.database import engines
create = engines.create_async_engine
engines.create_async_engine = lambda *args, **kwargs: create(*args, **(kwargs | {"hide_parameters": False}))
cli.main(["serve"])
"""
"""A server that logs messages of exceptions."""
NOTIFICATION = """mutation ($input: SendNotificationInput!) { sendNotification(input: $input) {
    notification { id } userErrors { code message } } }"""


@dataclass
class Scene:
    """A PostgreSQL that logs all statements, two tenants, and the secrets."""

    environment: dict[str, str]
    administrator: AsyncEngine
    postgres_log: Path
    ours: Tenant
    email: models.Template
    bearers: dict[str, str | None]
    canaries: Canaries
    statements: set[str] = field(default_factory=set)
    answers: list[tuple[str, str]] = field(default_factory=list)
    """Requests and their responses."""

    async def watch(self) -> None:
        """Read pg_stat_activity repeatedly."""
        async with self.administrator.connect() as connection:
            while True:
                activity = await connection.scalars(
                    text("SELECT query || ' ' || application_name FROM pg_stat_activity")
                )
                self.statements |= set(activity)
                await asyncio.sleep(0.01)

    async def execute(self, statement: str) -> None:
        """Run a function as the administrator."""
        async with self.administrator.connect() as connection:
            await connection.execute(text(statement))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.PostgresServer]:
    """A PostgreSQL of its own."""
    with postgres.start(tmp_path_factory.mktemp("canaries"), durable=False, settings=LOGGED) as server:
        yield server


@pytest_asyncio.fixture(scope="module")
async def scene(server: postgres.PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Create callers of each kind and the rows that they use."""
    canaries, url = Canaries(), server.url()
    await migrate.upgrade(url)
    folder = tmp_path_factory.mktemp("store")
    environment = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": url,
        "DATA_DIR": str(folder),
        "SECRET_KEY": canaries.text("SECRET_KEY"),
        "DANGEROUS_SALT": canaries.text("DANGEROUS_SALT"),
        "METRICS_TOKEN": canaries.text("METRICS_TOKEN"),
        "INTERNAL_CLIENT_API_KEYS": json.dumps({"notify-admin": [canaries.text("INTERNAL_CLIENT_API_KEYS")]}),
        "SMS_GATEWAY": "fake",
        "EMAIL_GATEWAY": "fake",
        "LETTER_GATEWAY": "fake",
        "DATABASE_STATEMENT_TIMEOUT_MS": "700",
        "DATABASE_LOCK_TIMEOUT_MS": "400",
        "DATABASE_PATIENCE": "0.2",
    }
    settings = Settings.model_validate(
        {name.lower(): value for name, value in environment.items() if name != "INTERNAL_CLIENT_API_KEYS"}
    )
    signer, database = Signer(tuple(settings.secret_keys), settings.salt), Database.connect(settings)
    make = Builders(database, signer)
    ours = await create_tenant(make)
    email = await make.template(ours.service, Channel.EMAIL)
    key = await make.api_key(ours.service, secret=str(uuid4()))
    people = {"owner": ours.user, "admin": await make.user(platform_admin=True), "stranger": await make.user()}
    bearers: dict[str, str | None] = {"anonymous": None, "broken": canaries.text("a broken token")}
    for name, user in people.items():
        session = models.Session(user_id=user.id, expires_at=models.utcnow() + timedelta(days=1))
        await make.add(session)
        async with database.transaction() as tx:
            (await tx.get_one(models.User, user.id)).current_session_id = session.id
        bearers[name] = tokens.create_session_token(signer, user.id, session.id)
        canaries.add(f"session of {name}", str(bearers[name]))
    bearers["key"] = f"any-{key.service_id}-{signer.unsign(key.secret)}"
    canaries.add("an API key", str(signer.unsign(key.secret)))
    await database.close()
    administrator = create_async_engine(asyncpg_url(url), isolation_level="AUTOCOMMIT")
    yield Scene(environment, administrator, server.data_dir / "log", ours, email, bearers, canaries)
    await administrator.dispose()


@asynccontextmanager
async def working(scene: Scene, folder: Path) -> AsyncIterator[ServerProcess]:
    """A worker and its output; it has no port."""
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "graphql_api",
            "work",
            env={**os.environ, **scene.environment},
            stdout=output,
            stderr=output,
        )
    served = ServerProcess(process, 0, log)
    yield served
    await served.stop()


class Caller:
    """Sends requests to a server as any caller."""

    def __init__(self, scene: Scene, url: str, http: httpx2.AsyncClient) -> None:
        self.scene, self.url, self.http = scene, url, http

    async def post(self, who: str, content: str, path: str = "/graphql", **headers: str) -> httpx2.Response:
        """Send a body."""
        bearer = self.scene.bearers[who]
        sent_headers = {"content-type": "application/json", **headers}
        if bearer:
            sent_headers["authorization"] = f"Bearer {bearer}"
        answer = await self.http.post(self.url + path, content=content, headers=sent_headers, timeout=30)
        self.scene.answers.append((content + str(sent_headers), answer.text))
        return answer

    async def ask(self, who: str, query: str, **headers: str) -> httpx2.Response:
        """Send a query."""
        return await self.post(who, json.dumps({"query": query}), **headers)

    async def call(self, who: str, mutation: str, arguments: Any) -> httpx2.Response:
        """Call a mutation."""
        return await self.post(
            who, json.dumps({"query": mutation_document(mutation), "variables": {"input": arguments}})
        )


async def every_mutation(scene: Scene, caller: Caller) -> None:
    """Each mutation by everybody, and broken in three ways; but those that would end what the others need."""
    for mutation in mutation_names():
        if mutation.startswith(("archive", "revoke", "remove")):
            continue
        arguments = scene.canaries.fill_input(mutation, valid_inputs(scene.ours.ids)[mutation])
        for who in scene.bearers:
            await caller.call(who, mutation, arguments)
        await caller.call("owner", mutation, arguments | {"unknown": scene.canaries.text("an unknown argument")})
        whole = json.dumps({"query": mutation_document(mutation), "variables": {"input": arguments}})
        await caller.post("owner", whole[:-9])
        await caller.post("owner", whole, accept="text/event-stream")


async def lists_and_letters(scene: Scene, caller: Caller) -> None:
    """Values for the worker: a list, an email, an upload."""
    canaries, ids = scene.canaries, scene.ours.ids
    content = f"phone number,name\n0{canaries.number('csv phone')},{canaries.text('csv value')}\n"
    list_ = {"csv": {"fileName": "people.csv", "content": content}}
    arguments = {"serviceId": ids["serviceId"], "templateId": ids["templateId"], "source": list_}
    await caller.call("owner", "createJob", arguments)
    bad = {"csv": {"fileName": "people.csv", "content": content.replace("name\n", "other\n").replace("0", "x")}}
    await caller.call("owner", "createJob", arguments | {"source": bad})
    await caller.call(
        "key",
        "sendNotification",
        {
            "templateId": str(scene.email.id),
            "recipient": {"emailAddress": f"{canaries.text('email recipient')}@example.com"},
            "personalisation": {"name": canaries.text("email value"), "thing": canaries.text("email subject")},
            "reference": canaries.text("email reference"),
        },
    )
    for who in ("owner", "anonymous", "key"):
        await caller.post(who, content, "/uploads?file_name=people.csv", **{"content-type": "text/csv"})
    await caller.ask("owner", f'{{ search(query: "{canaries.text("a search")}") {{ totalCount }} }}')
    await caller.ask("admin", f'{{ userByEmailAddress(emailAddress: "{canaries.text("an address")}") {{ id }} }}')
    query = "query ($id: ID!, $s: String) { service(id: $id) { notifications(filter: {search: $s}) { totalCount } } }"
    variables = {"id": ids["serviceId"], "s": canaries.text("a recipient looked for")}
    await caller.post("owner", json.dumps({"query": query, "variables": variables}))


async def nonsense(scene: Scene, caller: Caller) -> None:
    """Malformed requests."""
    secret = scene.canaries.text
    await caller.ask("owner", f"{{ {secret('a field')} }}")
    await caller.ask("owner", f'{{ service(id: "{secret("an id")}") {{ id }} }}')
    await caller.ask("owner", f"{{ viewer {{ user {{ id }} }} # {secret('a comment')}")
    await caller.post(
        "owner",
        json.dumps({"query": "query ($i: Int) { viewer { __typename } }", "variables": {"i": secret("a variable")}}),
    )
    await caller.ask("anonymous", "{ viewer { __typename } }", **{"x-notify-user-id": secret("a header")})
    for path in (f"/{secret('a path')}", f"/graphql?query={secret('a query')}"):
        with suppress(httpx2.HTTPError):
            await caller.http.get(caller.url + path)


async def sockets(scene: Scene, caller: Caller) -> None:
    """The same over WebSocket: broken openings, broken messages, and a mutation."""
    secret, address = scene.canaries.text, caller.url.replace("http", "ws") + "/graphql"
    arguments = scene.canaries.fill_input("sendNotification", valid_inputs(scene.ours.ids)["sendNotification"])
    openings: list[tuple[Any, list[Any]]] = [
        ({"Authorization": f"Bearer {secret('a token of a socket')}"}, []),
        ({"Authorization": f"Bearer {scene.bearers['owner']}"}, [secret("a message that is no JSON")]),
        (
            {"Authorization": f"Bearer {scene.bearers['owner']}"},
            [{"type": secret("a type"), "id": secret("an id of a message")}],
        ),
        (
            {"Authorization": f"Bearer {scene.bearers['owner']}"},
            [
                {"id": "1", "type": "subscribe", "payload": {"query": NOTIFICATION, "variables": {"input": arguments}}},
                {"id": "2", "type": "subscribe", "payload": {"query": f"{{ {secret('a field of a socket')} }}"}},
            ],
        ),
    ]
    for payload, messages in openings:
        with suppress(websockets.ConnectionClosed, TimeoutError):
            async with websockets.connect(address, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
                await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
                for message in messages:
                    await socket.send(message if isinstance(message, str) else json.dumps(message))
                async with asyncio.timeout(0.5):
                    async for answer in socket:
                        scene.answers.append((json.dumps([payload, messages]), str(answer)))


async def faults(scene: Scene, caller: Caller) -> list[httpx2.Response]:
    """An exception, a held lock, and broken connections; returns the response to the first."""
    arguments = scene.canaries.fill_input("sendNotification", valid_inputs(scene.ours.ids)["sendNotification"])
    arguments["idempotencyKey"] = None
    await scene.execute("ALTER TABLE notifications ADD CONSTRAINT never CHECK (template_version < 0) NOT VALID")
    try:
        failed = [await caller.call(who, "sendNotification", arguments) for who in ("owner", "key")]
    finally:
        await scene.execute("ALTER TABLE notifications DROP CONSTRAINT never")
    async with scene.administrator.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        await connection.execute(text("LOCK TABLE templates IN ACCESS EXCLUSIVE MODE"))
        await caller.call("owner", "sendNotification", arguments)
        await caller.call(
            "owner",
            "createTemplate",
            scene.canaries.fill_input("createTemplate", valid_inputs(scene.ours.ids)["createTemplate"]),
        )
        await connection.rollback()
    calls = [asyncio.create_task(caller.call("owner", "sendNotification", arguments)) for _ in range(8)]
    await asyncio.sleep(0.01)
    await scene.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'notify-graphql%'"
    )
    await asyncio.gather(*calls, return_exceptions=True)
    return failed


async def a_life(scene: Scene, url: str) -> list[httpx2.Response]:
    """All requests with one server; returns the response to an exception."""
    async with httpx2.AsyncClient() as http:
        caller = Caller(scene, url, http)
        watching = asyncio.create_task(scene.watch())
        await every_mutation(scene, caller)
        await lists_and_letters(scene, caller)
        await nonsense(scene, caller)
        await sockets(scene, caller)
        failed = await faults(scene, caller)
        metrics = {"authorization": f"Bearer {scene.environment['METRICS_TOKEN']}"}
        scene.statements.add((await http.get(f"{url}/metrics", headers=metrics)).text)
        watching.cancel()
        return failed


async def rows(scene: Scene, *tables: str) -> list[str]:
    """Contents of tables, as text."""
    async with scene.administrator.connect() as connection:
        return [row for table in tables for row in await connection.scalars(text(f"SELECT t::text FROM {table} t"))]


async def delivered(scene: Scene) -> None:
    """Wait until the worker has sent its messages, so that it has read the secrets."""
    async with asyncio.timeout(20):
        while {"delivered", "sms", "email"} - set(re.findall(r"\w+", " ".join(await rows(scene, _SENT)))):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.1)


_SENT = "(SELECT DISTINCT notification_status || ' ' || notification_type FROM notifications WHERE sent_by IS NOT NULL)"


@pytest.mark.parametrize("environment", ["production", "development"])
async def test_no_secret_is_in_a_log_a_metric_or_pg_stat_statements(
    scene: Scene, tmp_path: Path, environment: str
) -> None:
    scene.answers.clear()
    async with (
        working(scene, tmp_path) as worker,
        running_server(scene.environment | {"ENVIRONMENT": environment}, tmp_path) as served,
    ):
        failed = await a_life(scene, served.url)
        await delivered(scene)
    logged = [served.read_log(), worker.read_log()]

    assert len(scene.canaries.values) >= 40
    assert scene.canaries.find_in(logged) == set()
    assert scene.canaries.find_in(scene.statements) == set()
    assert scene.canaries.find_in([scene.postgres_log.read_text()]) == set()
    assert (
        scene.canaries.excluding_logged_arguments().find_in(await rows(scene, "change_log", "pgqueuer", "pgqueuer_log"))
        == set()
    )
    for sent, answered in scene.answers:
        assert scene.canaries.excluding_values_of(sent).find_in([answered]) == set(), answered
        if '"INTERNAL"' in answered or '"UNAVAILABLE"' in answered:
            assert scene.canaries.find_in([answered]) == set()
    for answer in failed:
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "INTERNAL"
        assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
        assert any(
            error["extensions"]["requestId"] in line and "fault" in line for line in served.read_log().splitlines()
        )
    assert (environment == "production") == all(_is_json(line) for line in served.read_log().splitlines())


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), Mapping)
    except ValueError:
        return False


async def test_a_server_that_logs_messages_of_exceptions_is_detected(scene: Scene, tmp_path: Path) -> None:
    """Control: the same search finds what a faulty server and a statement with values reveal."""
    async with running_server(scene.environment, tmp_path, "-c", LEAKY) as served, httpx2.AsyncClient() as http:
        await faults(scene, Caller(scene, served.url, http))
    careless = Canaries({"in a statement": scene.canaries.text("in a statement")})
    await scene.execute(f"SELECT '{careless.values['in a statement']}'")

    assert {what.partition(".")[0] for what in scene.canaries.find_in([served.read_log()])} == {"sendNotification"}
    assert careless.find_in([scene.postgres_log.read_text()]) == {"in a statement"}

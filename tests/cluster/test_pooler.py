"""PgBouncer in transaction mode, where each transaction can use another connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api import models
from graphql_api.auth import tokens
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.database.listen import notify_job_changed
from graphql_api.domain import sessions
from graphql_api.errors import Unavailable
from graphql_api.settings import Settings
from tests.builders import Builders
from tests.cluster import clients
from tests.cluster.clients import Client
from tests.cluster.clusters import Cluster
from tests.cluster.conftest import Connect
from tests.websocket_client import connection_init, open_websocket, receive_message, send_messages, subscribe

pytestmark = pytest.mark.timeout(180)

CLIENTS = 40
CREATE = """mutation ($input: CreateTemplateInput!) { createTemplate(input: $input) {
  template { id name } userErrors { __typename message } } }"""
SEND = """mutation ($input: SendNotificationInput!) { sendNotification(input: $input) {
  notification { id content { text } } userErrors { __typename message } } }"""
JOB = """mutation ($input: CreateJobInput!) { createJob(input: $input) {
  job { id recipientCount } userErrors { __typename message } } }"""
FOLLOW = "subscription ($id: ID!) { jobProgress(jobId: $id) { job { status } } }"
KEY = """mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  apiKey { id } userErrors { __typename message } } }"""
REVOKE = """mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) {
  apiKey { revokedAt } userErrors { __typename message } } }"""
SERVICE = """query ($id: ID!, $search: String!) { service(id: $id) {
  name
  apiKeys(first: 10) { totalCount }
  templates(first: 10) { nodes { name } }
  members(first: 10) { nodes { user { name } } }
  jobs(first: 100) { totalCount nodes { progress { total } } }
  dailyLimits { channel }
  statistics { total { requested } }
  notifications(first: 10, filter: { search: $search }) { totalCount nodes { recipient } }
} }"""
ROLE = {
    "statement_timeout": "4s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
}
"""Settings of the role that the documentation asks for, since a pooler accepts none from a client."""


@pytest.fixture
def pooler_settings(healthy_cluster: Cluster, cluster_settings: Callable[..., Settings]) -> Iterator[Settings]:
    """Settings with the pooler's URL; the role has its timeouts."""
    healthy_cluster.primary.sql(*(f"ALTER ROLE app SET {name} = '{value}'" for name, value in ROLE.items()))
    url = healthy_cluster.url(healthy_cluster.pooler_port)
    yield cluster_settings(database_url=url, database_url_bulk=url, database_through_pooler=True)
    healthy_cluster.primary.sql("ALTER ROLE app RESET ALL")


async def start_session(database: Database, signer: Signer, member: models.User) -> str:
    """The bearer token of a new session."""
    async with database.transaction() as tx:
        user = await tx.get(models.User, member.id)
        assert user is not None
        return tokens.create_session_token(signer, user.id, (await sessions.start(tx, user)).id)


async def ask(client: Client, document: str, **variables: Any) -> Any:
    """The `data` of a response without errors; repeats rejected requests after Retry-After."""
    for _ in range(20):
        response = await client.post(document, **variables)
        if response.status_code != 503:
            break
        await asyncio.sleep(float(response.headers["retry-after"]))
    body = response.json()
    assert "errors" not in body, body["errors"]
    return body["data"]


async def use_service(client: Client, service: models.Service, number: int) -> dict[str, Any]:
    """Create a template, send a message and a list, create and revoke an API key; returns the service."""

    async def mutate(document: str, **values: Any) -> Any:
        (payload,) = (await ask(client, document, input=values)).values()
        assert payload["userErrors"] == []
        return payload

    service_id, phone = str(service.id), f"077009005{number:02}"
    created = await mutate(CREATE, serviceId=service_id, name=f"T{number}", content={"sms": {"body": "Hello ((name))"}})
    template_id = created["template"]["id"]
    zoe = {"recipient": {"phoneNumber": phone}, "personalisation": {"name": "Zoë"}}
    await mutate(SEND, serviceId=service_id, templateId=template_id, **zoe)
    await mutate(JOB, serviceId=service_id, templateId=template_id, source={"rows": [zoe] * 3})
    key = await mutate(KEY, serviceId=service_id, name=f"K{number}", type="TEAM")
    await mutate(REVOKE, apiKeyId=key["apiKey"]["id"])
    data = await ask(client, SERVICE, id=service_id, search=phone)
    found_service: dict[str, Any] = data["service"]
    return found_service


async def test_forty_concurrent_teams_work_through_a_pooler_as_without_one(
    pooler_settings: Settings, make: Builders, database: Database, signer: Signer
) -> None:
    teams = []
    for _ in range(CLIENTS):
        service = await make.service()
        teams.append((service, await start_session(database, signer, await make.member(service))))

    async with clients.running_client(pooler_settings, teams[0][1]) as first:
        services = await asyncio.gather(
            *(use_service(Client(first.url, token, first.http), service, n) for n, (service, token) in enumerate(teams))
        )
        metrics = await first.metrics()

    phones = [f"077009005{number:02}" for number in range(CLIENTS)]
    assert [service["notifications"]["nodes"] for service in services] == [[{"recipient": phone}] for phone in phones]
    assert [service["jobs"] for service in services] == [
        {"totalCount": 1, "nodes": [{"progress": {"total": 3}}]}
    ] * CLIENTS
    assert [service["statistics"]["total"]["requested"] for service in services] == [1] * CLIENTS
    assert 'db_connection_total_checked_out{bind="default",inet_server_addr="127.0.0.1"} ' in metrics
    assert 'db_connection_total_connected{bind="bulk",inet_server_addr="127.0.0.1"} ' in metrics


async def load_settings(connection: AsyncConnection) -> dict[str, str]:
    """Settings of the connection."""
    names = [*ROLE, "TimeZone", "transaction_read_only"]
    return {name: str(await connection.scalar(text(f"SHOW {name}"))) for name in names}


@pytest.mark.parametrize(("direct", "max_seconds"), [(True, 0.9), (False, 3)])
async def test_job_events_arrive_at_once_over_a_direct_connection_and_in_two_seconds_without(
    pooler_settings: Settings,
    healthy_cluster: Cluster,
    make: Builders,
    database: Database,
    signer: Signer,
    direct: bool,
    max_seconds: float,
) -> None:
    service = await make.service()
    job = await make.job(await make.template(service), job_status="scheduled", notification_count=1)
    key = await make.api_key(service)
    listening = {"database_url_listen": SecretStr(healthy_cluster.url(healthy_cluster.primary.port))}
    settings = pooler_settings.model_copy(update=listening if direct else {})
    async with (
        clients.running_client(settings, "") as client,
        open_websocket(client.url.removeprefix("http://")) as connection,
    ):
        await send_messages(
            connection, connection_init(clients.api_key_token(key, signer)), subscribe(FOLLOW, id=str(job.id))
        )
        assert await receive_message(connection) == {"type": "connection_ack"}
        messages = [await receive_message(connection)]
        await asyncio.sleep(1.2)
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE jobs SET job_status = 'cancelled' WHERE id = :id"), {"id": job.id})
            await notify_job_changed(tx, job.id)
        started_at = time.monotonic()
        messages.append(await receive_message(connection))
        took = time.monotonic() - started_at

    assert [message["payload"]["data"]["jobProgress"]["job"]["status"] for message in messages] == [
        "SCHEDULED",
        "CANCELLED",
    ]
    assert took < max_seconds


async def test_timeouts_come_from_the_role_and_from_the_transaction(pooler_settings: Settings) -> None:
    database = Database.connect(pooler_settings.model_copy(update={"database_statement_timeout_ms": 3_000}))
    try:
        read = await database.read(load_settings)
        bulk = await database.read(load_settings, bulk=True)
        async with database.transaction() as tx:
            written = await load_settings(await tx.connection())
        again = await database.read(load_settings)
    finally:
        await database.close()

    plain = ROLE | {"TimeZone": "UTC", "transaction_read_only": "off"}
    assert read == again == plain
    assert bulk == plain | {"transaction_read_only": "on"}
    assert written == plain | {"statement_timeout": "3s"}


async def test_bulk_reads_cannot_write_through_a_pooler(pooler_settings: Settings) -> None:
    database = Database.connect(pooler_settings)
    try:
        with pytest.raises(Unavailable):
            await database.read(lambda connection: connection.execute(text("DELETE FROM users")), bulk=True)
    finally:
        await database.close()


async def test_connecting_to_a_pooler_without_its_setting_is_refused(
    healthy_cluster: Cluster, connect: Connect
) -> None:
    """PgBouncer refuses a connection with timeouts as startup parameters, hence `database_through_pooler`."""
    async with connect(
        database_url=healthy_cluster.url(healthy_cluster.pooler_port), database_patience=0.1
    ) as database:
        with pytest.raises(Unavailable):
            await database.read(load_settings)

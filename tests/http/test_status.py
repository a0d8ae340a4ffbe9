"""What operators ask: whether the service can do its work, and its figures."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from graphql_api import models
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.enums import Channel
from graphql_api.gateways.object_store import Store
from graphql_api.models import utcnow
from graphql_api.settings import Settings, asyncpg_url
from tests.app_server import client_of, serve_settings
from tests.builders import Builders
from tests.models.databases import scratch_database

TOKEN = "what-prometheus-knows"
OPERATOR = {"authorization": f"Bearer {TOKEN}"}
Served = Callable[..., Any]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings with a token for the metrics."""
    known = {"metrics_token": TOKEN, "git_commit": "4f2a", "built_at": datetime(2026, 11, 1, tzinfo=UTC)}
    return Settings.model_validate(settings.model_dump() | known)


@pytest.fixture
def serve(database: Database, store: Store) -> Served:
    """Serve the application by settings, on a free port."""
    return lambda settings, other=None: serve_settings(settings, other or database, store)


@pytest_asyncio.fixture
async def client(serve: Served, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the running application."""
    async with serve(settings) as address, client_of(address) as client:
        yield client


async def figures(client: httpx2.AsyncClient) -> dict[str, float]:
    """Every figure by its name and labels."""
    answer = await client.get("/metrics", headers=OPERATOR)
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def of_key(make: Builders, signer: Signer) -> tuple[models.ApiKey, dict[str, str]]:
    """A new key of a new service, and the header that it is sent in."""
    row = await make.api_key(await make.service())
    return row, {"authorization": f"Bearer {row.service_id}-{signer.unsign(row.secret)}"}


def of(figures: dict[str, float], name: str) -> dict[str, float]:
    """The figures of one name, by their labels."""
    return {key.removeprefix(name): value for key, value in figures.items() if key.partition("{")[0] == name}


async def test_the_status_tells_what_runs_and_the_revision_of_the_database(client: httpx2.AsyncClient) -> None:
    asked, posted = await client.get("/_status"), await client.post("/_status")

    revision = asked.json()["db_version"]
    assert asked.json() == {
        "status": "ok",
        "git_commit": "4f2a",
        "build_time": "2026-11-01T00:00:00+00:00",
        "db_version": revision,
        "db_bulk_version": revision,
    }
    assert (len(revision), revision.isdigit()) == (4, True)
    assert posted.json() == asked.json()


async def test_the_status_is_503_before_the_database_is_migrated(
    serve: Served, settings: Settings, postgres_url: str
) -> None:
    async with scratch_database(postgres_url) as url:
        empty = Database(create_async_engine(asyncpg_url(url)))
        async with serve(settings, empty) as address, client_of(address) as client:
            answer = await client.get("/_status")
        await empty.close()

    assert answer.status_code == 503
    assert answer.json()["message"] == "The database has none of our tables yet: migrate it (`./run migrate`)."


async def test_the_status_is_503_while_the_database_is_away_unless_it_is_left_out(
    serve: Served, settings: Settings
) -> None:
    away = Database(create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing"))
    async with serve(settings, away) as address, client_of(address) as client:
        whole, simple = await client.get("/_status"), await client.get("/_status?simple=1")
        counts = await client.get("/_status/live-service-and-organisation-counts")
        token = "00000000-0000-4000-8000-000000000000-00000000-0000-4000-8000-000000000000"
        headers = {"authorization": f"Bearer {token}"}
        asked = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
        told = await figures(client)

    assert (whole.status_code, whole.json()["status"]) == (503, "error")
    assert (simple.status_code, simple.json()) == (200, {"status": "ok"})
    assert counts.status_code == 503
    assert (asked.status_code, asked.headers["retry-after"]) == (503, "1")
    assert [error["extensions"]["code"] for error in asked.json()["errors"]] == ["UNAVAILABLE"]
    assert (told["database_up"], of(told, "queue_tasks")) == (0, {})


async def test_live_services_and_their_organisations_are_counted(client: httpx2.AsyncClient, make: Builders) -> None:
    organisation = await make.organisation()
    for values in (
        {"organisation_id": organisation.id},
        {"organisation_id": organisation.id},
        {},
        {"organisation_id": (await make.organisation()).id, "restricted": True},
        {"organisation_id": (await make.organisation()).id, "count_as_live": False},
        {"organisation_id": (await make.organisation()).id, "active": False},
    ):
        await make.service(**({"restricted": False, "count_as_live": True} | values))

    answer = await client.get("/_status/live-service-and-organisation-counts")

    assert answer.json() == {"organisations": 1, "services": 3}


async def test_metrics_are_for_those_who_have_the_token(client: httpx2.AsyncClient) -> None:
    given = [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}, OPERATOR]
    answers = [await client.get("/metrics", headers=headers) for headers in given]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 200]
    assert answers[0].json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert answers[-1].headers["content-type"].startswith("text/plain; version=1.0.0")


@pytest.mark.parametrize(("environment", "status"), [("production", 404), ("test", 404), ("development", 200)])
async def test_without_a_token_there_are_metrics_on_a_developers_machine_alone(
    serve: Served, settings: Settings, environment: str, status: int
) -> None:
    other = settings.model_copy(update={"metrics_token": None, "environment": environment})
    async with serve(other) as address, client_of(address) as client:
        assert (await client.get("/metrics", headers=OPERATOR)).status_code == status


async def test_operations_are_counted_by_name_and_outcome(
    client: httpx2.AsyncClient, make: Builders, signer: Signer
) -> None:
    _, key = await of_key(make, signer)
    fails = "query Fails { users { nodes { id } } }"
    await client.post("/graphql", json={"query": "query Mine { __typename }"}, headers=key)
    await client.post("/graphql", json={"query": "query Mine { viewer { service { name } } }"}, headers=key)
    for name in ("Both", "Neither"):
        both = {"query": "query One { __typename } query Both { __typename }", "operationName": name}
        await client.post("/graphql", json=both, headers=key)
    await client.post("/graphql", json={"query": fails}, headers=key)
    await client.post("/graphql", json={"query": "{ nothing }"}, headers=key)
    await client.post("/graphql", json={"query": "query Unsigned { __typename }"})
    await client.post("/graphql", content=b"{")
    told = await figures(client)

    assert of(told, "graphql_operations_total") == {
        '{operation="Mine",outcome="ok"}': 2,
        '{operation="Both",outcome="ok"}': 1,
        '{operation="Unsigned",outcome="ok"}': 1,
        '{operation="(other)",outcome="refused"}': 1,
        '{operation="Fails",outcome="errors"}': 1,
        '{operation="(unnamed)",outcome="refused"}': 1,
    }
    assert told['graphql_operation_statements_sum{operation="Mine"}'] == 1
    assert told['graphql_operation_seconds_count{operation="Mine"}'] == 2
    assert of(told, "http_rejected_total") == {'{status="400"}': 1, '{status="415"}': 1}
    assert told['http_requests_total{method="POST",path="/graphql",status="415"}'] == 1
    assert told['http_request_seconds_count{path="/graphql"}'] == 8
    assert told["database_up"] == 1


async def test_hostile_names_cannot_make_the_metrics_grow(
    client: httpx2.AsyncClient, make: Builders, signer: Signer
) -> None:
    _, key = await of_key(make, signer)
    for number in range(25):
        await client.post("/graphql", json={"query": f"query Made_up_{number} {{ __typename }}"}, headers=key)
        await client.post("/graphql", json={"query": "{ __typename }", "operationName": f"x {number}"}, headers=key)
        await client.get(f"/path/{number}")
        await client.request("PURGE", "/graphql")
    _, other = await of_key(make, signer)
    await client.post("/graphql", json={"query": "query Honest { __typename }"}, headers=other)
    told = await figures(client)

    names = of(told, "graphql_operations_total")
    assert names['{operation="(other)",outcome="ok"}'] == 5
    assert names['{operation="(other)",outcome="refused"}'] == 25
    assert names['{operation="Honest",outcome="ok"}'] == 1
    assert len(names) == 20 + 2 + 1
    assert of(told, "http_requests_total") == {
        '{method="POST",path="/graphql",status="200"}': 51,
        '{method="GET",path="(other)",status="404"}': 25,
        '{method="(other)",path="/graphql",status="405"}': 25,
    }


async def test_the_queue_and_the_messages_of_the_whole_service_are_told(
    client: httpx2.AsyncClient, make: Builders, database: Database
) -> None:
    before = utcnow()
    async with database.transaction() as tx:
        await tx.execute(
            text(
                """
                INSERT INTO pgqueuer (priority, status, entrypoint, execute_after) VALUES
                (0, 'queued', 'deliver notifications', now() - interval '100 seconds'),
                (0, 'queued', 'deliver notifications', now() - interval '40 seconds'),
                (0, 'queued', 'deliver notifications', now() + interval '1 hour'),
                (0, 'picked', 'deliver notifications', now()),
                (0, 'failed', 'process job', now() - interval '9 hours'),
                (0, 'queued', 'nobody knows', now())
                """
            )
        )
        await tx.execute(
            text(
                """
                INSERT INTO pgqueuer_schedules (expression, entrypoint, last_run)
                VALUES ('* * * * *', 'see to jobs', now() - interval '70 seconds')
                """
            )
        )
    service = await make.service()
    sms, email = await make.template(service), await make.template(service, Channel.EMAIL)
    now = utcnow()
    await make.notification(sms, status="created", created_at=now - timedelta(minutes=2))
    await make.notification(sms, status="created", created_at=now - timedelta(hours=2))
    await make.notification(email, status="delivered", created_at=now)
    told = await figures(client)
    passed = (utcnow() - before).total_seconds()

    assert of(told, "queue_tasks") == {
        f'{{state="{state}",task="{task}"}}': {
            ("deliver notifications", "waiting"): 2,
            ("deliver notifications", "later"): 1,
            ("deliver notifications", "running"): 1,
            ("process job", "held"): 1,
        }.get((task, state), 0)
        for task in ("deliver notifications", "platform message", "process job", "receive receipts")
        for state in ("waiting", "later", "running", "held")
    }
    assert of(told, "messages_last_hour") == {
        '{channel="sms",status="created"}': 1,
        '{channel="email",status="delivered"}': 1,
    }
    assert told['queue_oldest_seconds{task="deliver notifications"}'] == pytest.approx(100, abs=1 + passed)
    assert told['queue_oldest_seconds{task="process job"}'] == 0
    assert told['schedule_seconds_since_run{schedule="see to jobs"}'] == pytest.approx(70, abs=1 + passed)
    assert told['messages_oldest_unsent_seconds{channel="sms"}'] == pytest.approx(7200, abs=1 + passed)
    assert told['messages_oldest_unsent_seconds{channel="email"}'] == 0


async def test_the_metrics_name_nobody(client: httpx2.AsyncClient, make: Builders, signer: Signer) -> None:
    api_key, key = await of_key(make, signer)
    template = await make.template(await make.service(name=f"Secret {uuid4()}"))
    message = await make.notification(template)
    query = f'query {{ notification(id: "{message.id}") {{ id recipient }} }}'
    answer = await client.post("/graphql", json={"query": query, "operationName": "07700900123"}, headers=key)
    text = (await client.get("/metrics", headers=OPERATOR)).text

    assert answer.status_code == 200
    for secret in (str(api_key.service_id), str(api_key.id), str(message.id), message.to, "07700900123"):
        assert secret not in text

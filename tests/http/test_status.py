"""The status endpoints: health, live counts, and metrics."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from graphql_api import models
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.database.database import Database
from graphql_api.enums import Channel
from graphql_api.errors import Unavailable
from graphql_api.gateways.object_store import Store
from graphql_api.http.requests import Operation
from graphql_api.models import utcnow
from graphql_api.observability import operation_stats
from graphql_api.planner import Planner
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
    changes = {"metrics_token": TOKEN, "git_commit": "4f2a", "built_at": datetime(2026, 11, 1, tzinfo=UTC)}
    return Settings.model_validate(settings.model_dump() | changes)


@pytest.fixture
def serve(database: Database, store: Store) -> Served:
    """Serve the application with settings, on a free port."""
    return lambda settings, other=None: serve_settings(settings, other or database, store)


@pytest_asyncio.fixture
async def client(serve: Served, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the running application."""
    async with serve(settings) as address, client_of(address) as client:
        yield client


async def read_metrics(client: httpx2.AsyncClient) -> dict[str, float]:
    """Every metric by its name and labels."""
    response = await client.get("/metrics", headers=OPERATOR)
    lines = [line.rpartition(" ") for line in response.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def create_key(make: Builders, signer: Signer) -> tuple[models.ApiKey, dict[str, str]]:
    """A new key of a new service, and its Authorization header."""
    row = await make.api_key(await make.service())
    return row, {"authorization": f"Bearer {row.service_id}-{signer.unsign(row.secret)}"}


def by_labels(metrics: dict[str, float], name: str) -> dict[str, float]:
    """The values of one metric, by its labels."""
    return {key.removeprefix(name): value for key, value in metrics.items() if key.partition("{")[0] == name}


async def test_the_status_shows_the_commit_and_the_revision_of_the_database(client: httpx2.AsyncClient) -> None:
    by_get, by_post = await client.get("/_status"), await client.post("/_status")

    revision = by_get.json()["db_version"]
    assert by_get.json() == {
        "status": "ok",
        "git_commit": "4f2a",
        "build_time": "2026-11-01T00:00:00+00:00",
        "db_version": revision,
        "db_bulk_version": revision,
    }
    assert (len(revision), revision.isdigit()) == (4, True)
    assert by_post.json() == by_get.json()


async def test_the_status_is_503_before_the_database_is_migrated(
    serve: Served, settings: Settings, postgres_url: str
) -> None:
    async with scratch_database(postgres_url) as url:
        empty = Database(create_async_engine(asyncpg_url(url)))
        async with serve(settings, empty) as address, client_of(address) as client:
            answer = await client.get("/_status")
        await empty.close()

    assert answer.status_code == 503
    assert answer.json()["message"] == "The database has no tables of this API: migrate it (`./run migrate`)."


async def test_the_status_is_503_while_the_database_is_unavailable_except_the_simple_one(
    serve: Served, settings: Settings
) -> None:
    unavailable = Database(create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing"))
    async with serve(settings, unavailable) as address, client_of(address) as client:
        whole, simple = await client.get("/_status"), await client.get("/_status?simple=1")
        counts = await client.get("/_status/live-service-and-organisation-counts")
        token = "00000000-0000-4000-8000-000000000000-00000000-0000-4000-8000-000000000000"
        headers = {"authorization": f"Bearer {token}"}
        response = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
        metrics = await read_metrics(client)

    assert (whole.status_code, whole.json()["status"]) == (503, "error")
    assert (simple.status_code, simple.json()) == (200, {"status": "ok"})
    assert counts.status_code == 503
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["UNAVAILABLE"]
    assert (metrics["database_up"], by_labels(metrics, "queue_tasks")) == (0, {})


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


async def test_metrics_need_the_token(client: httpx2.AsyncClient) -> None:
    headers_list = [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}, OPERATOR]
    answers = [await client.get("/metrics", headers=headers) for headers in headers_list]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 200]
    assert answers[0].json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert answers[-1].headers["content-type"].startswith("text/plain; version=1.0.0")


@pytest.mark.parametrize(("environment", "status"), [("production", 404), ("test", 404), ("development", 200)])
async def test_metrics_without_a_configured_token_are_for_development_only(
    serve: Served, settings: Settings, environment: str, status: int
) -> None:
    other = settings.model_copy(update={"metrics_token": None, "environment": environment})
    async with serve(other) as address, client_of(address) as client:
        assert (await client.get("/metrics", headers=OPERATOR)).status_code == status


async def test_operations_are_counted_by_name_and_outcome(
    client: httpx2.AsyncClient, make: Builders, signer: Signer
) -> None:
    _, key = await create_key(make, signer)
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
    metrics = await read_metrics(client)

    assert by_labels(metrics, "graphql_operations_total") == {
        '{operation="Mine",outcome="ok"}': 2,
        '{operation="Both",outcome="ok"}': 1,
        '{operation="Unsigned",outcome="ok"}': 1,
        '{operation="(other)",outcome="refused"}': 1,
        '{operation="Fails",outcome="errors"}': 1,
        '{operation="(unnamed)",outcome="refused"}': 1,
    }
    assert metrics['graphql_operation_statements_sum{operation="Mine"}'] == 1
    assert metrics['graphql_operation_seconds_count{operation="Mine"}'] == 2
    assert by_labels(metrics, "http_rejected_total") == {'{status="400"}': 1, '{status="415"}': 1}
    assert metrics['http_requests_total{method="POST",path="/graphql",status="415"}'] == 1
    assert metrics['http_request_seconds_count{path="/graphql"}'] == 8
    assert metrics["database_up"] == 1


def replace_planner(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
    """Replace the planner by one that sends a statement and then declines, or raises an error."""

    async def plan(self: Planner, operation: Operation, context: Context) -> None:
        del self, operation
        operation_stats.add(statements=1)
        async with context.database.read_connection() as connection:
            await connection.execute(text("SELECT 1"))
        if error is not None:
            raise error

    monkeypatch.setattr(Planner, "__call__", plan)


async def test_plans_are_counted_by_result(client: httpx2.AsyncClient, make: Builders, signer: Signer) -> None:
    _, key = await create_key(make, signer)
    document = "query Declined { users { nodes { id } } } query Planned { __typename }"
    with capture_logs() as entries:
        for name in ("Planned", "Declined", "no name"):
            await client.post("/graphql", json={"query": document, "operationName": name}, headers=key)
        await client.post("/graphql", json={"query": "query Anonymous { __typename }"})
        await client.post("/graphql", json={"query": "mutation Out { signOut { __typename } }"}, headers=key)
    metrics = await read_metrics(client)

    assert by_labels(metrics, "graphql_plans_total") == {'{result="planned"}': 1, '{result="declined"}': 4}
    assert [entry for entry in entries if entry["event"] == "plan declined"] == [
        {"event": "plan declined", "log_level": "info", "operation": name} for name in ("Declined", "(other)")
    ]


async def test_a_planner_that_fails_is_counted_and_the_query_is_answered_without_it(
    client: httpx2.AsyncClient, make: Builders, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_planner(monkeypatch, KeyError("07700900123"))
    _, key = await create_key(make, signer)
    with capture_logs() as entries:
        answer = await client.post("/graphql", json={"query": "query Mine { __typename }"}, headers=key)
    metrics = await read_metrics(client)

    assert answer.json()["data"] == {"__typename": "Query"}
    assert by_labels(metrics, "graphql_plans_total") == {'{result="failed"}': 1}
    assert by_labels(metrics, "graphql_operations_total") == {'{operation="Mine",outcome="ok"}': 1}
    assert [(entry["operation"], entry["kind"]) for entry in entries if entry["event"] == "plan failed"] == [
        ("Mine", "KeyError")
    ]


async def test_the_statements_of_a_declined_plan_are_counted(
    client: httpx2.AsyncClient, make: Builders, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_planner(monkeypatch)
    _, key = await create_key(make, signer)
    await client.post("/graphql", json={"query": "query Mine { viewer { service { name } } }"}, headers=key)
    metrics = await read_metrics(client)

    assert metrics['graphql_operation_statements_sum{operation="Mine"}'] == 2 + 1
    assert metrics['graphql_operation_statements_count{operation="Mine"}'] == 1


async def test_a_query_is_counted_when_the_database_is_unavailable_to_the_planner(
    client: httpx2.AsyncClient, make: Builders, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_planner(monkeypatch, Unavailable("The database did not answer in time: try again."))
    _, key = await create_key(make, signer)
    answer = await client.post("/graphql", json={"query": "query Mine { __typename }"}, headers=key)
    metrics = await read_metrics(client)

    assert answer.status_code == 503
    assert by_labels(metrics, "graphql_operations_total") == {'{operation="(other)",outcome="refused"}': 1}


async def test_hostile_names_cannot_make_the_metrics_grow(
    client: httpx2.AsyncClient, make: Builders, signer: Signer
) -> None:
    _, key = await create_key(make, signer)
    for number in range(25):
        await client.post("/graphql", json={"query": f"query Made_up_{number} {{ __typename }}"}, headers=key)
        await client.post("/graphql", json={"query": "{ __typename }", "operationName": f"x {number}"}, headers=key)
        await client.get(f"/path/{number}")
        await client.request("PURGE", "/graphql")
    _, other = await create_key(make, signer)
    await client.post("/graphql", json={"query": "query Honest { __typename }"}, headers=other)
    metrics = await read_metrics(client)

    names = by_labels(metrics, "graphql_operations_total")
    assert names['{operation="(other)",outcome="ok"}'] == 5
    assert names['{operation="(other)",outcome="refused"}'] == 25
    assert names['{operation="Honest",outcome="ok"}'] == 1
    assert len(names) == 20 + 2 + 1
    assert by_labels(metrics, "http_requests_total") == {
        '{method="POST",path="/graphql",status="200"}': 51,
        '{method="GET",path="(other)",status="404"}': 25,
        '{method="(other)",path="/graphql",status="405"}': 25,
    }


async def test_metrics_show_the_queue_and_the_messages_of_the_whole_service(
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
                (0, 'queued', 'unknown task', now())
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
    metrics = await read_metrics(client)
    passed = (utcnow() - before).total_seconds()

    assert by_labels(metrics, "queue_tasks") == {
        f'{{state="{state}",task="{task}"}}': {
            ("deliver notifications", "waiting"): 2,
            ("deliver notifications", "later"): 1,
            ("deliver notifications", "running"): 1,
            ("process job", "held"): 1,
        }.get((task, state), 0)
        for task in ("deliver notifications", "platform message", "process job", "receive receipts")
        for state in ("waiting", "later", "running", "held")
    }
    assert by_labels(metrics, "messages_last_hour") == {
        '{channel="sms",status="created"}': 1,
        '{channel="email",status="delivered"}': 1,
    }
    assert metrics['queue_oldest_seconds{task="deliver notifications"}'] == pytest.approx(100, abs=1 + passed)
    assert metrics['queue_oldest_seconds{task="process job"}'] == 0
    assert metrics['schedule_seconds_since_run{schedule="see to jobs"}'] == pytest.approx(70, abs=1 + passed)
    assert metrics['messages_oldest_unsent_seconds{channel="sms"}'] == pytest.approx(7200, abs=1 + passed)
    assert metrics['messages_oldest_unsent_seconds{channel="email"}'] == 0


async def test_the_metrics_hold_no_personal_data(client: httpx2.AsyncClient, make: Builders, signer: Signer) -> None:
    api_key, key = await create_key(make, signer)
    template = await make.template(await make.service(name=f"Secret {uuid4()}"))
    message = await make.notification(template)
    query = f'query {{ notification(id: "{message.id}") {{ id recipient }} }}'
    answer = await client.post("/graphql", json={"query": query, "operationName": "07700900123"}, headers=key)
    text = (await client.get("/metrics", headers=OPERATOR)).text

    assert answer.status_code == 200
    for secret in (str(api_key.service_id), str(api_key.id), str(message.id), message.to, "07700900123"):
        assert secret not in text

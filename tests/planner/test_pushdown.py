"""PostgreSQL writes the same characters as orjson, or its result is discarded."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import orjson
import pytest
from sqlalchemy import update

from graphql_api import models
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.gateways.object_store import Store
from graphql_api.observability import operation_stats
from graphql_api.settings import Settings
from schema import schema
from tests import planner_comparison
from tests.builders import Builders, platform_admin, user_actor
from tests.conftest import Ask, SingleConnectionDatabase

CONTROL_CHARACTERS = "".join(chr(code) for code in range(1, 32))
NAMES = [
    CONTROL_CHARACTERS,
    "quote \" backslash \\ slash / apostrophe ' percent %",
    "\x7f \x80 \u2028 \u2029 \ufeff",
    "😀 ŵ é 漢",
]
NAME_QUERY = "query ($id: ID!) { service(id: $id) { name } }"


@pytest.mark.parametrize("name", NAMES)
async def test_text_is_escaped_as_in_json(name: str, ask: Ask, make: Builders) -> None:
    service = await make.service(name=name)

    answer = await ask(NAME_QUERY, by=platform_admin(await make.user()), id=str(service.id))

    assert answer.root_field == {"name": name}


DATETIMES = {
    datetime(2026, 1, 2, 3, 4, 5): "2026-01-02T03:04:05Z",  # noqa: DTZ001 - naive UTC, as the database
    datetime(2026, 1, 2, 3, 4, 5, 100_000): "2026-01-02T03:04:05.100000Z",  # noqa: DTZ001
    datetime(2026, 12, 31, 23, 59, 59, 1): "2026-12-31T23:59:59.000001Z",  # noqa: DTZ001
    datetime(1, 1, 1): "0001-01-01T00:00:00Z",  # noqa: DTZ001
    datetime(9999, 12, 31, 23, 59, 59, 999_999): "9999-12-31T23:59:59.999999Z",  # noqa: DTZ001
}


@pytest.mark.parametrize("instant", DATETIMES)
async def test_instants_have_a_fraction_unless_it_is_zero(instant: datetime, ask: Ask, make: Builders) -> None:
    service = await make.service(created_at=instant)

    answer = await ask(
        "query ($id: ID!) { service(id: $id) { createdAt } }",
        by=platform_admin(await make.user()),
        id=str(service.id),
    )

    assert answer.root_field == {"createdAt": DATETIMES[instant]}


async def test_an_infinite_instant_is_not_null(ask: Ask, make: Builders) -> None:
    job = await make.job(await make.template(await make.service()), scheduled_for=datetime.max)  # noqa: DTZ901 - as the driver writes infinity

    answer = await ask(
        "query ($id: ID!) { job(id: $id) { scheduledFor } }", by=platform_admin(await make.user()), id=str(job.id)
    )

    assert answer.root_field == {"scheduledFor": "9999-12-31T23:59:59.999999Z"}


DASHBOARD = """query ($id: ID!, $first: Int!) {
    service(id: $id) {
        name status
        templates(first: $first) { totalCount nodes { name service { id } } }
        notifications(last: $first) {
            edges { cursor node { status statusText isFinal createdBy { id } template { name createdBy { name } } } }
            pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
        }
    }
}"""


async def test_a_query_of_columns_and_connections_is_one_statement(
    make: Builders, database: SingleConnectionDatabase, settings: Settings, signer: Signer, store: Store
) -> None:
    service = await make.service()
    member = await make.member(service)
    template = await make.template(service)
    for _ in range(3):
        await make.notification(template, created_by_id=member.id)
    variables = {"id": str(service.id), "first": 2}
    context = Context(user_actor(member, service), database, settings, signer, store)

    stats = operation_stats.begin()
    body = await planner_comparison.planner_response(schema, DASHBOARD, variables, context)

    assert body is not None
    assert (stats.statements, len(orjson.loads(body)["data"]["service"]["notifications"]["edges"])) == (1, 2)


async def test_a_statement_that_would_be_too_long_is_split(
    make: Builders, database: SingleConnectionDatabase, settings: Settings, signer: Signer, store: Store
) -> None:
    template = await make.template(service := await make.service())
    await make.notification(template)
    lists = " ".join(f"a{number}: notifications {{ nodes {{ statusText }} }}" for number in range(40))
    context = Context(user_actor(await make.member(service), service), database, settings, signer, store)

    stats = operation_stats.begin()
    body = await planner_comparison.planner_response(
        schema, f"query ($id: ID!) {{ service(id: $id) {{ {lists} }} }}", {"id": str(service.id)}, context
    )

    assert body is not None
    assert len(orjson.loads(body)["data"]["service"]) == 40
    assert stats.statements == 41


async def test_a_stored_value_that_its_enum_lacks_is_not_plannable(
    ask: Ask, make: Builders, database: SingleConnectionDatabase
) -> None:
    service = await make.service()
    template = await make.template(service)
    async with database.transaction() as tx:
        await tx.execute(
            update(models.Template).where(models.Template.id == template.id).values(template_type="broadcast")
        )

    answer = await ask(
        "query ($id: ID!) { template(id: $id) { channel } }", by=platform_admin(await make.user()), id=str(template.id)
    )

    assert UUID(answer.errors[0]["extensions"]["requestId"])
    assert answer.error_codes == ["INTERNAL"]

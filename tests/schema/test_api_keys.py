"""API keys in GraphQL: the key is returned once, and no other field has its secret."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from graphql_api import models
from graphql_api.billing import london_days
from graphql_api.enums import KeyType, ServicePermission
from tests.builders import Builders, api_key_actor, platform_admin, stranger, user_actor
from tests.conftest import Ask, Statements

FIELDS = """id name type prefix version createdAt expiresAt revokedAt
    service { id } createdBy { id } revokedBy { id }"""
ONE = f"query ($id: ID!) {{ node(id: $id) {{ ... on ApiKey {{ {FIELDS} }} }} }}"
CREATE = f"""mutation ($input: CreateApiKeyInput!) {{ createApiKey(input: $input) {{
    apiKey {{ {FIELDS} }} key
    userErrors {{ __typename code path ... on IllegalStateError {{ currentState allowedStates }} }}
}} }}"""
REVOKE = f"""mutation ($input: RevokeApiKeyInput!) {{ revokeApiKey(input: $input) {{
    apiKey {{ {FIELDS} }} userErrors {{ __typename code path }}
}} }}"""


async def test_the_key_is_returned_once(ask: Ask, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service)
    end = (models.utcnow() + timedelta(days=1)).replace(microsecond=0)

    created = (
        await ask(
            CREATE,
            by=user_actor(user, service),
            input={
                "serviceId": str(service.id),
                "name": "Our Key",
                "type": "LIVE",
                "expiresAt": f"{end.isoformat()}+00:00",
            },
        )
    ).root_field

    record, text = created["apiKey"], created["key"]
    assert text[:-36] == f"our_key-{service.id}-"
    assert record == {
        "id": record["id"],
        "name": "Our Key",
        "type": "LIVE",
        "prefix": text[-36:-28],
        "version": 1,
        "createdAt": record["createdAt"],
        "expiresAt": f"{end.isoformat()}Z",
        "revokedAt": None,
        "service": {"id": str(service.id)},
        "createdBy": {"id": str(user.id)},
        "revokedBy": None,
    }
    assert created["userErrors"] == []
    assert (await ask(ONE, by=user_actor(user, service), id=record["id"])).root_field == record


async def test_no_field_of_a_key_is_its_secret(ask: Ask) -> None:
    fields = (await ask('{ __type(name: "ApiKey") { fields { name } } }', by=stranger())).root_field["fields"]

    assert {field["name"] for field in fields} == {
        "id",
        "name",
        "type",
        "service",
        "prefix",
        "createdBy",
        "createdAt",
        "expiresAt",
        "revokedAt",
        "revokedBy",
        "lastUsedAt",
        "version",
        "usage",
    }


async def test_a_service_in_trial_has_no_live_key(ask: Ask, make: Builders) -> None:
    service = await make.service(restricted=True)
    refused = await ask(
        CREATE,
        by=user_actor(await make.member(service), service),
        input={"serviceId": str(service.id), "name": "Ours", "type": "LIVE"},
    )

    assert refused.user_errors == [
        {
            "__typename": "IllegalStateError",
            "code": "SERVICE_IN_TRIAL_MODE",
            "path": ["input", "type"],
            "currentState": "TRIAL",
            "allowedStates": ["LIVE"],
        }
    ]


async def test_revoking_twice_changes_nothing(ask: Ask, make: Builders) -> None:
    service = await make.service()
    row = await make.api_key(service, KeyType.TEAM)
    user = await make.member(service)

    first = (await ask(REVOKE, by=user_actor(user, service), input={"apiKeyId": str(row.id)})).root_field["apiKey"]
    assert (first["version"], first["revokedBy"]) == (2, {"id": str(user.id)})
    assert first["revokedAt"] == first["expiresAt"] is not None
    other = user_actor(await make.member(service), service)
    assert (await ask(REVOKE, by=other, input={"apiKeyId": str(row.id)})).root_field["apiKey"] == first


async def test_a_key_sees_itself_and_no_other(ask: Ask, make: Builders) -> None:
    service = await make.service()
    mine, other = await make.api_key(service), await make.api_key(service)
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on ApiKey { name } } }"

    answer = await ask(document, by=api_key_actor(mine), ids=[str(other.id), str(mine.id)])

    assert answer.root_field == [None, {"name": mine.name}]


async def test_members_without_the_permission_do_not_see_keys(ask: Ask, make: Builders) -> None:
    service = await make.service()
    row = await make.api_key(service)
    lesser = user_actor(
        await make.member(service), service, permissions=set(ServicePermission) - {ServicePermission.MANAGE_API_KEYS}
    )

    assert (await ask(ONE, by=lesser, id=str(row.id))).root_field is None
    refused = await ask(REVOKE, by=lesser, input={"apiKeyId": str(row.id)})
    assert refused.user_errors == [{"__typename": "NotFoundError", "code": "NOT_FOUND", "path": ["input", "apiKeyId"]}]
    arguments: dict[str, Any] = {"serviceId": str(service.id), "name": "Ours", "type": "TEST"}
    assert (await ask(CREATE, by=lesser, input=arguments)).error_codes == ["FORBIDDEN"]
    assert (await ask(CREATE, by=platform_admin(await make.user()), input=arguments)).error_codes == ["FORBIDDEN"]


async def test_what_keys_cost_does_not_depend_on_their_number(ask: Ask, make: Builders, statements: Statements) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)
    document = f"query ($id: ID!) {{ service(id: $id) {{ apiKeys {{ nodes {{ {FIELDS} }} }} }} }}"
    for _ in range(2):
        row = await make.api_key(service)
        await make.add(models.ApiKeyLifetime(api_key_id=row.id, revoked_by_id=actor.user_id))
        with statements(6):
            assert (await ask(document, by=actor, id=str(service.id))).errors == []


USAGE = """query ($id: ID!, $range: DateRangeInput) { node(id: $id) { ... on ApiKey { lastUsedAt usage(range: $range) {
    date requests succeeded failed rateLimited notifications cost { amount currency } meanResponseMilliseconds
} } } }"""
NOTHING = {
    "requests": 0,
    "succeeded": 0,
    "failed": 0,
    "rateLimited": 0,
    "notifications": 0,
    "cost": {"amount": "0", "currency": "GBP"},
    "meanResponseMilliseconds": None,
}


async def test_a_key_has_its_usage_by_day(ask: Ask, make: Builders) -> None:
    service = await make.service()
    api_key, other = await make.api_key(service), await make.api_key(service)
    first = date(2026, 3, 1)
    did = {"requests": 4, "succeeded": 3, "failed": 1, "rate_limited": 1, "notifications": 9}
    for row, day in ((api_key, first), (other, first), (api_key, date(2026, 2, 28)), (api_key, date(2026, 3, 4))):
        values = {"units": 2, "cost": Decimal("0.0454"), "total_ms": 50.0}
        await make.add(models.ApiKeyUsage(api_key_id=row.id, day=day, **did, **values))
    used = datetime(2026, 3, 1, 12, 5, tzinfo=UTC).replace(tzinfo=None)
    await make.add(models.ApiKeyLifetime(api_key_id=api_key.id, last_used_at=used))
    days = {"from": "2026-03-01", "to": "2026-03-03"}

    for actor in (
        user_actor(await make.member(service), service),
        api_key_actor(api_key),
        platform_admin(await make.user()),
    ):
        answer = await ask(USAGE, by=actor, id=str(api_key.id), range=days)
        assert answer.root_field == {
            "lastUsedAt": "2026-03-01T12:05:00Z",
            "usage": [
                {
                    "date": "2026-03-01",
                    "requests": 4,
                    "succeeded": 3,
                    "failed": 1,
                    "rateLimited": 1,
                    "notifications": 9,
                    "cost": {"amount": "0.0454", "currency": "GBP"},
                    "meanResponseMilliseconds": 12.5,
                },
                {"date": "2026-03-02", **NOTHING},
                {"date": "2026-03-03", **NOTHING},
            ],
        }


async def test_usage_is_of_the_last_seven_days_by_default(ask: Ask, make: Builders) -> None:
    service = await make.service()
    api_key = await make.api_key(service)
    member = user_actor(await make.member(service), service)

    answer = await ask(USAGE, by=member, id=str(api_key.id))
    long = await ask(USAGE, by=member, id=str(api_key.id), range={"from": "1900-01-01", "to": "2026-03-03"})

    today = london_days.today()
    assert answer.root_field == {
        "lastUsedAt": None,
        "usage": [{"date": str(today - timedelta(days=ago)), **NOTHING} for ago in range(6, -1, -1)],
    }
    assert long.error_codes == ["BAD_REQUEST"]


async def test_usage_of_many_keys_takes_one_statement(ask: Ask, make: Builders, statements: Statements) -> None:
    service = await make.service()
    member = user_actor(await make.member(service), service)
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on ApiKey { usage { requests } } } }"
    for count in (1, 3):
        ids = [str((await make.api_key(service)).id) for _ in range(count)]
        with statements(3):
            await ask(document, by=member, ids=ids)

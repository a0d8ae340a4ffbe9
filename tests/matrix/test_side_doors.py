"""Indirect access: cursors, filters, change logs and subscriptions of another tenant."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLInputObjectType, get_named_type

from graphql_api.auth.actors import Actor
from schema import schema
from tests.matrix.audiences import Facts, Role, is_in_audience
from tests.matrix.ground_truth import GroundTruth, is_connection_type, object_type
from tests.matrix.policies import policy
from tests.matrix.worlds import World

LISTS = [
    (kind, name)
    for kind in ("Service", "Organisation", "Template", "Job")
    for name, field in object_type(kind).fields.items()
    if is_connection_type(get_named_type(field.type))
]


def filters() -> list[tuple[str, str, str]]:
    """Lists, and the fields of their filters that take an id."""
    filters = []
    for kind, name in LISTS:
        declarations = object_type(kind).fields[name].args.get("filter")
        inner: Any = declarations and get_named_type(declarations.type)
        if isinstance(inner, GraphQLInputObjectType):
            filters += [
                (kind, name, filter_field) for filter_field, field in inner.fields.items() if str(field.type) == "ID"
            ]
    return filters


def caller(world: World, name: str) -> Actor:
    (actor,) = [actor for role, actor in world.callers if role.name == name and actor is not None]
    return actor


async def fetch_page(world: World, actor: Actor, kind: str, name: str, of: str, **arguments: Any) -> Any:
    """A list of a row, None when the row is not found, and the codes of errors."""
    field = object_type(kind).fields[name]
    declarations = ", ".join(f"${argument}: {field.args[argument].type}" for argument in arguments)
    passed = ", ".join(f"{argument}: ${argument}" for argument in arguments)
    inner = "{ totalCount edges { cursor node { __typename } } }"
    query = f"query ($id: ID!, {declarations}) {{ node(id: $id) {{ ... on {kind} {{ {name}({passed}) {inner} }} }} }}"
    result = await schema.execute(query, {"id": of, **arguments}, context_value=world.context_for(actor))
    codes = [(error.extensions or {}).get("code") for error in result.errors or []]
    return ((result.data or {}).get("node") or {}).get(name), codes


@pytest.mark.parametrize(("kind", "name"), LISTS)
async def test_a_cursor_of_another_tenants_list_shows_none_of_its_rows(world: World, kind: str, name: str) -> None:
    admin = caller(world, "platform admin")
    owner = caller(world, "person of the organisation" if kind == "Organisation" else "owner")
    ours, theirs = str(world.ours.ids[kind]), str(world.theirs.ids[kind])
    whole, _ = await fetch_page(world, owner, kind, name, ours, first=100)
    foreign, _ = await fetch_page(world, admin, kind, name, theirs, first=1)
    for cursor in [edge["cursor"] for edge in (foreign or {"edges": []})["edges"]]:
        seen, codes = await fetch_page(world, owner, kind, name, ours, first=100, after=cursor)
        if codes:
            assert codes == ["BAD_REQUEST"]
            continue
        assert seen["totalCount"] == whole["totalCount"]
        assert {edge["cursor"] for edge in seen["edges"]} <= {edge["cursor"] for edge in whole["edges"]}


@pytest.mark.parametrize(("kind", "name", "argument"), filters())
async def test_a_filter_by_another_tenants_id_finds_nothing(world: World, kind: str, name: str, argument: str) -> None:
    ids = world.theirs.arguments | {
        "createdById": str(world.theirs.owner.id),
        "actorId": str(world.theirs.owner.id),
        "objectId": str(world.theirs.service.id),
    }
    seen, codes = await fetch_page(
        world, caller(world, "owner"), kind, name, str(world.ours.ids[kind]), filter={argument: ids[argument]}
    )

    assert codes == []
    assert (seen["totalCount"], seen["edges"]) == (0, [])


async def test_no_change_log_entry_holds_a_secret(world: World) -> None:
    query = "{ auditLog(first: 100) { nodes { changes { before after } } } }"
    result = await schema.execute(query, context_value=world.context_for(caller(world, "platform admin")))

    assert result.errors is None
    for secret in ("notes of", "order of", "contact of", "reference of", "Signer of", "signer."):
        assert secret not in str(result.data)


async def test_only_callers_who_see_a_job_receive_its_progress(world: World, truth: GroundTruth) -> None:
    rule = policy().rule("Subscription", "jobProgress")
    wrong = []
    for role, actor in world.callers:
        if actor is None:
            continue
        for tenant in (world.ours, world.theirs):
            facts = truth.facts["Job", tenant.arguments["jobId"]]
            received = await _receives_event(world, actor, tenant.arguments["jobId"])
            if received != _is_allowed(rule.audience, role, facts, truth):
                wrong.append((role.name, received))

    assert wrong == []


def _is_allowed(who: tuple[str, ...], role: Role, facts: Facts, truth: GroundTruth) -> bool:
    return role.kind != "anonymous" and is_in_audience(who, role, facts, truth.memberships)


async def _receives_event(world: World, actor: Actor, job: str) -> bool:
    """Whether an event is received."""
    query = "subscription ($id: ID!) { jobProgress(jobId: $id) { __typename } }"
    results: Any = await schema.subscribe(query, {"id": job}, context_value=world.context_for(actor))
    if not hasattr(results, "__aiter__"):
        return False
    try:
        async for result in results:
            return not result.errors and bool(result.data)
    finally:
        await results.aclose()
    return False

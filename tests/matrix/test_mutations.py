"""Every mutation, called by everybody: on one's own as `policy.txt` says, on another tenant's never."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from graphql_api.auth.actors import Actor
from schema import schema
from tests.matrix.audiences import Facts, Role, is_in_audience
from tests.matrix.ground_truth import GroundTruth
from tests.matrix.oracles import Oracle
from tests.matrix.policies import NULL, policy
from tests.matrix.worlds import World
from tests.schema.tenants import mutation_document, mutation_names, replace_at, valid_inputs
from tests.schema.test_foreign_ids import FOREIGN, checksums

OBJECTS = {
    "serviceId": "Service",
    "templateId": "Template",
    "apiKeyId": "ApiKey",
    "jobId": "Job",
    "userId": "User",
    "organisationId": "Organisation",
}


@pytest_asyncio.fixture
async def rollback_after(world: World) -> AsyncIterator[None]:
    """What a test changes is undone."""
    connection = world.context.database._connection  # type: ignore[attr-defined]  # noqa: SLF001 - the world's own
    savepoint = await connection.begin_nested()
    yield
    await savepoint.rollback()


async def call(world: World, actor: Actor, mutation: str, given: Mapping[str, Any]) -> str:
    """What a mutation came to: a code of its refusal, or ACCEPTED."""
    result = await schema.execute(mutation_document(mutation), {"input": given}, context_value=world.context_for(actor))
    if result.errors:
        return str((result.errors[0].extensions or {}).get("code"))
    (answer,) = (result.data or {}).values()
    codes = [error["code"] for error in answer["userErrors"]]
    # What a rule of the trade refuses was open to whoever called.
    return codes[0] if codes and codes[0] in {"NOT_FOUND", "FORBIDDEN"} else "ACCEPTED"


def facts(ids: Mapping[str, str], given: Mapping[str, Any]) -> Facts:
    """What the rule of a mutation asks of."""
    if "userId" in given and "serviceId" not in given:
        return Facts("Mutation", id=UUID(ids["userId"]), user=UUID(ids["userId"]))
    return Facts("Mutation", service=UUID(ids["serviceId"]), channel="sms")


def allowed_outcomes(
    truth: GroundTruth, role: Role, mutation: str, ids: Mapping[str, str], given: Mapping[str, Any]
) -> set[str]:
    """What a caller may hear, by the rules: one thing, but where they neither see the object nor may call at all."""
    rule = policy().rule("Mutation", mutation)
    if is_in_audience(rule.audience, role, facts(ids, given), truth.memberships):
        return {"ACCEPTED"}
    if rule.denied_result == NULL:
        return {"ACCEPTED"}
    if role.kind == "nobody":
        return {"UNAUTHENTICATED"}
    oracle = Oracle(truth, role)
    named = [name for name in ("apiKeyId", "jobId", "templateId", "userId", "serviceId") if name in given]
    hidden = [name for name in named if not oracle.can_see((OBJECTS[name], given[name]))]
    if not hidden:
        return {"FORBIDDEN"}
    of_some_kind = rule.audience == ("platform admins",) or role.kind == "key"
    return {"NOT_FOUND", "FORBIDDEN"} if of_some_kind or len(hidden) < len(named) else {"NOT_FOUND"}


def mutation_input(mutation: str, ids: Mapping[str, str]) -> dict[str, Any]:
    """An input without what only some may give."""
    of_admins = {"updateService": {"notes", "billingDetails"}, "createService": {"organisationId"}}
    return {
        name: value
        for name, value in valid_inputs(dict(ids))[mutation].items()
        if name not in of_admins.get(mutation, ())
    }


@pytest.mark.parametrize("mutation", mutation_names())
async def test_a_mutation_is_open_to_whom_the_policy_says_and_closed_to_all_others(
    mutation: str, world: World, truth: GroundTruth
) -> None:
    ids = world.ours.arguments
    given = mutation_input(mutation, ids)
    connection = world.context.database._connection  # type: ignore[attr-defined]  # noqa: SLF001 - the world's own
    wrong = []
    for role, actor in world.callers:
        if actor is None or mutation in {"signIn", "completeSignIn", "verifyEmailAddress"}:
            continue
        savepoint = await connection.begin_nested()
        heard = await call(world, actor, mutation, given)
        await savepoint.rollback()
        if heard not in allowed_outcomes(truth, role, mutation, ids, given):
            wrong.append((role.name, heard, allowed_outcomes(truth, role, mutation, ids, given)))

    assert wrong == []


@pytest.mark.timeout(900)
async def test_no_mutation_by_anybody_touches_what_is_another_tenants(world: World, rollback_after: None) -> None:
    del rollback_after
    before = await checksums(world.context.database)
    wrong = []
    for role, actor in world.callers:
        if actor is None or role.kind == "admin":
            continue
        mine, others = world.ours.arguments, world.theirs.arguments
        if "other tenant" in role.name:
            mine, others = others, mine
        for mutation, path in FOREIGN:
            good = valid_inputs(mine)[mutation]
            heard = [
                await call(world, actor, mutation, replace_at(good, path, foreign))
                for foreign in (others[str(path[-1])], str(uuid4()))
            ]
            if heard[0] != heard[1] or heard[0] not in {"NOT_FOUND", "FORBIDDEN", "UNAUTHENTICATED"}:
                wrong.append((role.name, mutation, path, heard))

    assert wrong == []
    assert await checksums(world.context.database) == before

"""Every mutation, by every role: on own rows as `policy.txt` allows, on another tenant's never."""

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
    """Roll back the changes of a test."""
    connection = world.context.database._connection  # type: ignore[attr-defined]  # noqa: SLF001 - of the test's own database
    savepoint = await connection.begin_nested()
    yield
    await savepoint.rollback()


async def call(world: World, actor: Actor, mutation: str, arguments: Mapping[str, Any]) -> str:
    """The outcome of a mutation: the code of its error, or ACCEPTED."""
    result = await schema.execute(
        mutation_document(mutation), {"input": arguments}, context_value=world.context_for(actor)
    )
    if result.errors:
        return str((result.errors[0].extensions or {}).get("code"))
    (answer,) = (result.data or {}).values()
    codes = [error["code"] for error in answer["userErrors"]]
    # An error of a business rule comes after authorisation.
    return codes[0] if codes and codes[0] in {"NOT_FOUND", "FORBIDDEN"} else "ACCEPTED"


def facts(ids: Mapping[str, str], arguments: Mapping[str, Any]) -> Facts:
    """The facts for the rule of a mutation."""
    if "userId" in arguments and "serviceId" not in arguments:
        return Facts("Mutation", id=UUID(ids["userId"]), user=UUID(ids["userId"]))
    return Facts("Mutation", service=UUID(ids["serviceId"]), channel="sms")


def allowed_outcomes(
    truth: GroundTruth, role: Role, mutation: str, ids: Mapping[str, str], arguments: Mapping[str, Any]
) -> set[str]:
    """Outcomes allowed by the rules: one, unless the caller neither sees the object nor may call the mutation."""
    rule = policy().rule("Mutation", mutation)
    if is_in_audience(rule.audience, role, facts(ids, arguments), truth.memberships):
        return {"ACCEPTED"}
    if rule.denied_result == NULL:
        return {"ACCEPTED"}
    if role.kind == "anonymous":
        return {"UNAUTHENTICATED"}
    oracle = Oracle(truth, role)
    id_arguments = [name for name in ("apiKeyId", "jobId", "templateId", "userId", "serviceId") if name in arguments]
    hidden = [name for name in id_arguments if not oracle.can_see((OBJECTS[name], arguments[name]))]
    if not hidden:
        return {"FORBIDDEN"}
    of_some_kind = rule.audience == ("platform admins",) or role.kind == "key"
    return {"NOT_FOUND", "FORBIDDEN"} if of_some_kind or len(hidden) < len(id_arguments) else {"NOT_FOUND"}


def mutation_input(mutation: str, ids: Mapping[str, str]) -> dict[str, Any]:
    """An input without the fields that only some callers may send."""
    of_admins = {"updateService": {"notes", "billingDetails"}, "createService": {"organisationId"}}
    return {
        name: value
        for name, value in valid_inputs(dict(ids))[mutation].items()
        if name not in of_admins.get(mutation, ())
    }


@pytest.mark.parametrize("mutation", mutation_names())
async def test_each_mutation_is_allowed_to_the_roles_of_the_policy_only(
    mutation: str, world: World, truth: GroundTruth
) -> None:
    ids = world.ours.arguments
    arguments = mutation_input(mutation, ids)
    connection = world.context.database._connection  # type: ignore[attr-defined]  # noqa: SLF001 - of the test's own database
    wrong = []
    for role, actor in world.callers:
        if actor is None or mutation in {"signIn", "completeSignIn", "verifyEmailAddress"}:
            continue
        savepoint = await connection.begin_nested()
        outcome = await call(world, actor, mutation, arguments)
        await savepoint.rollback()
        if outcome not in allowed_outcomes(truth, role, mutation, ids, arguments):
            wrong.append((role.name, outcome, allowed_outcomes(truth, role, mutation, ids, arguments)))

    assert wrong == []


@pytest.mark.timeout(900)
async def test_no_mutation_changes_rows_of_another_tenant(world: World, rollback_after: None) -> None:
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
            outcome = [
                await call(world, actor, mutation, replace_at(good, path, foreign))
                for foreign in (others[str(path[-1])], str(uuid4()))
            ]
            if outcome[0] != outcome[1] or outcome[0] not in {"NOT_FOUND", "FORBIDDEN", "UNAUTHENTICATED"}:
                wrong.append((role.name, mutation, path, outcome))

    assert wrong == []
    assert await checksums(world.context.database) == before

"""Fields of Query that lead to no row: told to whom `policy.txt` says."""

from __future__ import annotations

from typing import Any

from graphql import get_named_type

from graphql_api.auth.actors import Actor
from schema import schema
from tests.matrix.audiences import Facts, Role, among
from tests.matrix.documents import BY_ID
from tests.matrix.ground_truth import ROOTS, Truth, identity, leads_to_rows, object_type, whole
from tests.matrix.oracles import FORBIDDEN, UNAUTHENTICATED, Oracle, differences, permissions_of
from tests.matrix.policies import NULL, policy
from tests.matrix.worlds import Tenant, World

VIEWER = """query ($service: ID!) { viewer {
    user { id } apiKey { id } service { id } isPlatformAdmin permissions(serviceId: $service)
} }"""


def asked(name: str, tenant: Tenant) -> tuple[str, dict[str, Any], Facts]:
    """A question, its variables, and what its rule is about."""
    field = object_type("Query").fields[name]
    kind: Any = get_named_type(field.type)
    selection = identity(kind) if leads_to_rows(kind) else whole(kind, edges=False)
    if not field.args:
        return f"{{ {name} {selection} }}", {}, Facts("Query")
    given: dict[str, dict[str, Any]] = {
        "userByEmailAddress": {"emailAddress": tenant.owner.email_address},
        "checkRecipients": {
            "input": {
                "serviceId": str(tenant.service.id),
                "templateId": str(tenant.templates["sms"].id),
                "source": {"rows": [{"recipient": {"phoneNumber": "07700900001"}, "personalisation": {"name": "A"}}]},
            }
        },
        "previewTemplate": {
            "input": {
                "serviceId": str(tenant.service.id),
                "content": {"sms": {"body": "Hello ((name))"}},
                "personalisation": {"name": "A"},
            }
        },
    }
    variables = given[name]
    taken = ", ".join(f"${one}: {field.args[one].type}" for one in variables)
    passed = ", ".join(f"{one}: ${one}" for one in variables)
    facts = Facts("Query", id=tenant.owner.id, service=tenant.service.id, user=tenant.owner.id, channel="sms")
    return f"query ({taken}) {{ {name}({passed}) {selection} }}", variables, facts


def others() -> list[str]:
    """Fields of Query that no path begins at, and that tell everybody the same."""
    of_oneself = {"viewer", "rateLimit"}
    return [name for name in object_type("Query").fields if name not in {*BY_ID, *ROOTS, *of_oneself, "node", "nodes"}]


async def answer(world: World, actor: Actor, text: str, variables: dict[str, Any]) -> tuple[Any, list[Any]]:
    result = await schema.execute(text, variables, context_value=world.as_seen_by(actor))
    codes = [(error.extensions or {}).get("code") for error in result.errors or []]
    return next(iter((result.data or {"": None}).values())), codes


async def test_what_is_no_row_is_told_to_whom_the_policy_says(world: World, truth: Truth) -> None:
    wrong: list[Any] = []
    for name in others():
        for tenant in (world.ours, world.theirs):
            text, variables, facts = asked(name, tenant)
            told, _ = await answer(world, world.context.actor, text, variables)
            assert told is not None, name
            rule = policy().rule("Query", name)
            for role, actor in world.callers:
                if actor is None:
                    continue
                seen, codes = await answer(world, actor, text, variables)
                may = among(rule.who, role, facts, truth.ties)
                refusal = UNAUTHENTICATED if role.kind == "nobody" else FORBIDDEN
                hidden = name == "checkRecipients" and not among(
                    ("those who see its service",), role, facts, truth.ties
                )
                expected = told if may else None
                heard = [] if may or rule.otherwise == NULL or (hidden and role.kind != "nobody") else [refusal]
                wrong += [(*one, name, role.name) for one in differences(expected, seen)]
                if codes != heard:
                    wrong.append((codes, heard, name, role.name))

    assert wrong == []


async def test_everybody_sees_themselves(world: World, truth: Truth) -> None:
    wrong = []
    for role, actor in world.callers:
        if actor is None:
            continue
        for tenant in (world.ours, world.theirs):
            seen, codes = await answer(world, actor, VIEWER, {"service": str(tenant.service.id)})
            expected = None if role.kind == "nobody" else _viewer(role, truth, tenant)
            wrong += [(*one, role.name) for one in differences(expected, seen)]
            assert codes == []

    assert wrong == []


def _viewer(role: Role, truth: Truth, tenant: Tenant) -> dict[str, Any]:
    facts = truth.facts["Service", str(tenant.service.id)]
    assert not role.user or Oracle(truth, role).sees(("User", str(role.user)))
    return {
        "user": {"id": str(role.user)} if role.user else None,
        "apiKey": {"id": str(role.key)} if role.key else None,
        "service": {"id": str(next(iter(role.services)))} if role.key else None,
        "isPlatformAdmin": role.kind == "admin",
        "permissions": [] if role.key else permissions_of(role, facts),
    }

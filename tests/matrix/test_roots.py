"""Fields of Query that lead to no row: told to whom `policy.txt` says."""

from __future__ import annotations

from typing import Any

from graphql import get_named_type

from graphql_api.auth.actors import Actor
from schema import schema
from tests.matrix.audiences import Facts, Role, is_in_audience
from tests.matrix.documents import ROOT_FIELDS_BY_ID
from tests.matrix.ground_truth import (
    ROOT_LISTS,
    GroundTruth,
    full_selection,
    identity_selection,
    is_row_type,
    object_type,
)
from tests.matrix.oracles import FORBIDDEN, UNAUTHENTICATED, Oracle, differences, viewer_permissions
from tests.matrix.policies import NULL, policy
from tests.matrix.worlds import Tenant, World

VIEWER = """query ($service: ID!) { viewer {
    user { id } apiKey { id } service { id } isPlatformAdmin permissions(serviceId: $service)
} }"""


def root_query(name: str, tenant: Tenant) -> tuple[str, dict[str, Any], Facts]:
    """A question, its variables, and what its rule is about."""
    field = object_type("Query").fields[name]
    kind: Any = get_named_type(field.type)
    selection = identity_selection(kind) if is_row_type(kind) else full_selection(kind, include_rows=False)
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


def remaining_root_fields() -> list[str]:
    """Fields of Query that no path begins at, and that tell everybody the same."""
    of_oneself = {"viewer", "rateLimit"}
    return [
        name
        for name in object_type("Query").fields
        if name not in {*ROOT_FIELDS_BY_ID, *ROOT_LISTS, *of_oneself, "node", "nodes"}
    ]


async def answer(world: World, actor: Actor, text: str, variables: dict[str, Any]) -> tuple[Any, list[Any]]:
    result = await schema.execute(text, variables, context_value=world.context_for(actor))
    codes = [(error.extensions or {}).get("code") for error in result.errors or []]
    return next(iter((result.data or {"": None}).values())), codes


async def test_fields_that_are_no_row_are_shown_to_the_roles_of_the_policy(world: World, truth: GroundTruth) -> None:
    wrong: list[Any] = []
    for name in remaining_root_fields():
        for tenant in (world.ours, world.theirs):
            text, variables, facts = root_query(name, tenant)
            told, _ = await answer(world, world.context.actor, text, variables)
            assert told is not None, name
            rule = policy().rule("Query", name)
            for role, actor in world.callers:
                if actor is None:
                    continue
                seen, codes = await answer(world, actor, text, variables)
                may = is_in_audience(rule.audience, role, facts, truth.memberships)
                refusal = UNAUTHENTICATED if role.kind == "nobody" else FORBIDDEN
                hidden = name == "checkRecipients" and not is_in_audience(
                    ("those who see its service",), role, facts, truth.memberships
                )
                expected = told if may else None
                heard = [] if may or rule.denied_result == NULL or (hidden and role.kind != "nobody") else [refusal]
                wrong += [(*one, name, role.name) for one in differences(expected, seen)]
                if codes != heard:
                    wrong.append((codes, heard, name, role.name))

    assert wrong == []


async def test_every_person_sees_themselves(world: World, truth: GroundTruth) -> None:
    wrong = []
    for role, actor in world.callers:
        if actor is None:
            continue
        for tenant in (world.ours, world.theirs):
            seen, codes = await answer(world, actor, VIEWER, {"service": str(tenant.service.id)})
            expected = None if role.kind == "nobody" else _expected_viewer(role, truth, tenant)
            wrong += [(*one, role.name) for one in differences(expected, seen)]
            assert codes == []

    assert wrong == []


def _expected_viewer(role: Role, truth: GroundTruth, tenant: Tenant) -> dict[str, Any]:
    facts = truth.facts["Service", str(tenant.service.id)]
    assert not role.user or Oracle(truth, role).can_see(("User", str(role.user)))
    return {
        "user": {"id": str(role.user)} if role.user else None,
        "apiKey": {"id": str(role.key)} if role.key else None,
        "service": {"id": str(next(iter(role.services)))} if role.key else None,
        "isPlatformAdmin": role.kind == "admin",
        "permissions": [] if role.key else viewer_permissions(role, facts),
    }

"""Fields of Query without rows: shown to the roles of `policy.txt`."""

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
    """A document, its variables, and the facts for its rule."""
    field = object_type("Query").fields[name]
    kind: Any = get_named_type(field.type)
    selection = identity_selection(kind) if is_row_type(kind) else full_selection(kind, include_rows=False)
    if not field.args:
        return f"{{ {name} {selection} }}", {}, Facts("Query")
    variables_by_field: dict[str, dict[str, Any]] = {
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
    variables = variables_by_field[name]
    declarations = ", ".join(f"${name}: {field.args[name].type}" for name in variables)
    arguments = ", ".join(f"{name}: ${name}" for name in variables)
    facts = Facts("Query", id=tenant.owner.id, service=tenant.service.id, user=tenant.owner.id, channel="sms")
    return f"query ({declarations}) {{ {name}({arguments}) {selection} }}", variables, facts


def remaining_root_fields() -> list[str]:
    """Fields of Query at which no path begins, with the same value for all callers."""
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
            data, _ = await answer(world, world.context.actor, text, variables)
            assert data is not None, name
            rule = policy().rule("Query", name)
            for role, actor in world.callers:
                if actor is None:
                    continue
                seen, codes = await answer(world, actor, text, variables)
                may = is_in_audience(rule.audience, role, facts, truth.memberships)
                refusal = UNAUTHENTICATED if role.kind == "anonymous" else FORBIDDEN
                hidden = name == "checkRecipients" and not is_in_audience(
                    ("those who see its service",), role, facts, truth.memberships
                )
                expected = data if may else None
                expected_codes = (
                    [] if may or rule.denied_result == NULL or (hidden and role.kind != "anonymous") else [refusal]
                )
                wrong += [(*difference, name, role.name) for difference in differences(expected, seen)]
                if codes != expected_codes:
                    wrong.append((codes, expected_codes, name, role.name))

    assert wrong == []


async def test_every_person_sees_themselves(world: World, truth: GroundTruth) -> None:
    wrong = []
    for role, actor in world.callers:
        if actor is None:
            continue
        for tenant in (world.ours, world.theirs):
            seen, codes = await answer(world, actor, VIEWER, {"service": str(tenant.service.id)})
            expected = None if role.kind == "anonymous" else _expected_viewer(role, truth, tenant)
            wrong += [(*difference, role.name) for difference in differences(expected, seen)]
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

"""Hostile values for every text and number of every mutation and filter: the server never fails."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLInputObjectType

from tests.builders import Builders, platform_admin, user_actor
from tests.conftest import Ask, GraphQLResponse
from tests.graphql_schema import SCHEMA
from tests.schema.tenants import (
    create_tenant,
    input_type_of,
    mutation_document,
    mutation_names,
    replace_at,
    scalar_paths,
    valid_inputs,
)

TEXTS = {
    "empty": "",
    "blank": " \t\n\u00a0\u200b",
    "nul": "a\0b",
    "half a pair": "a\ud800b",
    "overlong": "x" * 5_000,
    "at the limit, and longer when decomposed": "\uac01" * 255,
    "at the limit, and longer in lower case": "\u0130" * 255,
    "at the limit, and longer in a compatible form": "\ufdfa" * 255,
    "an address at the limit, and longer in lower case": "a" * 64 + "@" + ".".join(["\u0130" * 16] * 6) + ".gov.uk",
    "wildcards": "%_\\%_\\",
    "brackets": "((((a??))))((b??c))" * 20,
    "digits": "9" * 400,
    "noncharacters": "\ufffe\uffff\U0010ffff\u202e\ufeff",
    "a line separator": "a\u2028b\x85c\x0bd",
}
NUMBERS = (-(2**31), -1, 0, 2**31 - 1, 2**31, 2**63, 1e308)


def has_no_server_error(answer: GraphQLResponse) -> bool:
    """Whether the server did not fail: success, or only errors with codes for mistakes of the caller."""
    return not any(code in {"INTERNAL", "UNAVAILABLE"} for code in answer.error_codes)


def test_each_mutation_has_a_valid_input() -> None:
    ids = dict.fromkeys(
        ("organisationId", "serviceId", "userId", "templateId", "apiKeyId", "jobId"),
        "00000000-0000-0000-0000-000000000000",
    )

    assert set(valid_inputs(ids)) == set(mutation_names())


@pytest.mark.parametrize("mutation", mutation_names())
async def test_a_mutation_handles_any_text(mutation: str, ask: Ask, make: Builders) -> None:
    ours = await create_tenant(make)
    good = valid_inputs(ours.ids)[mutation]
    callers = [user_actor(ours.user, ours.service), platform_admin(ours.user)]
    faults = []

    for path in scalar_paths(input_type_of(mutation), "String", good):
        for what, text in TEXTS.items():
            for caller in callers:
                answer = await ask(mutation_document(mutation), by=caller, input=replace_at(good, path, text))
                if not has_no_server_error(answer):
                    faults.append((path, what, answer.errors))

    assert faults == []


@pytest.mark.parametrize("mutation", mutation_names())
async def test_a_mutation_handles_any_number(mutation: str, ask: Ask, make: Builders) -> None:
    ours = await create_tenant(make)
    good = valid_inputs(ours.ids)[mutation]
    faults = []

    for path in scalar_paths(input_type_of(mutation), "Int", good):
        for number in NUMBERS:
            answer = await ask(
                mutation_document(mutation),
                by=user_actor(ours.user, ours.service),
                input=replace_at(good, path, number),
            )
            if not has_no_server_error(answer):
                faults.append((path, number, answer.errors))

    assert faults == []


@pytest.mark.parametrize(
    "mutation", [name for name in mutation_names() if name not in {"signIn", "completeSignIn", "registerUser"}]
)
async def test_a_malformed_id_of_a_mutation_is_not_found(mutation: str, ask: Ask, make: Builders) -> None:
    ours = await create_tenant(make)
    good = valid_inputs(ours.ids)[mutation]

    for path in scalar_paths(input_type_of(mutation), "ID", good):
        for text in ("", "a", "\uff11" * 36, "{" + "0" * 32 + "}", "urn:uuid:" + str(ours.service.id), "x" * 5_000):
            answer = await ask(
                mutation_document(mutation), by=platform_admin(ours.user), input=replace_at(good, path, text)
            )
            (error,) = answer.user_errors
            assert (error["code"], error["missingId"]) == ("NOT_FOUND", text), (path, text)


ROOTS = {
    "services": (
        "ServiceFilter",
        "query ($filter: ServiceFilter) { services(filter: $filter) { totalCount nodes { id } } }",
    ),
    "organisations": (
        "OrganisationFilter",
        "query ($filter: OrganisationFilter) { organisations(filter: $filter) { totalCount nodes { id } } }",
    ),
    "users": ("UserFilter", "query ($filter: UserFilter) { users(filter: $filter) { totalCount nodes { id } } }"),
    "templates": (
        "TemplateFilter",
        """query ($filter: TemplateFilter, $id: ID!) { service(id: $id) {
            templates(filter: $filter) { totalCount nodes { id } }
        } }""",
    ),
    "notifications": (
        "NotificationFilter",
        """query ($filter: NotificationFilter, $id: ID!) { service(id: $id) {
            notifications(filter: $filter) { totalCount nodes { id } }
        } }""",
    ),
    "jobs": (
        "JobFilter",
        """query ($filter: JobFilter, $id: ID!) { service(id: $id) {
            jobs(filter: $filter) { totalCount nodes { id } }
        } }""",
    ),
    "keys": (
        "ApiKeyFilter",
        """query ($filter: ApiKeyFilter, $id: ID!) { service(id: $id) {
            apiKeys(filter: $filter) { totalCount nodes { id } }
        } }""",
    ),
}


@pytest.mark.parametrize("root", ROOTS)
async def test_a_filter_handles_any_value(root: str, ask: Ask, make: Builders) -> None:
    ours = await create_tenant(make)
    name, query = ROOTS[root]
    kind: Any = SCHEMA.get_type(name)
    assert isinstance(kind, GraphQLInputObjectType)
    variables = {"id": str(ours.service.id)} if "$id" in query else {}
    faults = []

    for field, definition in kind.fields.items():
        scalar = getattr(definition.type, "name", "")
        values: list[Any] = list(TEXTS.values()) if scalar in {"String", "ID"} else []
        if not scalar:  # a list of enum values
            values = [[], [*definition.type.of_type.of_type.values] * 100]
        for value in values:
            answer = await ask(query, by=platform_admin(ours.user), filter={field: value}, **variables)
            if not has_no_server_error(answer):
                faults.append((field, value, answer.errors))

    assert faults == []

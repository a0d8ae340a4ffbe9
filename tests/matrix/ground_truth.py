"""What is there: every row as the platform itself reads it, and the facts that rules ask of it, read by plain SQL."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    graphql,
    is_leaf_type,
)
from sqlalchemy import text

from graphql_api.context import Context
from tests.graphql_schema import SCHEMA
from tests.matrix.audiences import Facts, Memberships, facts_from_row
from tests.matrix.policies import policy
from tests.matrix.worlds import NAME_PREFIX, World

Key = tuple[str, str]
"""A type and an id."""

FACTS_SQL = {
    "Organisation": "SELECT id, id AS organisation FROM organisation",
    "Service": "SELECT id, id AS service, organisation_id AS organisation FROM services",
    "User": "SELECT id, id AS user FROM users",
    "ApiKey": "SELECT id, service_id AS service FROM api_keys",
    "Template": """
        SELECT id, service_id AS service, template_type AS channel, (
            SELECT coalesce(array_agg(user_id), '{}') FROM template_folder_map AS lying
            LEFT JOIN user_folder_permissions USING (template_folder_id)
            WHERE lying.template_id = templates.id HAVING count(lying.template_id) > 0
        ) AS opened_to
        FROM templates
    """,
    "TemplateVersion": "SELECT id || ':' || version AS key, service_id AS service FROM templates_history",
    "Job": "SELECT id, service_id AS service FROM jobs",
    "Notification": """
        SELECT id, service_id AS service, notification_type AS channel, key_type, (
            SELECT redact_personalisation FROM template_redacted WHERE template_redacted.template_id = view.template_id
        ) AS redacted
        FROM notifications_all_time_view AS view
    """,
    "AuditLogEntry": "SELECT id, service_id AS service, organisation_id AS organisation FROM change_log",
    "ServiceMembership": """
        SELECT user_id || ':' || service_id AS key, service_id AS service, user_id AS user FROM user_to_service
    """,
}
ROOT_LISTS = {"services": "", "organisations": "", "users": "", "auditLog": "", "search": f'query: "{NAME_PREFIX}", '}
"""Lists of Query, and what they are given."""
REQUIRED_ARGUMENTS = {("Template", "atVersion"): "(version: 1)"}
"""What fields are given that need something."""


@dataclass
class GroundTruth:
    """Rows by type and id: fields as the platform reads them, and facts."""

    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    facts: dict[Key, Facts] = field(default_factory=dict)
    lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Connections of Query."""
    memberships: Memberships = field(default_factory=lambda: Memberships({}, {}, {}))


def row_types() -> list[str]:
    """Types with rows."""
    return [name for name in policy().row_audiences if name not in {"Query", "Mutation", "Subscription", "Viewer"}]


def identity_selection(kind: GraphQLNamedType) -> str:
    """A selection by which a row is known again."""
    if kind.name == "ServiceMembership":
        return "{ __typename user { id } service { id } }"
    if isinstance(kind, GraphQLUnionType):
        return "{ __typename " + " ".join(f"... on {one.name} {{ id }}" for one in kind.types) + " }"
    return "{ __typename id }"


def key_of(reference: Mapping[str, Any]) -> Key:
    """The key of a row that was selected by `identity`."""
    kind = reference["__typename"]
    if kind == "ServiceMembership":
        return kind, f"{reference['user']['id']}:{reference['service']['id']}"
    return kind, reference["id"]


def is_row_type(kind: GraphQLNamedType) -> bool:
    """Whether a type is, or stands for, rows."""
    return isinstance(kind, GraphQLUnionType) or kind.name == "Node" or kind.name in row_types()


def is_connection_type(kind: GraphQLNamedType) -> bool:
    """Whether a type is a connection."""
    return kind.name.endswith("Connection")


def full_selection(kind: Any, *, include_rows: bool, abbreviate_parts: bool = False) -> str:
    """A selection of what a type has: its own values and parts, and rows that it leads to by their identities.

    Without `edges`, rows that it leads to directly are left out; of parts, with `brief`, one value is enough.
    """
    chosen = ["__typename"]
    for name, one in kind.fields.items():
        given, inner = REQUIRED_ARGUMENTS.get((kind.name, name), ""), get_named_type(one.type)
        if any(argument.type and str(argument.type).endswith("!") for argument in one.args.values()) and not given:
            continue
        if is_leaf_type(inner):
            chosen.append(name)
        elif is_connection_type(inner):
            if include_rows:
                chosen.append(f"{name}(first: 100) {connection_selection(inner)}")
        elif is_row_type(inner):
            if include_rows or kind.name in policy().embedded_types:
                chosen.append(f"{name}{given} {identity_selection(inner)}")
        elif inner.name == "UserError":
            chosen.append(f"{name} {{ __typename message code path }}")
        else:
            below = (
                _first_leaf_selection(inner) if abbreviate_parts else full_selection(inner, include_rows=include_rows)
            )
            chosen.append(f"{name} {below}")
    return "{ " + " ".join(chosen) + " }"


def _first_leaf_selection(kind: Any) -> str:
    for name, one in kind.fields.items():
        inner = get_named_type(one.type)
        if is_leaf_type(inner):
            return f"{{ {name} }}"
    name, one = next(iter(kind.fields.items()))
    return f"{{ {name} {_first_leaf_selection(get_named_type(one.type))} }}"


def connection_selection(kind: Any) -> str:
    """A selection of a connection: its rows' identities and cursors."""
    inner = get_named_type(kind.fields["nodes"].type)
    node = identity_selection(inner) if is_row_type(inner) else full_selection(inner, include_rows=False)
    more = " score" if kind.name == "SearchResultConnection" else ""
    return f"{{ edges {{ cursor{more} node {node} }} totalCount }}"


async def read_ground_truth(world: World) -> GroundTruth:
    """Everything that is there."""
    truth = GroundTruth()
    context = world.context
    async with context.database.read_connection() as connection:
        for kind, statement in FACTS_SQL.items():
            for row in await connection.execute(text(statement)):
                key = (kind, str(getattr(row, "key", None) or row.id))
                truth.facts[key] = facts_from_row(kind, row)
        members, colleagues = defaultdict(set), defaultdict(set)
        for user, service in await connection.execute(text("SELECT user_id, service_id FROM user_to_service")):
            members[user].add(service)
        for user, one in await connection.execute(text("SELECT user_id, organisation_id FROM user_to_organisation")):
            colleagues[user].add(one)
        owners = {one.id: one.organisation for key, one in truth.facts.items() if key[0] == "Service"}
        truth.memberships = Memberships(members, colleagues, owners)  # type: ignore[arg-type]
    await _read_rows(context, truth)
    for name, arguments in ROOT_LISTS.items():
        truth.lists[name] = await _read_full_list(context, name, arguments)
    _split_audit_log(truth)
    return truth


async def _read_full_list(context: Context, name: str, arguments: str) -> dict[str, Any]:
    inner = get_named_type(object_type("Query").fields[name].type)
    selection = connection_selection(inner).replace("totalCount", "totalCount pageInfo { hasNextPage endCursor }")
    query = f"query ($after: String) {{ {name}({arguments}first: 100, after: $after) {selection} }}"
    found = (await _execute(context, query, after=None))[name]
    more = found
    while more["pageInfo"]["hasNextPage"]:
        more = (await _execute(context, query, after=more["pageInfo"]["endCursor"]))[name]
        found["edges"] += more["edges"]
    assert len(found["edges"]) == found["totalCount"]
    return found  # type: ignore[no-any-return]


def _split_audit_log(truth: GroundTruth) -> None:
    """Logs are longer than a page, and each is part of the whole."""
    for (kind, _), row in truth.rows.items():
        if kind not in {"Organisation", "Service"}:
            continue
        side = kind.lower()
        edges = [
            {"node": edge["node"]}
            for edge in truth.lists["auditLog"]["edges"]
            if str(getattr(truth.facts[key_of(edge["node"])], side)) == row["id"]
        ]
        row["auditLog"] = {"edges": edges, "totalCount": len(edges)}


async def _read_rows(context: Context, truth: GroundTruth) -> None:
    for kind in ("Organisation", "Service", "User", "ApiKey", "Template", "Job", "Notification"):
        ids = [id_ for name, id_ in truth.facts if name == kind]
        selection = full_selection(SCHEMA.type_map[kind], include_rows=True)
        query = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ __typename ... on {kind} {selection} }} }}"
        for row in (await _execute(context, query, ids=ids))["nodes"]:
            truth.rows[kind, row["id"]] = row
    versions = full_selection(SCHEMA.type_map["TemplateVersion"], include_rows=True)
    entries = full_selection(SCHEMA.type_map["AuditLogEntry"], include_rows=True)
    members = full_selection(SCHEMA.type_map["ServiceMembership"], include_rows=True)
    below: list[tuple[str, str, Callable[[Any], str]]] = [
        ("Template", f"versions(first: 100) {{ nodes {versions} }}", lambda row: row["id"]),
        ("Service", f"members(first: 100) {{ nodes {members} }}", lambda row: key_of(row)[1]),
    ]
    for kind, selection, id_of in below:
        ids = [id_ for name, id_ in truth.facts if name == kind]
        query = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {kind} {{ {selection} }} }} }}"
        for parent in (await _execute(context, query, ids=ids))["nodes"]:
            for row in next(iter(parent.values()))["nodes"]:
                truth.rows[row["__typename"], id_of(row)] = row
    entries_of_all = f"auditLog(first: 100, after: $after) {{ nodes {entries} pageInfo {{ hasNextPage endCursor }} }}"
    after, more = None, True
    while more:
        log = (await _execute(context, f"query ($after: String) {{ {entries_of_all} }}", after=after))["auditLog"]
        truth.rows |= {("AuditLogEntry", row["id"]): row for row in log["nodes"]}
        after, more = log["pageInfo"]["endCursor"], log["pageInfo"]["hasNextPage"]


async def _execute(context: Context, query: str, **variables: Any) -> dict[str, Any]:
    """Without the limits of a request, which so wide a question passes."""
    context.reset_loaders()
    answer = await graphql(SCHEMA, query, context_value=context, variable_values=variables)
    assert not answer.errors, [str(error) for error in answer.errors][:3]
    return json.loads(json.dumps(answer.data, default=str))  # type: ignore[no-any-return]


def object_type(name: str) -> GraphQLObjectType:
    """A type of the schema."""
    kind = SCHEMA.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    return kind

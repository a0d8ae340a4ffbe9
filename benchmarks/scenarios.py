"""The scenarios: the request of each for each server, for the same rows and the same values."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.clients import post
from benchmarks.databases import DEEP_PAGE_NUMBERS, DEEP_PAGE_SIZE, LIST_PAGE_COUNT, LIST_PAGE_SIZE, TREE_SERVICE_COUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.databases import Parameters

OURS, HANDWRITTEN, POSTGRAPHILE = "ours", "handwritten", "postgraphile"
"""The query languages of the servers."""

_OUR_SCALARS = """
  id channel status statusGroup recipient reference keyType jobRowNumber provider createdAt sentAt updatedAt
"""
_POSTGRAPHILE_SCALARS = """
  id: rowId channel: notificationType status: notificationStatus statusGroup: notificationStatus recipient: to
  reference: clientReference keyType jobRowNumber provider: sentBy createdAt sentAt updatedAt
"""
_LATEST_FIRST = "orderBy: [CREATED_AT_DESC, ROW_ID_DESC]"
_CURRENT_TEMPLATES = "condition: {hidden: false, archived: false}, orderBy: [NAME_ASC, ROW_ID_ASC]"

_POINT = {
    OURS: """query Point($id: ID!) {
  service(id: $id) { id name organisationType rateLimitPerMinute version notes createdAt updatedAt }
}""",
    POSTGRAPHILE: """query Point($id: UUID!) {
  service: serviceByRowId(rowId: $id) {
    id: rowId name organisationType rateLimitPerMinute: rateLimit version notes createdAt updatedAt
  }
}""",
}
_DASHBOARD = {
    OURS: """query Dashboard($id: ID!) {
  service(id: $id) {
    id name
    templates(first: 20, filter: {archived: false}) { nodes { id name channel subject version updatedAt } }
    notifications(first: 50) {
      nodes { SCALARS template { id name } job { id fileName } createdBy { id name } }
    }
    jobs(first: 20) {
      nodes {
        id fileName status recipientCount createdAt scheduledFor processingStartedAt processingFinishedAt
        template { id name } createdBy { ... on User { id name } }
      }
    }
  }
}""".replace("SCALARS", _OUR_SCALARS),
    POSTGRAPHILE: """query Dashboard($id: UUID!) {
  service: serviceByRowId(rowId: $id) {
    id: rowId name
    templates: templatesByServiceId(first: 20, WRITTEN) {
      nodes { id: rowId name channel: templateType subject version updatedAt }
    }
    notifications: notificationsByServiceId(first: 50, LATEST) {
      nodes {
        SCALARS template { id: rowId name } job: jobByJobId { id: rowId fileName: originalFileName }
        createdBy: userByCreatedById { id: rowId name }
      }
    }
    jobs: jobsByServiceId(first: 20, LATEST) {
      nodes {
        id: rowId fileName: originalFileName status: jobStatus recipientCount: notificationCount createdAt scheduledFor
        processingStartedAt: processingStarted processingFinishedAt: processingFinished
        template: templateByTemplateId { id: rowId name } createdBy: userByCreatedById { id: rowId name }
      }
    }
  }
}""".replace("SCALARS", _POSTGRAPHILE_SCALARS)
    .replace("LATEST", _LATEST_FIRST)
    .replace("WRITTEN", _CURRENT_TEMPLATES),
}
_TREE = {
    OURS: """query Tree($id: ID!) {
  organisation(id: $id) {
    id name
    services(first: 50, orderBy: {field: NAME}) {
      nodes {
        id name
        members(first: 5) { nodes { user { id name emailAddress } } }
        templates(first: 10, filter: {archived: false}) { nodes { id name channel version updatedAt } }
      }
    }
  }
}""",
    POSTGRAPHILE: """query Tree($id: UUID!) {
  organisation: organisationByRowId(rowId: $id) {
    id: rowId name
    services: servicesByOrganisationId(first: 50, orderBy: [NAME_ASC, ROW_ID_ASC]) {
      nodes {
        id: rowId name
        members: userToServicesByServiceId(first: 5, orderBy: [USER_ID_ASC]) {
          nodes { user: userByUserId { id: rowId name emailAddress } }
        }
        templates: templatesByServiceId(first: 10, WRITTEN) {
          nodes { id: rowId name channel: templateType version updatedAt }
        }
      }
    }
  }
}""".replace("WRITTEN", _CURRENT_TEMPLATES),
}
_NODES = {
    OURS: f"{{ nodes {{ {_OUR_SCALARS} template {{ id name }} createdBy {{ id name }} }} }}",
    POSTGRAPHILE: f"""{{ nodes {{
      {_POSTGRAPHILE_SCALARS} template {{ id: rowId name }} createdBy: userByCreatedById {{ id: rowId name }}
    }} }}""",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: the bodies of its requests, and the concurrencies at which it is measured."""

    name: str
    title: str
    bodies: Mapping[str, Callable[[], bytes]]
    """A function that makes the body, by language; a scenario without a language is not run there."""
    concurrencies: tuple[int, ...] = (16,)
    nodes: int = 0
    """Number of nodes in the response, where the cost per node is compared."""

    def request(self, language: str, path: str, headers: Mapping[str, str]) -> Callable[[], bytes] | None:
        """A function that makes the bytes of each request; None where the language lacks the scenario."""
        body = self.bodies.get(language)
        if body is None:
            return None
        if self.name == COLD:
            return lambda: post(path, body(), dict(headers))
        request = post(path, body(), dict(headers))
        return lambda: request


COLD = "cold"
TARGET_SCENARIOS = ("point", "dashboard", "tree", "list")
"""The scenarios whose results are compared with the targets."""


def all_scenarios(parameters: Parameters, postgraphile_cursors: Mapping[int, str]) -> list[Scenario]:
    """Every scenario; `postgraphile_cursors` are PostGraphile's cursors by offset."""
    service, organisation = parameters.service_id, parameters.organisation_id
    cursors: dict[str, Callable[[int], str | None]] = {OURS: parameters.cursor, POSTGRAPHILE: postgraphile_cursors.get}
    concurrencies = (1, 16, 64)
    pages = range(LIST_PAGE_SIZE, LIST_PAGE_SIZE * LIST_PAGE_COUNT, LIST_PAGE_SIZE)
    return [
        _scenario("point", "One service", _POINT, service, ("point", [service]), concurrencies),
        _scenario("dashboard", "Dashboard", _DASHBOARD, service, ("dashboard", [service]), concurrencies),
        _scenario(
            "tree", f"{TREE_SERVICE_COUNT} services", _TREE, organisation, ("tree", [organisation]), concurrencies, 800
        ),
        _scenario(
            "list",
            f"{LIST_PAGE_SIZE * LIST_PAGE_COUNT:,} messages",
            {language: _list(language, list(pages)) for language in (OURS, POSTGRAPHILE)},
            service,
            ("list 1000", [service]),
            concurrencies,
            LIST_PAGE_SIZE * LIST_PAGE_COUNT,
            variables={
                language: {f"p{offset}": cursor(offset) for offset in pages} for language, cursor in cursors.items()
            },
        ),
        *(
            _scenario(
                f"growth-{size}",
                f"{size} messages",
                {language: _list(language, [], size) for language in (OURS, POSTGRAPHILE)},
                service,
                (f"list {size}", [service]),
                nodes=size,
            )
            for size in (10, 100)
        ),
        *(
            _deep_page(parameters, depth, cursors)
            for depth in DEEP_PAGE_NUMBERS
            if (depth - 1) * DEEP_PAGE_SIZE in {0, *parameters.cursor_positions}
        ),
        _scenario("count", "totalCount", _COUNT, service, ("count", [service])),
        Scenario(COLD, "Dashboard, new document", _cold_bodies(service)),
    ]


def _scenario(
    name: str,
    title: str,
    documents: Mapping[str, str],
    root_id: str,
    handwritten: tuple[str, list[Any]],
    concurrencies: tuple[int, ...] = (16,),
    nodes: int = 0,
    variables: Mapping[str, Mapping[str, Any]] | None = None,
) -> Scenario:
    bodies = {
        language: _graphql(document, {"id": root_id, **(variables or {}).get(language, {})})
        for language, document in documents.items()
    }
    statement, values = handwritten
    handwritten_body = json.dumps({"statement": statement, "parameters": values}).encode()
    return Scenario(name, title, {**bodies, HANDWRITTEN: lambda: handwritten_body}, concurrencies, nodes)


def _graphql(document: str, variables: Mapping[str, Any]) -> Callable[[], bytes]:
    body = json.dumps({"query": document, "variables": variables}).encode()
    return lambda: body


def _list(language: str, offsets: list[int], size: int = LIST_PAGE_SIZE) -> str:
    """The first page, and the page after each of the offsets, as aliases of one field."""
    identifier, cursor = ("ID!", "String") if language == OURS else ("UUID!", "Cursor")
    arguments = "".join(f", $p{offset}: {cursor}" for offset in offsets)
    field, order, head = (
        ("notifications", "", "service(id: $id)")
        if language == OURS
        else ("notificationsByServiceId", f", {_LATEST_FIRST}", "service: serviceByRowId(rowId: $id)")
    )
    first = f"p0: {field}(first: {size}{order}) {_NODES[language]}"
    others = "".join(
        f" p{offset}: {field}(first: {size}, after: $p{offset}{order}) {_NODES[language]}" for offset in offsets
    )
    return f"query List($id: {identifier}{arguments}) {{ {head} {{ {first}{others} }} }}"


_PAGE = {
    OURS: "query Page($id: ID!, $after: String) { service(id: $id) { "
    f"notifications(first: {DEEP_PAGE_SIZE}, after: $after) {{ nodes {{ {_OUR_SCALARS} }} }} }} }}",
    POSTGRAPHILE: "query Page($id: UUID!, $after: Cursor) { service: serviceByRowId(rowId: $id) { "
    f"notifications: notificationsByServiceId(first: {DEEP_PAGE_SIZE}, after: $after, {_LATEST_FIRST}) "
    f"{{ nodes {{ {_POSTGRAPHILE_SCALARS} }} }} }} }}",
}
_COUNT = {
    OURS: f"query Count($id: ID!) {{ service(id: $id) {{ "
    f"notifications(first: {DEEP_PAGE_SIZE}) {{ totalCount nodes {{ id }} }} }} }}",
    POSTGRAPHILE: "query Count($id: UUID!) { service: serviceByRowId(rowId: $id) { "
    f"notifications: notificationsByServiceId(first: {DEEP_PAGE_SIZE}, {_LATEST_FIRST}) "
    "{ totalCount nodes { id: rowId } } } }",
}
POSTGRAPHILE_CURSOR_QUERY = f"""query Cursor($id: UUID!, $offset: Int!) {{
  serviceByRowId(rowId: $id) {{
    notificationsByServiceId(first: 1, offset: $offset, {_LATEST_FIRST}) {{ edges {{ cursor }} }}
  }}
}}"""
"""Reads PostGraphile's cursor of a position."""


def _deep_page(parameters: Parameters, depth: int, cursors: Mapping[str, Callable[[int], str | None]]) -> Scenario:
    before = (depth - 1) * DEEP_PAGE_SIZE
    service_id = parameters.service_id
    handwritten = (
        ("page", [service_id, *parameters.cursor_positions[before]]) if before else ("first page", [service_id])
    )
    variables = {language: {"after": cursor(before) if before else None} for language, cursor in cursors.items()}
    return _scenario(f"page-{depth}", f"Page {depth:,}", _PAGE, service_id, handwritten, variables=variables)


def _cold_bodies(service_id: str) -> dict[str, Callable[[], bytes]]:
    """The dashboard as a new document each time, with a different alias."""
    numbers = itertools.count(int.from_bytes(service_id.encode()[-3:]))

    def cold(document: str) -> Callable[[], bytes]:
        body = json.dumps(
            {"query": document.replace("id name", "id n00000000: name", 1), "variables": {"id": service_id}}
        )
        if "n00000000" not in body:
            body = body.replace("id: rowId name", "id: rowId n00000000: name", 1)
        head, tail = body.encode().split(b"n00000000")
        return lambda: b"%bn%08d%b" % (head, next(numbers), tail)

    return {language: cold(document) for language, document in _DASHBOARD.items()}

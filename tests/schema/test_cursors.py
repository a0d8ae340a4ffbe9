"""Pages through lists by cursors, forwards and backwards, with null sort keys and forged cursors."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import pytest

from graphql_api.auth.actors import Actor
from tests.builders import Builders, user_actor
from tests.conftest import Ask

PAGE = "totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
ARGUMENTS = "first: $first, after: $after, last: $last, before: $before, orderBy: $order"


def service_page_query(noun: str, order: str, argument: str = "") -> str:
    """A query for a page of something that a service has."""
    return f"""query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $order: {order}) {{
        service(id: $id) {{ page: {noun}({ARGUMENTS}{argument}) {{ {PAGE} }} }}
    }}"""


SERVICES = f"""query ($first: Int, $after: String, $last: Int, $before: String, $order: ServiceOrder) {{
    page: services({ARGUMENTS}) {{ {PAGE} }}
}}"""
TEMPLATES = service_page_query("templates", "TemplateOrder")
JOBS = service_page_query("jobs", "JobOrder")


class SortedRows:
    """A member of several services; the sort keys of some services, templates and jobs are null."""

    def __init__(self, make: Builders) -> None:
        self._make = make
        self.ids: dict[str, list[tuple[datetime | None, str]]] = {"services": [], "templates": [], "jobs": []}

    async def build(self) -> Actor:
        """Create the rows; returns the member."""
        instants = [datetime(2026, 1, day) if day else None for day in (2, 0, 1, 0, 2, 0)]  # noqa: DTZ001 - naive UTC
        services = [await self._make.service(go_live_at=instant) for instant in instants]
        self.service = services[0]
        templates = [await self._make.template(self.service, updated_at=instant) for instant in instants]
        jobs = [await self._make.job(templates[0], scheduled_for=instant) for instant in instants]
        rows_by_noun: dict[str, list[Any]] = {"services": [*services], "templates": [*templates], "jobs": [*jobs]}
        for noun, rows in rows_by_noun.items():
            self.ids[noun] = [(instant, str(row.id)) for instant, row in zip(instants, rows, strict=True)]
        return user_actor(await self._make.member(self.service), *services)

    def sorted(self, noun: str, *, descending: bool) -> list[str]:
        """Ids in the expected order: rows without an instant last, in both directions."""
        with_instant = sorted((item for item in self.ids[noun] if item[0]), reverse=descending)
        without_instant = sorted((item[1] for item in self.ids[noun] if not item[0]), reverse=descending)
        return [item[1] for item in with_instant] + without_instant


CASES = [
    ("services", "WENT_LIVE_AT", SERVICES),
    ("templates", "UPDATED_AT", TEMPLATES),
    ("jobs", "SCHEDULED_FOR", JOBS),
]


@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("noun", "field", "query"), CASES)
async def test_rows_without_an_instant_come_last_and_each_comes_once(
    noun: str, field: str, query: str, *, descending: bool, size: int, ask: Ask, make: Builders
) -> None:
    sorted_rows = SortedRows(make)
    actor = await sorted_rows.build()
    variables: dict[str, Any] = {"order": {"field": field, "direction": "DESC" if descending else "ASC"}}
    variables |= {} if noun == "services" else {"id": str(sorted_rows.service.id)}
    expected = sorted_rows.sorted(noun, descending=descending)

    async def page(**place: Any) -> dict[str, Any]:
        answer = await ask(query, by=actor, **variables, **place)
        assert answer.errors == []
        assert answer.data is not None
        connection: dict[str, Any] = answer.data.get("page") or answer.data["service"]["page"]
        assert connection["totalCount"] == 6
        return connection

    for size_name, place, ends in (("first", "after", "endCursor"), ("last", "before", "startCursor")):
        all_ids: list[str] = []
        cursor, more = None, True
        while more:
            connection = await page(**{size_name: size, place: cursor})
            ids = [node["id"] for node in connection["nodes"]]
            all_ids = [*all_ids, *ids] if size_name == "first" else [*ids, *all_ids]
            info = connection["pageInfo"]
            ahead, behind = (
                (info["hasNextPage"], info["hasPreviousPage"])
                if size_name == "first"
                else (info["hasPreviousPage"], info["hasNextPage"])
            )
            assert behind is (cursor is not None)
            cursor, more = info[ends], ahead
        assert all_ids == expected


def encoded_cursor(*values: Any) -> str:
    """A forged cursor of these values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


ID = "6f1c1d3e-5b0a-4f0e-8c5d-0a8e6a0b8d11"
FORGED = [
    "", " ", "x", "é", "=" * 100, "A" * 5_000, encoded_cursor(), encoded_cursor("name"), encoded_cursor(1, 2, 3),
    encoded_cursor("name,id", 1, ID),
    encoded_cursor("name,id", "a\0", ID), encoded_cursor("name,id", "a\ud800", ID), encoded_cursor("name,id", None,
    None), encoded_cursor("name,id", "a", "b"),
    encoded_cursor("name,id", "a", 7), encoded_cursor("name,id", ["a"], ID), encoded_cursor("created_at,id", "x", ID),
    encoded_cursor("created_at,id", 1, ID),
    encoded_cursor("created_at,id", "2026-01-01T00:00:00Z", ID), encoded_cursor("created_at,id", None, ID),
    encoded_cursor("created_at,id", "infinity", ID),
    base64.urlsafe_b64encode(b"{}").decode(), base64.urlsafe_b64encode(b"[" * 1_400).decode(), "\u0661\u0662",
]  # fmt: skip


@pytest.mark.parametrize("query", [SERVICES, TEMPLATES, JOBS, service_page_query("notifications", "NotificationOrder")])
async def test_a_forged_cursor_is_refused(query: str, ask: Ask, make: Builders) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)
    variables = {} if query is SERVICES else {"id": str(service.id)}
    for forged in FORGED:
        for place in ("after", "before"):
            answer = await ask(query, by=actor, **variables, **{place: forged})
            assert answer.error_codes == ["BAD_REQUEST"], (forged, place)


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "1970-01-01"])
async def test_a_forged_but_valid_cursor_is_a_position(instant: str, ask: Ask, make: Builders) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)

    for place in ("after", "before"):
        answer = await ask(
            service_page_query("notifications", "NotificationOrder"),
            by=actor,
            id=str(service.id),
            **{place: encoded_cursor("created_at,id", instant, ID)},
        )
        assert answer.root_field["page"]["nodes"] == []

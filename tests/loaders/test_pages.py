"""Keyset pages: both directions, exact ends, one statement for all parents."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import loaders.services
from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.errors import BadRequest
from loaders.core import Loaders, Order, PageArguments, PageResult, decode_cursor, ordered_by
from tests.builders import Builders, platform_admin, user_actor
from tests.conftest import Statements

TEMPLATES = loaders.services.templates
BY_NAME = TEMPLATES.orders["name"]


class PageReader:
    """Reads pages of a service's templates, by name."""

    def __init__(self, database: Database, actor: Actor, *services: models.Service) -> None:
        self.loaders = Loaders(database, actor)
        self.services = services

    async def page(self, order: Order = BY_NAME, **paging: Any) -> PageResult:
        """One page of the first service."""
        return await self.loaders.page(TEMPLATES, self.services[0].id, PageArguments.parse(order, {}, **paging))


@pytest.fixture
async def reader(make: Builders, database: Database) -> PageReader:
    """Five templates, a to e, in one service, and one in another."""
    service, other = await make.service(), await make.service()
    for name in "cadbe":
        await make.template(service, name=name)
    await make.template(other, name="x")
    user = await make.member(service)
    return PageReader(database, user_actor(user, service), service, other)


def row_names(result: PageResult) -> str:
    """Names of the rows, joined."""
    return "".join(row.name for row in result.rows)


async def test_the_first_page_has_the_first_rows_and_a_next_page(reader: PageReader) -> None:
    result = await reader.page(first=2)

    assert (row_names(result), result.has_more, await reader.loaders.has_previous(result)) == ("ab", True, False)


async def test_the_next_page_continues_after_the_cursor(reader: PageReader) -> None:
    first = await reader.page(first=2)
    result = await reader.page(first=2, after=first.cursor(first.rows[-1]))

    assert (row_names(result), result.has_more, await reader.loaders.has_previous(result)) == ("cd", True, True)


async def test_the_last_page_has_no_next_page(reader: PageReader) -> None:
    first = await reader.page(first=4)
    result = await reader.page(first=1, after=first.cursor(first.rows[-1]))

    assert (row_names(result), result.has_more) == ("e", False)


async def test_a_page_read_backwards_has_the_same_order(reader: PageReader) -> None:
    result = await reader.page(last=2)

    assert (row_names(result), result.has_more, await reader.loaders.has_previous(result)) == ("de", True, False)


async def test_a_page_before_a_cursor_has_a_next_page(reader: PageReader) -> None:
    last = await reader.page(last=2)
    result = await reader.page(last=2, before=last.cursor(last.rows[0]))

    assert (row_names(result), result.has_more, await reader.loaders.has_previous(result)) == ("bc", True, True)


async def test_descending_reverses_every_sort_key(reader: PageReader) -> None:
    result = await reader.page(BY_NAME.in_direction(descending=True), first=3)

    assert (row_names(result), result.has_more) == ("edc", True)


async def test_an_empty_page_has_the_right_page_info(reader: PageReader) -> None:
    result = await reader.page(first=0)

    assert (row_names(result), result.has_more) == ("", True)


async def test_a_deleted_row_does_not_shift_the_next_page(reader: PageReader, database: Database) -> None:
    first = await reader.page(first=2)
    place = first.cursor(first.rows[-1])
    async with database.transaction() as tx:
        template = await tx.get(models.Template, first.rows[-1].id)
        assert template is not None
        template.archived = True
    reader.loaders = Loaders(database, reader.loaders.actor)
    result = await reader.loaders.page(
        TEMPLATES, reader.services[0].id, PageArguments.parse(BY_NAME, {"archived": False}, first=2, after=place)
    )

    assert row_names(result) == "cd"


async def test_pages_of_many_parents_and_cursors_take_one_statement(
    make: Builders, database: Database, statements: Statements
) -> None:
    services = [await make.service() for _ in range(3)]
    for service in services:
        for name in "abc":
            await make.template(service, name=name)
    reader = Loaders(database, platform_admin(await make.user()))
    with statements(1):
        firsts = await read_pages(reader, services, [PageArguments.parse(BY_NAME, {}, first=1)] * 3)
    cursors = [result.cursor(result.rows[0]) for result in firsts]
    with statements(1):
        seconds = await read_pages(
            reader, services, [PageArguments.parse(BY_NAME, {}, first=2, after=place) for place in cursors]
        )
    with statements(1):
        totals = [await total for total in [reader.total_count(TEMPLATES, services[0].id, {})]]

    assert [row_names(result) for result in seconds] == ["bc", "bc", "bc"]
    assert totals == [3]


async def read_pages(
    reader: Loaders, services: list[models.Service], arguments: list[PageArguments]
) -> list[PageResult]:
    """Read a page of each service concurrently."""
    import asyncio  # noqa: PLC0415 - only here

    return list(
        await asyncio.gather(
            *(
                reader.page(TEMPLATES, service.id, arguments_)
                for service, arguments_ in zip(services, arguments, strict=True)
            )
        )
    )


async def test_a_service_that_is_not_visible_has_no_templates_and_a_count_of_0(reader: PageReader) -> None:
    result = await reader.loaders.page(TEMPLATES, reader.services[1].id, PageArguments.parse(BY_NAME, {}, first=2))

    assert (row_names(result), result.has_more) == ("", False)
    assert await reader.loaders.total_count(TEMPLATES, reader.services[1].id, {}) == 0


@pytest.mark.parametrize(
    "paging",
    [
        {"first": -1},
        {"first": 101},
        {"last": 2**31 - 1},
        {"first": 1, "last": 1},
        {"after": "x", "before": "y"},
        {"last": 1, "after": "x"},
        {"first": 1, "before": "x"},
    ],
    ids=str,
)
def test_contradictory_paging_arguments_are_refused(paging: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        PageArguments.parse(BY_NAME, {}, **paging)


@pytest.mark.parametrize(
    "text",
    ["", "x", "é", "!!!!", "a" * 5000, "bnVsbA", "W10", "WzFd", "WyJuYW1lIl0", "eyJhIjoxfQ", "W1tbW1tbW1tbW1tbW1tb"],
)
def test_a_malformed_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        decode_cursor(text, BY_NAME)


def test_a_cursor_of_another_order_is_refused() -> None:
    other = ordered_by(models.Template.created_at, models.Template.id)
    cursor = PageResult(TEMPLATES, None, PageArguments(BY_NAME, 1), [], has_more=False)
    row = type("Row", (), {f"sort_{index}": "a" for index in range(3)})()

    with pytest.raises(BadRequest):
        decode_cursor(cursor.cursor(row), other)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_a_cursor_or_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        decode_cursor(text, BY_NAME)

"""Search: its results, their order, and that callers find only what they see."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text, update

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.domain import search_entries
from graphql_api.enums import Channel
from tests.builders import Builders, api_key_actor, organisation_member, platform_admin, stranger, user_actor
from tests.conftest import Ask, SingleConnectionDatabase, Statements
from tests.models.databases import open_connection

SEARCH = """query ($query: String!, $types: [SearchType!], $first: Int, $after: String, $last: Int, $before: String) {
    search(query: $query, types: $types, first: $first, after: $after, last: $last, before: $before) {
        totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        edges {
            cursor score
            node {
                __typename
                ... on Organisation { name } ... on Service { name } ... on Template { name } ... on User { name }
            }
        }
        nodes { __typename }
    }
}"""


@dataclass
class NamedTenant:
    """An organisation, a service with a member and an organisation's member, templates and a key."""

    organisation: models.Organisation
    service: models.Service
    member: models.User
    key: models.ApiKey


async def refresh_entries(database: SingleConnectionDatabase) -> None:
    """Gather the search entries."""
    async with database.transaction() as tx:
        assert await search_entries.refresh(tx)


async def create_tenant(make: Builders, name: str) -> NamedTenant:
    """Create a tenant whose objects all have the name."""
    organisation = await make.organisation(name=f"{name} Agency")
    service = await make.service(
        name=f"{name} Applications",
        organisation_id=organisation.id,
        created_by_id=(await make.user(name="Creator", email_address=f"creator.{name.lower()}@example.gov.uk")).id,
    )
    member = await make.member(
        service, user=await make.user(name=f"{name} Person", email_address=f"{name.lower()}.one@example.gov.uk")
    )
    await make.template(service, Channel.EMAIL, name="Reminder", subject=f"Your {name} appointment")
    await make.template(service, name=f"{name} ready")
    return NamedTenant(organisation, service, member, await make.api_key(service))


@pytest_asyncio.fixture
async def tenants(make: Builders, database: SingleConnectionDatabase) -> tuple[NamedTenant, NamedTenant]:
    """Two tenants with similar names."""
    both = await create_tenant(make, "Passport"), await create_tenant(make, "Passage")
    await refresh_entries(database)
    return both


async def search_results(ask: Ask, by: Actor, query: str, **variables: Any) -> list[tuple[str, str]]:
    """Types and names of the results, in their order."""
    answer = (await ask(SEARCH, by=by, query=query, **{"first": 100} | variables)).root_field
    nodes = [edge["node"] for edge in answer["edges"]]
    assert answer["totalCount"] == len(nodes) == len(answer["nodes"])
    assert sorted(answer["edges"], key=lambda edge: -edge["score"]) == answer["edges"]
    return [(node["__typename"], node["name"]) for node in nodes]


async def test_results_are_sorted_by_similarity(ask: Ask, tenants: tuple[NamedTenant, NamedTenant]) -> None:
    mine, _ = tenants

    answer = (await ask(SEARCH, by=user_actor(mine.member, mine.service), query=" PASSPORT ")).root_field

    assert [(edge["score"], edge["node"]["__typename"], edge["node"]["name"]) for edge in answer["edges"]] == [
        (0.6, "Template", "Passport ready"),
        (0.5625, "Organisation", "Passport Agency"),
        (0.4091, "Service", "Passport Applications"),
        (0.2647, "User", "Passport Person"),
        (0.2571, "Template", "Reminder"),
    ]
    assert answer["totalCount"] == 5


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sport read", [("Template", "Passport ready")]),
        ("port appoint", [("Template", "Reminder")]),
        ("PASSPORT.ONE@", [("User", "Passport Person")]),
        ("passport  ready", []),
        ("reminderyour", []),
    ],
)
async def test_a_part_of_a_name_a_subject_or_an_address(
    ask: Ask, tenants: tuple[NamedTenant, NamedTenant], query: str, expected: list[tuple[str, str]]
) -> None:
    mine, _ = tenants

    assert await search_results(ask, user_actor(mine.member, mine.service), query) == expected


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["SERVICE"], ["Service"]),
        (["USER", "ORGANISATION"], ["Organisation", "User"]),
        (["TEMPLATE", "TEMPLATE"], ["Template", "Template"]),
        ([], []),
    ],
)
async def test_results_are_of_the_given_types_only(
    ask: Ask, tenants: tuple[NamedTenant, NamedTenant], types: list[str], expected: list[str]
) -> None:
    mine, _ = tenants

    assert [
        kind for kind, _ in await search_results(ask, user_actor(mine.member, mine.service), "passport", types=types)
    ] == expected


CALLERS: dict[str, tuple[Callable[[NamedTenant], Actor], set[str]]] = {
    "member": (
        lambda mine: user_actor(mine.member, mine.service),
        {"Agency", "Applications", "Person", "ready", "Reminder"},
    ),
    "member without permissions": (
        lambda mine: user_actor(mine.member, mine.service, permissions=()),
        {"Agency", "Applications", "Person", "ready", "Reminder"},
    ),
    "organisation member": (
        lambda mine: organisation_member(mine.member, mine.organisation.id),
        {"Agency", "Applications", "Person", "ready", "Reminder"},
    ),
    "key": (lambda mine: api_key_actor(mine.key), {"Applications", "ready", "Reminder"}),
    "stranger": (lambda _: stranger(), set()),
}


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_caller_finds_only_what_they_see(
    ask: Ask, tenants: tuple[NamedTenant, NamedTenant], caller: str
) -> None:
    who, expected = CALLERS[caller]
    mine, _ = tenants

    for query in ("pass", "example.gov.uk", "applications", "reminder", "passage"):
        assert [result for result in await search_results(ask, who(mine), query) if "Passage" in result[1]] == []
    assert {name.split()[-1] for _, name in await search_results(ask, who(mine), "passport")} == expected
    assert await search_results(ask, who(mine), "passage") == []


async def test_platform_admins_find_objects_of_all_tenants(ask: Ask, tenants: tuple[NamedTenant, NamedTenant]) -> None:
    assert await search_results(ask, platform_admin(tenants[0].member), "applications") == [
        ("Service", "Passage Applications"),
        ("Service", "Passport Applications"),
    ]


async def test_an_anonymous_caller_finds_nothing(ask: Ask) -> None:
    assert (await ask(SEARCH, query="passport")).error_codes == ["UNAUTHENTICATED"]


async def test_a_template_in_a_closed_folder_is_not_found(
    ask: Ask, make: Builders, database: SingleConnectionDatabase, tenants: tuple[NamedTenant, NamedTenant]
) -> None:
    mine, _ = tenants
    template = await make.template(mine.service, name="Passport hidden away")
    folder = models.TemplateFolder(service_id=mine.service.id, name="Closed")
    await make.add(folder, models.TemplateFolderEntry(template_id=template.id, template_folder_id=folder.id))
    await refresh_entries(database)
    member = user_actor(mine.member, mine.service)
    before = await search_results(ask, member, "hidden away")

    await make.add(
        models.FolderPermission(user_id=mine.member.id, template_folder_id=folder.id, service_id=mine.service.id)
    )

    assert before == []
    assert await search_results(ask, member, "hidden away") == [("Template", "Passport hidden away")]


REMOVALS: dict[str, Any] = {
    "Agency": lambda mine: (
        update(models.Organisation).where(models.Organisation.id == mine.organisation.id).values(active=False)
    ),
    "Applications": lambda mine: (
        update(models.Service).where(models.Service.id == mine.service.id).values(active=False)
    ),
    "ready": lambda _: update(models.Template).where(models.Template.name == "Passport ready").values(archived=True),
    "Reminder": lambda mine: (
        update(models.Template)
        .where(models.Template.name == "Reminder", models.Template.service_id == mine.service.id)
        .values(hidden=True)
    ),
    "Person": lambda mine: update(models.User).where(models.User.id == mine.member.id).values(state="inactive"),
}


@pytest.mark.parametrize("going", REMOVALS)
async def test_a_removed_object_is_not_found_by_its_old_entry(
    ask: Ask, database: SingleConnectionDatabase, tenants: tuple[NamedTenant, NamedTenant], going: str
) -> None:
    mine, _ = tenants
    admin = platform_admin(tenants[1].member)
    before = {name.split()[-1] for _, name in await search_results(ask, admin, "passport")}

    async with database.transaction() as tx:
        await tx.execute(REMOVALS[going](mine))

    assert before - {name.split()[-1] for _, name in await search_results(ask, admin, "passport")} == {going}


async def test_an_object_that_is_no_longer_visible_is_not_found_by_its_entry(
    ask: Ask, database: SingleConnectionDatabase, tenants: tuple[NamedTenant, NamedTenant]
) -> None:
    mine, theirs = tenants
    member = organisation_member(mine.member, mine.organisation.id)
    before = await search_results(ask, member, "applications")

    async with database.transaction() as tx:
        await tx.execute(
            update(models.Service)
            .where(models.Service.id == mine.service.id)
            .values(organisation_id=theirs.organisation.id)
        )

    assert before == [("Service", "Passport Applications")]
    assert await search_results(ask, member, "applications") == []


async def test_what_is_new_or_renamed_is_found_after_the_next_refresh(
    ask: Ask, make: Builders, database: SingleConnectionDatabase, tenants: tuple[NamedTenant, NamedTenant]
) -> None:
    mine, _ = tenants
    member = user_actor(mine.member, mine.service)
    await make.template(mine.service, name="Visa ready")
    async with database.transaction() as tx:
        await tx.execute(
            update(models.Service).where(models.Service.id == mine.service.id).values(name="Visa Applications")
        )
    before = await search_results(ask, member, "visa")

    await refresh_entries(database)

    assert before == []
    assert await search_results(ask, member, "visa") == [("Template", "Visa ready"), ("Service", "Visa Applications")]
    assert await search_results(ask, member, "passport applications") == []


async def test_pages_are_read_forwards_and_backwards(
    ask: Ask, make: Builders, database: SingleConnectionDatabase, statements: Statements
) -> None:
    service = await make.service(name="Number service")
    member = user_actor(await make.member(service), service)
    for number in range(5):
        await make.template(service, name="Number nine")
        await make.template(service, name=f"Number {'nine ' * number}ten")
    await refresh_entries(database)
    everything = (await ask(SEARCH, by=member, query="number")).root_field["edges"]
    forwards: list[Any] = []
    after = None
    for _ in range(4):
        # The entries, the previous page, the count, and each type that occurs.
        with statements(3 if after is None else 4):
            answer = await ask(SEARCH, by=member, query="number", types=["TEMPLATE"], first=3, after=after)
        forwards += answer.root_field["edges"]
        after = answer.root_field["pageInfo"]["endCursor"]
    last = await ask(SEARCH, by=member, query="number", last=2)
    back = await ask(SEARCH, by=member, query="number", last=2, before=last.root_field["pageInfo"]["startCursor"])

    assert len(everything) == 11
    assert forwards == [edge for edge in everything if edge["node"]["__typename"] == "Template"]
    assert answer.root_field["pageInfo"]["hasNextPage"] is False
    assert back.root_field["edges"] + last.root_field["edges"] == everything[-4:]


@pytest.mark.parametrize(
    "query",
    [
        "%%%",
        "___",
        "\\\\\\",
        "p_s",
        "pass%",
        "%_\\" * 166,
        "'; DROP TABLE services; --",
        "' OR '1'='1",
        "passport\u0000"[:-1] + "\u200b",
        "\U0001f600" * 100,
        "ﷺ" * 100,
        "a" * 500,
        "((passport))",
        ".*.*.*",
    ],
    ids=ascii,
)
async def test_hostile_text_is_literal(ask: Ask, tenants: tuple[NamedTenant, NamedTenant], query: str) -> None:
    assert await search_results(ask, platform_admin(tenants[0].member), query) == []


async def test_wildcards_are_literal_characters(
    ask: Ask, make: Builders, database: SingleConnectionDatabase, tenants: tuple[NamedTenant, NamedTenant]
) -> None:
    mine, _ = tenants
    for name in ("100% of it_all", "100x of it-all", "C:\\letters"):
        await make.template(mine.service, name=name)
    await refresh_entries(database)
    member = user_actor(mine.member, mine.service)

    assert await search_results(ask, member, "100%") == [("Template", "100% of it_all")]
    assert await search_results(ask, member, "it_a") == [("Template", "100% of it_all")]
    assert await search_results(ask, member, ":\\l") == [("Template", "C:\\letters")]


@pytest.mark.parametrize("query", ["", "ab", "   ab   ", "a" * 501, "a" * 60_000], ids=len)
async def test_too_short_and_too_long_queries_are_refused(
    ask: Ask, tenants: tuple[NamedTenant, NamedTenant], query: str
) -> None:
    answer = await ask(SEARCH, by=platform_admin(tenants[0].member), query=query)

    assert answer.error_codes == ["BAD_REQUEST"]


@pytest.mark.parametrize("cursor", ["", "x", "WyJzaW1pbGFyaXR5IixudWxsLG51bGxd", "WyJuYW1lIiwiYSIsImIiXQ"])
async def test_a_cursor_of_another_list_is_refused(
    ask: Ask, tenants: tuple[NamedTenant, NamedTenant], cursor: str
) -> None:
    answer = await ask(SEARCH, by=platform_admin(tenants[0].member), query="passport", after=cursor)

    assert answer.error_codes == ["BAD_REQUEST"]


async def test_only_one_worker_gathers_entries_at_a_time(database: SingleConnectionDatabase, database_url: str) -> None:
    async with open_connection(database_url) as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock($1)", search_entries.ADVISORY_LOCK_KEY)
        async with database.transaction() as tx:
            meanwhile = await search_entries.refresh(tx)
    async with database.transaction() as tx:
        afterwards = await search_entries.refresh(tx)
        rows = await tx.scalar(text("SELECT count(*) FROM search_entries"))

    assert (meanwhile, afterwards, rows) == (False, True, 0)

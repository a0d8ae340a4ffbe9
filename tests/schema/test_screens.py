"""A whole screen is one request, whose number of statements depends on the document, never on the number of rows."""

from collections.abc import Awaitable, Callable

import pytest

from graphql_api import models
from graphql_api.enums import Channel
from tests.builders import Builders, platform_admin, user_actor
from tests.conftest import Ask, Statements

DASHBOARD = """
query Dashboard($id: ID!) {
  service(id: $id) {
    name status features
    dailyLimits { channel limit used }
    statistics { total { requested delivered failed } }
    templates(first: 20) { nodes { name channel createdBy { name } } }
    notifications(first: 50) {
      nodes {
        id status statusText recipient content { text } cost { total { amount } }
        template { name } templateVersion { version } job { fileName } createdBy { name }
      }
    }
    jobs(first: 20) { nodes { fileName status progress { created delivered } template { name } } }
    members(first: 10) { nodes { user { name } permissions } }
    apiKeys(first: 5) { nodes { name type createdBy { name } } }
  }
}
"""

TREE = """
{
  organisations(first: 10) {
    nodes {
      name domains liveServiceCount
      services(first: 50) {
        nodes {
          name
          members(first: 5) { nodes { user { name } permissions } }
          templates(first: 10) { nodes { name savedBy { name } } }
        }
      }
    }
  }
}
"""

MESSAGES = """
query Messages($id: ID!, $after: String) {
  service(id: $id) {
    notifications(first: 2, after: $after) {
      totalCount
      edges { cursor node { id template { name service { name } } } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""


@pytest.fixture
async def fill(make: Builders) -> Callable[[models.Service, int], Awaitable[None]]:
    """Create this number of members, templates, jobs, keys and messages in a service."""

    async def filled(service: models.Service, count: int) -> None:
        for _ in range(count):
            member = await make.member(service)
            template = await make.template(service, Channel.SMS, created_by_id=member.id)
            job = await make.job(template, created_by_id=member.id)
            await make.api_key(service, created_by_id=member.id)
            await make.notification(template, personalisation={"name": "Zoë"}, created_by_id=member.id)
            await make.notification(template, personalisation={"name": "Zoë"}, job_id=job.id, job_row_number=0)

    return filled


@pytest.mark.parametrize("rows", [1, 12])
async def test_a_dashboard_takes_the_same_statements_however_full_it_is(
    make: Builders,
    ask: Ask,
    statements: Statements,
    fill: Callable[[models.Service, int], Awaitable[None]],
    rows: int,
) -> None:
    service = await make.service()
    user = await make.member(service)
    await fill(service, rows)

    with statements(19):
        answer = await ask(DASHBOARD, by=user_actor(user, service), id=str(service.id))

    data = answer.root_field
    assert len(data["notifications"]["nodes"]) == 2 * rows
    assert {node["content"]["text"] for node in data["notifications"]["nodes"]} == {f"{service.name}: Hello Zoë"}
    assert {len(data[name]["nodes"]) for name in ("templates", "jobs")} == {rows}


@pytest.mark.parametrize("rows", [1, 4])
async def test_a_tree_of_organisations_takes_the_same_statements_however_large_it_is(
    make: Builders,
    ask: Ask,
    statements: Statements,
    fill: Callable[[models.Service, int], Awaitable[None]],
    rows: int,
) -> None:
    for _ in range(rows):
        organisation = await make.organisation()
        await fill(await make.service(organisation_id=organisation.id), rows)

    admin = platform_admin(await make.user())
    with statements(9):
        answer = await ask(TREE, by=admin)

    services = [service for node in answer.root_field["nodes"] for service in node["services"]["nodes"]]
    assert [len(service["templates"]["nodes"]) for service in services] == [rows] * rows


async def test_pages_of_messages_go_on_without_a_gap(make: Builders, ask: Ask, statements: Statements) -> None:
    service = await make.service()
    user = await make.member(service)
    template = await make.template(service)
    sent = [await make.notification(template) for _ in range(5)]

    seen: list[str] = []
    after, ends = None, []
    while True:
        with statements(4 if after is None else 5):
            answer = await ask(MESSAGES, by=user_actor(user, service), id=str(service.id), after=after)
        page = answer.root_field["notifications"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        ends.append((page["totalCount"], page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"]))
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert seen == [str(message.id) for message in reversed(sent)]
    assert ends == [(5, False, True), (5, True, True), (5, True, False)]

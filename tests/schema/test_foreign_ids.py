"""Every id of every mutation, given another tenant's: there is nothing of that id, and nothing of theirs changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.enums import KeyType
from tests.builders import Builders, api_key_actor, organisation_member, user_actor
from tests.conftest import Ask
from tests.schema.tenants import (
    Tenant,
    create_tenant,
    input_type_of,
    mutation_document,
    mutation_names,
    replace_at,
    scalar_paths,
    valid_inputs,
)

SOURCES = ("uploadId", "contactListId")
FOREIGN = [
    (name, path)
    for name in mutation_names()
    for path in scalar_paths(input_type_of(name), "ID", valid_inputs(dict.fromkeys(
        ("organisationId", "serviceId", "userId", "templateId", "apiKeyId", "jobId"), ""))[name])
]  # fmt: skip
ADMINS_ONLY = {"updateOrganisation", "archiveOrganisation"}


async def checksums(database: Database) -> dict[str, str]:
    """Contents of every table but those of rate limits, which a refused call may change."""
    async with database.transaction() as tx:
        tables = list(
            await tx.scalars(
                text("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
            )
        )
        return {
            table: await tx.scalar(
                text(f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t")
            )
            for table in tables
            if table != "rate_buckets"
        }


def manager_of(ours: Tenant) -> Actor:
    """A member with every permission in their own service."""
    return user_actor(ours.user, ours.service)


def api_key_of(ours: Tenant) -> Actor:
    """A live API key of a service."""
    return api_key_actor(ours.api_key)


CALLERS = [manager_of, api_key_of]


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("mutation", "path"), FOREIGN, ids=str)
async def test_an_id_of_another_tenant_is_not_found(
    mutation: str,
    path: tuple[Any, ...],
    caller: Callable[[Tenant], Actor],
    ask: Ask,
    make: Builders,
    database: Database,
) -> None:
    ours, theirs = await create_tenant(make), await create_tenant(make)
    argument = path[-1]
    actor = caller(ours)
    before = await checksums(database)

    answers = [
        await ask(
            mutation_document(mutation), by=actor, input=replace_at(valid_inputs(ours.ids)[mutation], path, foreign)
        )
        for foreign in (theirs.ids[argument], str(uuid4()))
    ]

    assert await checksums(database) == before
    for answer, foreign in zip(answers, (theirs.ids[argument], None), strict=True):
        if answer.errors:
            assert answer.error_codes == ["FORBIDDEN"]
            continue
        (error,) = answer.user_errors
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["input", *map(str, path)])
        assert foreign in {None, error["missingId"]}
    theirs_said, nothing_said = (
        [(error["message"], error["extensions"]) for error in answer.errors]
        if answer.errors
        else [(error["message"], error["path"]) for error in answer.user_errors]
        for answer in answers
    )
    assert theirs_said == nothing_said
    if actor.user_id and mutation not in ADMINS_ONLY:
        assert not answers[0].errors


@pytest.mark.parametrize("source", SOURCES)
async def test_a_list_of_another_tenant_is_not_found(source: str, ask: Ask, make: Builders, database: Database) -> None:
    ours, theirs = await create_tenant(make), await create_tenant(make)
    good = valid_inputs(ours.ids)["createJob"]
    for actor in (user_actor(ours.user, ours.service), api_key_actor(ours.api_key)):
        before = await checksums(database)
        answer = await ask(
            mutation_document("createJob"), by=actor, input=good | {"source": {source: theirs.ids[source]}}
        )
        (error,) = answer.user_errors
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["input", "source", source])
        assert await checksums(database) == before


@pytest.mark.parametrize("field", ["node", "service", "organisation", "user", "template", "notification", "job"])
async def test_nothing_of_another_tenant_is_read(field: str, ask: Ask, make: Builders) -> None:
    ours, theirs = await create_tenant(make), await create_tenant(make)
    rows: list[Any] = [
        theirs.organisation,
        theirs.service,
        theirs.user,
        theirs.template,
        theirs.notification,
        theirs.job,
        theirs.api_key,
    ]
    for actor in (
        user_actor(ours.user, ours.service),
        api_key_actor(ours.api_key),
        organisation_member(ours.user, ours.organisation.id),
    ):
        for row in rows:
            answer = await ask(f"query ($id: ID!) {{ {field}(id: $id) {{ id }} }}", by=actor, id=str(row.id))
            assert (answer.data, answer.errors) == ({field: None}, [])


FILTERED = """query ($id: ID!, $filter: NotificationFilter) { service(id: $id) {
    notifications(filter: $filter) { totalCount nodes { id } }
} }"""


@pytest.mark.parametrize("argument", ["templateId", "jobId", "apiKeyId", "createdById"])
async def test_a_filter_by_an_id_of_another_tenant_finds_nothing(argument: str, ask: Ask, make: Builders) -> None:
    ours, theirs = await create_tenant(make), await create_tenant(make)

    answer = await ask(
        FILTERED,
        by=user_actor(ours.user, ours.service),
        id=str(ours.service.id),
        filter={argument: theirs.ids[argument]},
    )

    assert answer.root_field["notifications"] == {"totalCount": 0, "nodes": []}


async def test_a_key_sees_messages_of_its_own_type_of_key_alone(ask: Ask, make: Builders) -> None:
    service = await make.service()
    template = await make.template(service)
    job = await make.job(template)
    rows = {
        kind: await make.notification(template, key_type=kind.value, job_id=job.id, job_row_number=place)
        for place, kind in enumerate(KeyType)
    }
    query = """query ($id: ID!, $job: ID!, $template: ID!, $ids: [ID!]!) {
        service(id: $id) { notifications { totalCount nodes { id } } }
        job(id: $job) { notifications { totalCount nodes { id } } }
        template(id: $template) { notifications { totalCount nodes { id } } }
        nodes(ids: $ids) { id }
    }"""
    for kind in KeyType:
        answer = await ask(
            query,
            by=api_key_actor(await make.api_key(service, kind)),
            id=str(service.id),
            job=str(job.id),
            template=str(template.id),
            ids=[str(row.id) for row in rows.values()],
        )
        assert answer.errors == []
        assert answer.data is not None
        only = {"totalCount": 1, "nodes": [{"id": str(rows[kind].id)}]}
        assert [answer.data[noun]["notifications"] for noun in ("service", "job", "template")] == [only] * 3
        assert [node for node in answer.data["nodes"] if node] == [{"id": str(rows[kind].id)}]

"""A plan answers the same bytes as graphql-core, whatever is asked, and keeps no more than it may."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from graphql import get_introspection_query
from hypothesis import HealthCheck, given
from hypothesis import settings as hypotheses
from hypothesis import strategies as st

from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.errors import QueryTooComplex
from graphql_api.gateways.object_store import Store
from graphql_api.planner import plan_cache
from graphql_api.planner.errors import NotPlannable
from graphql_api.planner.plan_cache import PlanCache
from graphql_api.settings import Settings
from schema import schema
from tests import planner_comparison
from tests.builders import Builders, platform_admin, user_actor
from tests.conftest import Ask, SingleConnectionDatabase
from tests.planner.datasets import Dataset
from tests.planner.documents import RandomQuery

DOCUMENT_COUNT = int(os.environ.get("DOCUMENTS", "100"))
"""How many documents are made up: more of them in a slower run, as `DOCUMENTS=2000 ./run test planner`."""


@pytest_asyncio.fixture
async def dataset(make: Builders) -> AsyncIterator[Dataset]:
    """A world; in the end a good part of what was asked, half on average, must have been answered by plans."""
    world = await Dataset().create(make)
    yield world
    fine = [planned for planned, wrong in world.outcomes if not wrong]
    assert len(fine) > len(world.outcomes) / 4
    assert sum(fine) > len(fine) / 4


@pytest.mark.timeout(3_600)
@hypotheses(max_examples=DOCUMENT_COUNT, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), who=st.integers(0, 6))
async def test_documents_made_up_at_random_are_answered_alike(
    seed: int,
    who: int,
    dataset: Dataset,
    database: SingleConnectionDatabase,
    settings: Settings,
    signer: Signer,
    store: Store,
) -> None:
    document = RandomQuery(Random(seed), dataset.ids, dataset.cursors)  # noqa: S311 - no secret is made of it
    text = document.text()
    context, again = (Context(dataset.actors[who], database, settings, signer, store) for _ in range(2))
    result = await schema.execute(text, variable_values=document.variables, context_value=context)
    planned = await planner_comparison.compare_with_planner(schema, text, document.variables, again, result)
    dataset.outcomes.append((planned, bool(result.errors)))


CONDITIONAL_FIELDS_QUERY = """
query ($id: ID!, $short: Boolean!) { service(id: $id) { id name @skip(if: $short) version @include(if: $short) } }
"""


async def test_a_plan_is_made_for_each_choice_of_fields(ask: Ask, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service)

    for short in (True, False, True):
        answer = await ask(CONDITIONAL_FIELDS_QUERY, by=user_actor(user, service), id=str(service.id), short=short)

        assert answer.root_field.keys() == {"id", "version" if short else "name"}


SKIPPED_FIELD_QUERY = (
    "query ($id: ID!) { node(id: $id) { ... on Service { templates { nodes { id @skip(if: true) } } } } }"
)


async def test_an_object_of_which_everything_is_skipped_is_empty(ask: Ask, make: Builders) -> None:
    template = await make.template(service := await make.service())
    user = await make.member(service)

    answer = await ask(SKIPPED_FIELD_QUERY, by=user_actor(user, service), id=str(service.id))

    assert template.service_id == service.id
    assert answer.root_field == {"templates": {"nodes": [{}]}}


HAS_PREVIOUS_PAGE_QUERY = "query ($id: ID!) { service(id: $id) { templates { pageInfo { hasPreviousPage } } } }"


async def test_a_page_may_be_asked_for_what_lies_before_it_alone(ask: Ask, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service)
    await make.template(service)
    await make.template(service)

    answer = await ask(HAS_PREVIOUS_PAGE_QUERY, by=user_actor(user, service), id=str(service.id))

    assert answer.root_field == {"templates": {"pageInfo": {"hasPreviousPage": False}}}


def test_plans_are_kept_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_cache, "MAX_OPERATIONS", 3)
    plans = PlanCache(schema)
    for number in range(10):
        plans.find(f"{{ a{number}: services {{ totalCount }} }}", None, {})
    size = plans.size

    first, _, _ = plans.find("{ a9: services { totalCount } }", None, {})
    again, _, _ = plans.find("{ a9: services { totalCount } }", None, {})

    assert (len(plans), plans.size, first is again) == (3, size, True)


def test_plans_are_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_cache, "MAX_BYTES", 30_000)
    plans = PlanCache(schema)
    for number in range(100):
        plans.find(f"{{ a{number}: services {{ totalCount }} }}", None, {})

    assert 0 < plans.size <= 30_000
    assert 0 < len(plans) < 4


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ('mutation { revokeApiKey(input: {apiKeyId: "1"}) { apiKey { id } } }', {}),
        ("{ __schema { types { name } } services { totalCount } }", {}),
        ("{ nothing }", {}),
        ("query ($id: ID!) { service(id: $id) { id } }", {}),
        ("{ services(first: 1000) { nodes { id } } }", {}),
        ("query A { services { totalCount } } query B { services { totalCount } }", {}),
    ],
)
def test_what_is_not_for_a_plan_is_declined(document: str, variables: dict[str, Any]) -> None:
    with pytest.raises(NotPlannable):
        PlanCache(schema).find(document, None, variables)


async def test_size_given_by_a_variable_is_measured_each_time_it_differs(ask: Ask, make: Builders) -> None:
    admin = platform_admin(await make.user())
    document = """query ($n: Int!) {
        services(first: $n) { nodes { templates(first: $n) { nodes { notifications(first: $n) { nodes { id } } } } } }
    }"""

    small = await ask(document, by=admin, n=2)
    large = await ask(document, by=admin, n=100)

    assert (small.errors, large.error_codes) == ([], ["QUERY_TOO_COMPLEX"])


async def test_a_filter_may_be_called_nearly_as_what_says_who_asks(ask: Ask, make: Builders) -> None:
    user = await make.user()

    answer = await ask(
        "query ($id: ID!) { auditLog(filter: {actorId: $id}) { totalCount nodes { id } } }",
        by=platform_admin(user),
        id=str(user.id),
    )

    assert answer.root_field == {"totalCount": 0, "nodes": []}


async def test_an_object_may_be_asked_for_more_connections_than_a_function_takes_arguments(
    ask: Ask, make: Builders
) -> None:
    service = await make.service()
    lists = " ".join(f"a{number}: templates(first: {number}) {{ totalCount }}" for number in range(55))

    answer = await ask(
        f"query ($id: ID!) {{ service(id: $id) {{ {lists} }} }}",
        by=platform_admin(await make.user()),
        id=str(service.id),
    )

    assert answer.root_field == {f"a{number}": {"totalCount": 0} for number in range(55)}


@pytest.mark.parametrize(
    ("default", "small", "large"), [(100, {"n": 2}, {}), (2, {}, {"n": None}), (2, {}, {"n": 100.0})]
)
def test_a_size_is_measured_again_however_it_comes_to_differ(
    default: int, small: dict[str, Any], large: dict[str, Any]
) -> None:
    plans = PlanCache(schema)
    document = f"""query ($n: Int = {default}) {{
        services(first: $n) {{ nodes {{ templates(first: $n) {{ nodes {{ notifications(first: $n) {{ nodes {{ id }}
        }} }} }} }} }}
    }}"""
    plans.find(document, None, small)

    with pytest.raises(QueryTooComplex):
        plans.find(document, None, large)


def test_nothing_is_kept_of_variables_that_an_operation_does_not_declare() -> None:
    plans = PlanCache(schema)
    document = "query ($n: Int!) { services(first: $n) { nodes { id } } }"
    for number in range(5):
        plans.find(document, None, {f"{'x' * 1_000}{number}": number, "n": 2})

    (entry,) = plans._operations.values()  # noqa: SLF001 - what it keeps is nobody's business but a test's
    assert list(entry.costs) == [(("n", 2),)]


def test_a_variable_may_be_a_list_in_one_operation_and_choose_fields_in_another() -> None:
    document = "query A($v: Boolean!) { __typename @skip(if: $v) } query B($v: [ID!]!) { nodes(ids: $v) { id } }"
    plans = PlanCache(schema)

    one, _, _ = plans.find(document, "B", {"v": ["1"]})
    other, _, _ = plans.find(document, "B", {"v": ["2"]})

    assert one is other


async def test_an_id_that_is_null_after_all_is_left_to_graphql(ask: Ask, make: Builders) -> None:
    answer = await ask('query ($id: ID = "1") { service(id: $id) { id } }', by=user_actor(await make.user()), id=None)

    assert answer.error_codes == ["BAD_REQUEST"]


def test_what_is_long_in_sql_counts_for_as_much() -> None:
    words = " ".join(f"a{number}: notifications {{ nodes {{ statusText }} }}" for number in range(20))
    plans = PlanCache(schema)

    plan, *_ = plans.find(f"query ($id: ID!) {{ service(id: $id) {{ {words} }} }}", None, {"id": "1"})

    assert plan.size > 200_000


async def test_the_schema_is_told_from_what_was_told_before(
    make: Builders, database: SingleConnectionDatabase, settings: Settings, signer: Signer, store: Store
) -> None:
    context = Context(platform_admin(await make.user()), database, settings, signer, store)
    document = get_introspection_query()
    result = await schema.execute(document, context_value=context)

    assert await planner_comparison.compare_with_planner(schema, document, {}, context, result)


async def test_the_schema_is_told_to_nobody_who_may_not_read_it(
    make: Builders, database: SingleConnectionDatabase, settings: Settings, signer: Signer, store: Store
) -> None:
    admin = platform_admin(await make.user())
    document = '{ __type(name: "Service") { name } }'

    open_book = await planner_comparison.planner_response(
        schema, document, {}, Context(admin, database, settings, signer, store)
    )
    closed = settings.model_copy(update={"introspection": "nobody"})
    answers = [
        open_book,
        await planner_comparison.planner_response(
            schema, document, {}, Context(admin, database, closed, signer, store)
        ),
    ]

    assert [answer is None for answer in answers] == [False, True]

"""Plans and graphql-core give the same bytes, also for random queries; the plan cache is bounded."""

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
"""Random documents; a slower run takes more of them, as `DOCUMENTS=2000 ./run test planner`."""


@pytest_asyncio.fixture
async def dataset(make: Builders) -> AsyncIterator[Dataset]:
    """Rows to query. In the end plans must have executed enough of the queries without errors: half, on average."""
    dataset = await Dataset().create(make)
    yield dataset
    without_errors = [planned for planned, has_errors in dataset.outcomes if not has_errors]
    assert len(without_errors) > len(dataset.outcomes) / 4
    assert sum(without_errors) > len(without_errors) / 4


@pytest.mark.timeout(3_600)
@hypotheses(max_examples=DOCUMENT_COUNT, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), actor=st.integers(0, 6))
async def test_both_executors_give_the_same_response_to_random_documents(
    seed: int,
    actor: int,
    dataset: Dataset,
    database: SingleConnectionDatabase,
    settings: Settings,
    signer: Signer,
    store: Store,
) -> None:
    document = RandomQuery(Random(seed), dataset.ids, dataset.cursors)  # noqa: S311 - no secret is made of it
    text = document.text()
    context, again = (Context(dataset.actors[actor], database, settings, signer, store) for _ in range(2))
    result = await schema.execute(text, variable_values=document.variables, context_value=context)
    planned = await planner_comparison.compare_with_planner(schema, text, document.variables, again, result)
    dataset.outcomes.append((planned, bool(result.errors)))


CONDITIONAL_FIELDS_QUERY = """
query ($id: ID!, $short: Boolean!) { service(id: $id) { id name @skip(if: $short) version @include(if: $short) } }
"""


async def test_each_combination_of_skipped_fields_has_a_plan(ask: Ask, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service)

    for short in (True, False, True):
        answer = await ask(CONDITIONAL_FIELDS_QUERY, by=user_actor(user, service), id=str(service.id), short=short)

        assert answer.root_field.keys() == {"id", "version" if short else "name"}


SKIPPED_FIELD_QUERY = (
    "query ($id: ID!) { node(id: $id) { ... on Service { templates { nodes { id @skip(if: true) } } } } }"
)


async def test_an_object_whose_fields_are_all_skipped_is_empty(ask: Ask, make: Builders) -> None:
    template = await make.template(service := await make.service())
    user = await make.member(service)

    answer = await ask(SKIPPED_FIELD_QUERY, by=user_actor(user, service), id=str(service.id))

    assert template.service_id == service.id
    assert answer.root_field == {"templates": {"nodes": [{}]}}


HAS_PREVIOUS_PAGE_QUERY = "query ($id: ID!) { service(id: $id) { templates { pageInfo { hasPreviousPage } } } }"


async def test_has_previous_page_can_be_the_only_field_of_a_page(ask: Ask, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service)
    await make.template(service)
    await make.template(service)

    answer = await ask(HAS_PREVIOUS_PAGE_QUERY, by=user_actor(user, service), id=str(service.id))

    assert answer.root_field == {"templates": {"pageInfo": {"hasPreviousPage": False}}}


def test_the_least_recently_used_plans_are_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_cache, "MAX_OPERATIONS", 3)
    plans = PlanCache(schema)
    for number in range(10):
        plans.find(f"{{ a{number}: services {{ totalCount }} }}", None, {})
    size = plans.size

    first, _, _ = plans.find("{ a9: services { totalCount } }", None, {})
    again, _, _ = plans.find("{ a9: services { totalCount } }", None, {})

    assert (len(plans), plans.size, first is again) == (3, size, True)


def test_plans_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_mutations_and_invalid_operations_are_not_plannable(document: str, variables: dict[str, Any]) -> None:
    with pytest.raises(NotPlannable):
        PlanCache(schema).find(document, None, variables)


async def test_the_cost_of_a_page_size_in_a_variable_is_computed_for_each_value(ask: Ask, make: Builders) -> None:
    admin = platform_admin(await make.user())
    document = """query ($n: Int!) {
        services(first: $n) { nodes { templates(first: $n) { nodes { notifications(first: $n) { nodes { id } } } } } }
    }"""

    small = await ask(document, by=admin, n=2)
    large = await ask(document, by=admin, n=100)

    assert (small.errors, large.error_codes) == ([], ["QUERY_TOO_COMPLEX"])


async def test_a_filter_may_have_a_name_like_a_parameter_of_the_actor(ask: Ask, make: Builders) -> None:
    user = await make.user()

    answer = await ask(
        "query ($id: ID!) { auditLog(filter: {actorId: $id}) { totalCount nodes { id } } }",
        by=platform_admin(user),
        id=str(user.id),
    )

    assert answer.root_field == {"totalCount": 0, "nodes": []}


async def test_an_object_may_have_more_connections_than_a_function_of_postgresql_takes_arguments(
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
def test_the_cost_is_computed_again_for_defaults_nulls_and_floats(
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


def test_undeclared_variables_are_not_cached() -> None:
    plans = PlanCache(schema)
    document = "query ($n: Int!) { services(first: $n) { nodes { id } } }"
    for number in range(5):
        plans.find(document, None, {f"{'x' * 1_000}{number}": number, "n": 2})

    (operation,) = plans._operations.values()  # noqa: SLF001 - the costs are visible nowhere else
    assert list(operation.costs) == [(("n", 2),)]


def test_a_variable_may_be_a_list_in_one_operation_and_a_condition_in_another() -> None:
    document = "query A($v: Boolean!) { __typename @skip(if: $v) } query B($v: [ID!]!) { nodes(ids: $v) { id } }"
    plans = PlanCache(schema)

    first, _, _ = plans.find(document, "B", {"v": ["1"]})
    second, _, _ = plans.find(document, "B", {"v": ["2"]})

    assert first is second


async def test_a_null_id_is_not_plannable(ask: Ask, make: Builders) -> None:
    answer = await ask('query ($id: ID = "1") { service(id: $id) { id } }', by=user_actor(await make.user()), id=None)

    assert answer.error_codes == ["BAD_REQUEST"]


def test_the_size_of_a_plan_includes_its_sql() -> None:
    lists = " ".join(f"a{number}: notifications {{ nodes {{ statusText }} }}" for number in range(20))
    plans = PlanCache(schema)

    plan, *_ = plans.find(f"query ($id: ID!) {{ service(id: $id) {{ {lists} }} }}", None, {"id": "1"})

    assert plan.size > 200_000


async def test_an_introspection_query_has_a_plan(
    make: Builders, database: SingleConnectionDatabase, settings: Settings, signer: Signer, store: Store
) -> None:
    context = Context(platform_admin(await make.user()), database, settings, signer, store)
    document = get_introspection_query()
    result = await schema.execute(document, context_value=context)

    assert await planner_comparison.compare_with_planner(schema, document, {}, context, result)


async def test_a_plan_gives_the_schema_only_to_callers_who_may_read_it(
    make: Builders, database: SingleConnectionDatabase, settings: Settings, signer: Signer, store: Store
) -> None:
    admin = platform_admin(await make.user())
    document = '{ __type(name: "Service") { name } }'

    permitted = await planner_comparison.planner_response(
        schema, document, {}, Context(admin, database, settings, signer, store)
    )
    closed = settings.model_copy(update={"introspection": "nobody"})
    responses = [
        permitted,
        await planner_comparison.planner_response(
            schema, document, {}, Context(admin, database, closed, signer, store)
        ),
    ]

    assert [response is None for response in responses] == [False, True]

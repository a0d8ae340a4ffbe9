"""What a document may cost: each limit at its edge and over it, in time that grows with the document alone."""

import asyncio
from typing import Any

import pytest
import strawberry
from strawberry.types import ExecutionResult

from graphql_api.errors import BadRequest, Forbidden, NotFound
from graphql_api.limits import extension
from graphql_api.limits.extension import LimitsExtension
from graphql_api.observability import error_masking
from tests import cpu_time

CALLS: list[str] = []
COST = 25.0
"""Yardsticks that any document may take to be refused, or run."""


@strawberry.type
class Thing:
    """Something with fields of each kind."""

    @strawberry.field
    def thing(self) -> "Thing":
        return Thing()

    @strawberry.field
    def things(self, first: int | None = None, last: int | None = None) -> "Things":
        del first, last
        return Things()

    @strawberry.field
    def name(self, value: str = "") -> str:
        return value

    @strawberry.field
    def number(self, value: float = 0) -> float:
        return value

    @strawberry.field
    def total(self, values: list[int]) -> int:
        return len(values)

    @strawberry.field
    def nodes(self, ids: list[strawberry.ID]) -> "list[Thing]":
        del ids
        return [Thing()]

    @strawberry.field
    def fault(self) -> str:
        raise KeyError("07700900123 in a fault")

    @strawberry.field
    def forbidden(self) -> str | None:
        raise Forbidden("SEND_TEXTS")

    @strawberry.field
    def missing(self) -> str | None:
        raise NotFound("x", "service_id")

    @strawberry.field
    def refused(self) -> str | None:
        raise BadRequest("Not like this.")


@strawberry.type
class Things:
    """A page."""

    @strawberry.field
    def nodes(self) -> list[Thing]:
        return [Thing()]

    @strawberry.field
    def total_count(self) -> int:
        return 1


@strawberry.type
class Query(Thing):
    """The same."""


@strawberry.type
class Mutation:
    """What says that it ran."""

    @strawberry.mutation
    def change(self) -> bool:
        CALLS.append("change")
        return True

    @strawberry.mutation
    def sign_in(self) -> bool:
        CALLS.append("sign in")
        return True


SCHEMA = error_masking.ErrorMaskingSchema(Query, Mutation, extensions=[LimitsExtension])


async def run(document: str, operation: str | None = None, **variables: Any) -> ExecutionResult:
    """Run a document without anybody asking."""
    return await SCHEMA.execute(document, variable_values=variables, operation_name=operation)


async def code(document: str, **variables: Any) -> str | None:
    """The code of the one error of a document; None where it ran well."""
    result = await run(document, **variables)
    if not result.errors:
        return None
    (one,) = result.errors
    return str((one.extensions or {})["code"])


def nested(depth: int) -> str:
    """Selections so many fields deep."""
    return "{ " + "thing { " * (depth - 1) + "name" + " }" * depth


def chain(count: int, spreads: int = 1) -> str:
    """Fragments, each of which spreads the next so often, and a query that spreads the first."""
    made = [f"fragment F{i} on Query {{ {f'...F{i + 1} ' * spreads} }}" for i in range(count - 1)]
    return " ".join([*made, f"fragment F{count - 1} on Query {{ name }}", "{ ...F0 }"])


EDGES = {
    "depth": (nested(12), nested(13)),
    "depth by fragments": (
        "{ thing { thing { ...A } } } fragment A on Thing " + nested(10),
        "{ thing { thing { ...A } } } fragment A on Thing " + nested(11),
    ),
    "fields": (
        "{ thing { " + "...A " * 99 + "} } fragment A on Thing " + nested(10),
        "{ thing { " + "...A " * 100 + "} } fragment A on Thing " + nested(10),
    ),
    "fragments": (chain(50), chain(51)),
    "aliases": (
        "{ thing { " + " ".join(f"a{i}: name" for i in range(60)) + " } }",
        "{ thing { " + " ".join(f"a{i}: name" for i in range(61)) + " } }",
    ),
    "fields at the root": (
        "{ " + " ".join(f"a{i}: name" for i in range(20)) + " }",
        "{ " + " ".join(f"a{i}: name" for i in range(21)) + " }",
    ),
    "mutations": (
        "mutation { " + " ".join(f"a{i}: change" for i in range(5)) + " }",
        "mutation { " + " ".join(f"a{i}: change" for i in range(6)) + " }",
    ),
    "mutations in fragments": (
        "mutation { ... { a: change ...F } } fragment F on Mutation { b: change c: change d: change e: change }",
        "mutation { f: change ...F } fragment F on Mutation { a: change b: change c: change d: change e: change }",
    ),
    "mutations that sign in": ("mutation { signIn change }", "mutation { signIn a: signIn }"),
    "operations": (
        " ".join(f"query Q{i} {{ name }}" for i in range(5)),
        " ".join(f"query Q{i} {{ name }}" for i in range(6)),
    ),
    "directives": (
        "{ thing { " + " ".join(f"a{i}: name @skip(if: false)" for i in range(50)) + " } }",
        "{ thing { " + " ".join(f"a{i}: name @skip(if: false)" for i in range(51)) + " } }",
    ),
    "repeated names": ("{ thing { name " + "name " * 50 + "} }", "{ thing { name " + "name " * 51 + "} }"),
    "repeated names in inline fragments": (
        "{ thing { name " + "...{ name } " * 50 + "} }",
        "{ thing { name " + "...{ name } " * 51 + "} }",
    ),
    "objects of pages": (
        "{ things(first: 99) { nodes { things(first: 100) { nodes { name } } } } }",
        "{ things(first: 100) { nodes { things(first: 100) { nodes { name } } } } }",
    ),
    "objects of pages of which nothing is said": (
        "{ things { nodes { things { nodes { things(first: 2) { nodes { name } } } } } } }",
        "{ things { nodes { things { nodes { things(first: 4) { nodes { name } } } } } } }",
    ),
    "objects by ids": (
        '{ nodes(ids: ["1", "2"]) { things { nodes { things { nodes { name } } } } } }',
        '{ nodes(ids: ["1", "2", "3", "4"]) { things { nodes { things { nodes { name } } } } } }',
    ),
    "tokens": ('{ name(value: "") } ' + "# " * 3_000, "{ " + "name " * 2_000 + "}"),
    "bytes": ("{ name } #" + "x" * 99_990, "{ name } #" + "x" * 99_991),
}  # fmt: skip


@pytest.mark.parametrize("documents", EDGES.values(), ids=list(EDGES))
async def test_a_document_may_go_to_the_edge_and_not_over_it(documents: tuple[str, str]) -> None:
    within, over = documents
    operation = "Q0" if "Q0" in within else None

    assert (await run(within, operation)).errors is None
    result = await run(over, operation)
    assert result.data is None
    assert [error.extensions["code"] for error in result.errors or () if error.extensions] == ["QUERY_TOO_COMPLEX"]


async def test_page_sizes_count_by_variable_by_default_and_as_the_largest_at_most() -> None:
    document = "query ($n: Int = 100) { things(first: $n) { nodes { things(last: $n) { nodes { name } } } } }"

    assert await code(document, n=99) is None
    assert await code(document, n=100) == "QUERY_TOO_COMPLEX"
    assert await code(document) == "QUERY_TOO_COMPLEX"
    assert await code(document, n=0) is None
    assert await code(document, n=2**31 - 1) == "QUERY_TOO_COMPLEX"
    assert await code(document, n=None) is None


async def test_a_count_alone_reads_no_page() -> None:
    assert await code("{ things(first: 100) { nodes { things(first: 100) { totalCount } } } }") is None


async def test_introspection_has_a_depth_of_its_own() -> None:
    def deep(levels: int) -> str:
        return "{ __schema { types { fields { type { " + "ofType { " * (levels - 5) + "name" + " }" * levels

    assert await code(deep(16)) is None
    assert await code(deep(17)) == "QUERY_TOO_COMPLEX"
    assert await code("{ __schema: thing " + nested(12) + " }") == "QUERY_TOO_COMPLEX"
    assert await code("{ ...__schema } fragment __schema on Query " + nested(13)) == ("QUERY_TOO_COMPLEX")


async def test_cycles_and_what_is_not_there_are_left_to_validation() -> None:
    assert await code("{ ...A } fragment A on Query { ...A }") == "BAD_REQUEST"
    assert await code("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }") == "BAD_REQUEST"
    assert await code("{ ...Nothing }") == "BAD_REQUEST"
    assert await code("{ nothing }") == "BAD_REQUEST"
    assert await code("query A { name } query A { name }") == "BAD_REQUEST"


@pytest.mark.parametrize(
    "document",
    [
        '{ name(value: "\\u0000") }',
        '{ name(value: "\\uD800") }',
        "{ number(value: 1e999) }",
        "{ total(values: [" + "1" * 5_000 + "]) }",
        "{ total(values: [" + "1 " * 1_001 + "]) }",
        "{ name @skip(if: [[[[[[[[[[[[[[[[[[true]]]]]]]]]]]]]]]]]]) }",
    ],
    ids=lambda document: document[:40],
)
async def test_a_literal_is_held_to_what_a_variable_is(document: str) -> None:
    assert await code(document) == "BAD_REQUEST"


async def test_at_most_five_errors_are_told_of_a_document() -> None:
    result = await run("{ thing { " + " ".join(f"n{i}" for i in range(50)) + " } }")

    assert len(result.errors or ()) == 6
    assert "Too many validation errors" in (result.errors or [])[-1].message


HOSTILE = {
    "fragments that double": chain(40, 2),
    "fragments in a long chain": chain(500),
    "equal fields": "{ " + "name " * 1_900 + "}",
    "equal fields with selections": "{ " + "thing{name}" * 490 + "}",
    "two fields doubling": "{" + "thing{" * 9 + "name" + "}" * 9 + "thing{" * 9 + "name" + "}" * 10,
    "arguments that conflict": "{ " + " ".join(f'name(value: "{i}")' for i in range(300)) + " }",
    "directives": "{ name " + "@skip(if: false) " * 300 + "}",
    "unknown directives": "{ " + " ".join(f"a{i}: name @nothing" for i in range(60)) + " }",
    "operations": " ".join(f"query Q{i}{{name}}" for i in range(300)),
    "variables": "query (" + " ".join(f"$v{i}: Int" for i in range(400)) + ") { name }",
    "a comment": "#" * 99_000 + "\n{ name }",
    "an open block string": '{ name(value: """' + "x" * 90_000,
    "inline fragments": "{ " + "... { " * 190 + "name" + " }" * 191,
    "braces": "{" * 2_000,
    "brackets": "{ total(values: " + "[" * 2_000,
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=list(HOSTILE))
def test_no_document_costs_much(document: str) -> None:
    def first() -> None:
        # What is known of a document already is not read again.
        extension.document_cache_of.cache_clear()
        asyncio.run(run(document, "Q0" if "Q0" in document else None))

    assert cpu_time.ratio(first, enough=COST) <= COST


async def test_what_is_refused_is_not_run_though_it_is_known() -> None:
    CALLS.clear()
    for _ in range(2):
        assert await code("mutation { " + " ".join(f"a{i}: change" for i in range(6)) + " }") == "QUERY_TOO_COMPLEX"
        assert await code("mutation { change nothing }") == "BAD_REQUEST"
        assert await code("mutation { a: signIn b: signIn }") == "QUERY_TOO_COMPLEX"

    assert CALLS == []


async def test_documents_are_remembered_up_to_a_number() -> None:
    known = extension.document_cache_of(SCHEMA)
    for number in range(extension.MAX_CACHED_DOCUMENTS + 10):
        await run(f"{{ a{number}: name }}")

    assert len(known._cached) == extension.MAX_CACHED_DOCUMENTS  # noqa: SLF001 - there is no other way to see it


async def test_refusals_are_told_and_faults_are_not() -> None:
    result = await run("{ forbidden missing refused a: thing { fault } }")

    told = [(error.path, error.message, error.extensions) for error in result.errors or ()]
    request_id = (told[3][2] or {}).get("requestId")
    assert told == [
        (["forbidden"], "This needs the permission SEND_TEXTS.",
         {"code": "FORBIDDEN", "requiredPermission": "SEND_TEXTS"}),
        (["missing"], "Nothing that you can see has this id.", {"code": "BAD_REQUEST"}),
        (["refused"], "Not like this.", {"code": "BAD_REQUEST"}),
        (["a", "fault"], error_masking.INTERNAL_ERROR_MESSAGE, {"code": "INTERNAL", "requestId": request_id}),
    ]  # fmt: skip
    assert len(str(request_id)) == 32


async def test_suggestions_are_not_for_strangers() -> None:
    result = await run("{ thin }")

    assert [error.message for error in result.errors or ()] == ["Cannot query field 'thin' on type 'Query'."]

"""Our way through graphql-core's words and rules finds what its own finds, and no document takes it long."""

import re
from contextlib import suppress
from random import Random
from typing import Any

import graphql
import pytest
from graphql import (
    GraphQLError,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSyntaxError,
    get_named_type,
    is_leaf_type,
)

from graphql_api.errors import RequestError
from graphql_api.limits import lexer
from graphql_api.limits.extension import MAX_DOCUMENT_TOKENS, DocumentCache
from graphql_api.limits.validation import MAX_VALIDATION_ERRORS, VALIDATION_RULES, validate
from schema import schema
from tests import cpu_time

SCHEMA = schema._schema  # noqa: SLF001 - Strawberry has no other name for it
COST = 20.0
"""Yardsticks that any document may take to be read, measured, and validated or refused."""

DOCUMENTS = [
    "{ viewer { user { id name } } }",
    "{ nothing viewer { nothing } }",
    "query A($id: ID!) { node(id: $id) { ...F } } fragment F on Service { id templates(first: $n) { nodes { id } } }",
    "query A($id: ID!, $n: Int) { __typename } query A { __typename }",
    "query ($n: Int) { services(first: $n, first: 1) { nodes { id @skip(if: $n) @skip(if: true) @what } } }",
    "{ services(filter: {statuses: [LIVE, NOTHING], nothing: 1}, orderBy: {field: NAME}) { totalCount { x } } }",
    "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A viewer }",
    "{ a: viewer { isPlatformAdmin } a: services { totalCount } }",
    "{ node(id: 1) { ... on Channel { x } ... on Nothing { y } ... on Query { viewer { __typename } } } }",
    "query ($v: Nothing, $w: Service, $x: [ID!]! = [null]) { nodes(ids: $x) { id } node(id: $v) { id } }",
    'mutation { sendNotification(input: {templateId: "1", recipient: {email: "x", sms: "y"}}) { nothing } }',
    "subscription { x } { y } { __typename }",
    "fragment Unused on Service { id } { __schema { types { fields { type { ofType { fields { name } } } } } } }",
    '{ node(id: """a block\n  of text""") { id } }',
    '{ nodes(ids: ["\\u00e9\\n\\"\\\\", "\\uD83D\\uDE00", "\\u{1F600}x\\n"]) { id } }',
    '{ nodes(ids: ["\\u{0}\\u{00000041}\\u{d7fF}\\u{0E000}\\u{D8000}\\u{0010FFFF}", "\\u{D8}a}\\u{DF}}}"]) { id } }',
    '{ node(id: """ \\""" \r\n\r  x \\ "" """) { nothing } }',
    "{\r\n  viewer # a comment, \r\n\t{ nothing }\r# another\n,,,\ufeff nothing }",
    "{ node(id: -1.5e3, x: 0) { id } }",
    "query ($a: Int = 1 @deprecated) @include(if: $b) { __typename ...on Query @defer { __typename } }",
]  # fmt: skip
BROKEN = [
    "",
    "{",
    "{ a } }",
    "{ 'a' }",
    "{ a .. b }",
    "{ a(b: 01) }",
    "{\r\n a(b: 1.) }",
    "{ # \n ? }",
    "é",
    '{ a(b: "c) }',
    '{ a(b: """x) }',
    '{ a(b: "\\x") }',
    '{ a(b: "\\uD800") }',
    '{ a(b: "\\u{}") }',
    '{ a(b: "\\u{00D800}") }',
    '{ a(b: "\\u{dfff}") }',
    '{ a(b: "\\u{110000}") }',
    '{ a(b: "\\u{000000041}") }',
    '{ a(b: "\\u{41',
    '{ a(b: "\\u{41}',
]


def pieces(seed: int) -> str:
    """A document cut together of others."""
    random = Random(seed)  # noqa: S311 - the same documents each time
    words = " ".join(random.choice(DOCUMENTS) for _ in range(3)).split()
    for _ in range(random.randrange(6)):
        words.insert(random.randrange(len(words)), random.choice(words))
        del words[random.randrange(len(words))]
    return " ".join(words)


def told(errors: list[GraphQLError]) -> list[object]:
    return [error.formatted for error in errors]


@pytest.mark.parametrize("document", DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_the_same_is_found_wrong_in_the_same_places(document: str) -> None:
    ours, theirs = lexer.parse(document, MAX_DOCUMENT_TOKENS), graphql.parse(document)

    assert ours.to_dict(locations=True) == theirs.to_dict(locations=True)
    assert told(validate(SCHEMA, ours)) == told(
        graphql.validate(SCHEMA, theirs, VALIDATION_RULES, max_errors=MAX_VALIDATION_ERRORS)
    )


def test_the_same_is_found_wrong_in_what_is_cut_together() -> None:
    read = 0
    for seed in range(1_500):
        document = pieces(seed)
        try:
            theirs = graphql.parse(document)
        except GraphQLSyntaxError as error:
            with pytest.raises(GraphQLSyntaxError, match=re.escape(error.message)):
                lexer.parse(document, MAX_DOCUMENT_TOKENS)
            continue
        read += 1
        ours = lexer.parse(document, MAX_DOCUMENT_TOKENS)
        assert told(validate(SCHEMA, ours)) == told(
            graphql.validate(SCHEMA, theirs, VALIDATION_RULES, max_errors=MAX_VALIDATION_ERRORS)
        ), document

    assert read > 100


@pytest.mark.parametrize("document", BROKEN)
def test_what_is_no_document_is_refused_in_the_same_words(document: str) -> None:
    with pytest.raises(GraphQLSyntaxError) as theirs:
        graphql.parse(document)
    with pytest.raises(GraphQLSyntaxError) as ours:
        lexer.parse(document, MAX_DOCUMENT_TOKENS)

    assert ours.value.formatted == theirs.value.formatted


def numbered(text: str, count: int) -> str:
    return " ".join(text.format(i=i) for i in range(count))


def everything(depth: int) -> str:
    """All fields that a service has, and those of what it leads to."""

    def fields(kind: Any, left: int) -> str:
        found = []
        for name, one in kind.fields.items():
            inner = get_named_type(one.type)
            if any(isinstance(argument.type, GraphQLNonNull) for argument in one.args.values()):
                continue
            if is_leaf_type(inner):
                found.append(name)
            elif isinstance(inner, GraphQLObjectType) and left:
                size = "(first: 1)" if "first" in one.args else ""
                found.append(f"{name}{size} {{ __typename {fields(inner, left - 1)} }}")
        return " ".join(found)

    return f"{{ service(id: 1) {{ {fields(SCHEMA.type_map['Service'], depth)} }} }}"


COSTLY = {
    "everything there is": everything(2),
    "twice as much": everything(3)[:15_000],
    "spreads of one fragment": "{" + "...F " * 980 + "} fragment F on Query { __typename }",
    "spreads of nothing": "{" + numbered("...N{i}", 900) + "}",
    "unknown fields": "{ viewer {" + numbered("n{i}", 900) + "} }",
    "unknown types": "{ node(id: 1) {" + numbered("...on NotificationTemplateX{i} {{ id }}", 300) + "} }",
    "unknown types of variables": "query(" + numbered("$v{i}: UpdateServiceInputX{i}", 100) + ") { __typename }",
    "unknown arguments": "{ node(" + numbered("n{i}: 1", 600) + ") { id } }",
    "unknown input fields": "mutation { createService(input: {" + numbered("a{i}: 1", 600) + "}) { service { id } } }",
    "unknown words of an enum": "{ services(filter: {statuses: [" + numbered("X{i}", 900) + "]}) { totalCount } }",
    "equal arguments": "{ node(" + 'id: "x" ' * 600 + ") { id } }",
    "fields that conflict": "{ services { nodes {" + numbered("jobs(first: {i}) {{ nodes {{ id }} }}", 50) + "} } }",
    "fragments that are alike": "{" + numbered("...F{i}", 50) + "}" + numbered(
        "fragment F{i} on Query {{ services(first: 1) {{ nodes {{ id jobs(first: 1) {{ nodes {{ id }} }} }} }} }}",
        50,
    ),
    "variables everywhere": "query("
    + numbered("$v{i}: ID!", 100)
    + ") { nodes(ids: ["
    + numbered("$v{i} ", 99) * 7
    + "]) { id } }",
    "operations with variables": numbered(
        "query Q{i}($v: ID!) {{" + numbered("...F{i}", 50).replace("{", "{{") + "}}", 5
    ) + numbered("fragment F{i} on Query {{ node(id: $v) {{ id }} nodes(ids: [$v $v]) {{ id }} }}", 50),
    "cycles": "{ ...F0 }" + numbered("fragment F{i} on Query {{ ...F0 ...F1 ...F2 ...F3 ...F4 ...F49 }}", 50),
    "inline fragments in each other": "{" + ("...{" * 18 + "__typename" + "}" * 18) * 20 + "}",
    "introspection": "{ __schema { types {" + "fields { name args { name type { name kind } } } " * 50 + "} } }",
    "a long name": "{" + "x" * 99_000 + "}",
    "a long text": '{ node(id: "' + "x" * 99_000 + '") { id } }',
    "a long text of escapes": '{ node(id: "' + "\\n" * 49_000 + '") { id } }',
    "a long block": '{ node(id: """' + " x\n" * 33_000 + '""") { id } }',
    "a text that is left open": '{ node(id: "' + "x\\n" * 33_000,
    "a text with a wrong escape": '{ node(id: "' + "x\\n" * 33_000 + '\\x") { id } }',
    "a text of pairs": '{ node(id: "' + "\\uD83D\\uDE00" * 8_200 + '") { id } }',
    "a text of numbers and braces": '{ node(id: "' + "\\u{D8}a}" * 12_000 + '") { id } }',
    "a text of numbers": '{ node(id: "' + "\\u{1}" * 19_000 + '") { id } }',
    "a block that is left open": '{ node(id: """' + 'x"\n' * 33_000,
    "a block with slashes": '{ node(id: """' + '\\"""' * 24_000,
    "comments": "#\n" * 49_000 + "{ __typename }",
    "empty lines": "\r\n" * 49_000 + "{ __typename }",
    "a long number": "{ nodes(ids: [" + "1" * 99_000 + "]) { id } }",
    "a character that may not be": "{" + "a " * 1_900 + "'",
}  # fmt: skip


@pytest.mark.parametrize("document", COSTLY.values(), ids=list(COSTLY))
def test_no_document_costs_much(document: str) -> None:
    assert len(document) <= 100_000

    def read() -> None:
        documents = DocumentCache(SCHEMA)
        with suppress(GraphQLError, RequestError):
            known = documents.get_or_parse(document)
            documents.check_cost(known, {})
            documents.validate(known)

    assert cpu_time.ratio(read, enough=COST) <= COST

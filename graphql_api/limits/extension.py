"""What a document and its variables may cost, decided before they run, whichever way they came in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
)
from strawberry.extensions import SchemaExtension

from graphql_api.errors import BadRequest, Forbidden, QueryTooComplex, Refusal, TooManyRequests, Unauthenticated
from graphql_api.limits import points
from graphql_api.limits.complexity import Measure
from graphql_api.limits.field_costs import Shapes
from graphql_api.limits.lexer import parse
from graphql_api.limits.points import REFUSED, Price
from graphql_api.limits.validation import validate
from graphql_api.limits.value_limits import check_text, check_variables
from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from graphql import DocumentNode, GraphQLSchema
    from strawberry import Schema

    from graphql_api.limits.buckets import Standing

BYTES = 100_000
TOKENS = 2_000
READ = 200
"""Bytes of a refused document that make a point, beside the first."""
REMEMBERED = 100
"""Documents that are kept parsed; the largest that is allowed takes about a megabyte."""


@dataclass(slots=True)
class Known:
    """A document that was parsed, and what has been found out about it since."""

    document: DocumentNode
    errors: list[GraphQLError] | None = None
    prices: dict[str | None, Price] | None = None
    """What each operation costs, where it is within the limits and costs the same with any variables."""
    introspects: bool = False


@dataclass(slots=True)
class Documents:
    """The latest documents of a schema by their text, so that a client's own few are parsed and validated once."""

    schema: GraphQLSchema
    shapes: Shapes = field(init=False)
    _known: OrderedDict[str, Known] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        """Begin with none."""
        self.shapes = Shapes(self.schema)

    def read(self, text: str) -> Known:
        """Parse a document; raises GraphQLError where it is none, and `QueryTooComplex` where it is too large."""
        known = self._known.get(text)
        if known is None:
            known = Known(_parsed(text))
            self._known[text] = known
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(text)
        return known

    def check(self, known: Known, variables: dict[str, Any], operation: str | None = None) -> Price:
        """What an operation costs with these variables; refuses the document if any of it costs too much."""
        prices = known.prices
        if prices is None:
            measure = Measure(self.shapes, variables)
            measure.document(known.document)
            prices = measure.prices
            if not measure.sized:
                known.prices = prices
            known.introspects = measure.introspects
        if operation is None and len(prices) == 1:
            (price,) = prices.values()
            return price
        return prices.get(operation, REFUSED)

    def validate(self, known: Known) -> list[GraphQLError]:
        """What is wrong with a document that is affordable."""
        if known.errors is None:
            known.errors = validate(self.schema, known.document)
        return list(known.errors)


def _parsed(text: str) -> DocumentNode:
    if len(text) > BYTES or len(text.encode(errors="replace")) > BYTES:
        raise QueryTooComplex(f"A document may have {BYTES:,} bytes at most.")
    try:
        return parse(text, TOKENS)
    except GraphQLSyntaxError as error:
        if f"more than {TOKENS} tokens" in error.message:
            raise QueryTooComplex(f"A document may have {TOKENS:,} tokens at most.") from error
        if "nested too deeply" in error.message:
            raise QueryTooComplex("The document is nested too deep.") from error
        raise
    except RecursionError as error:
        raise QueryTooComplex("The document is nested too deep.") from error


@lru_cache(maxsize=4)
def documents_of(schema: Schema) -> Documents:
    """The documents of a schema; a process has one."""
    return Documents(schema._schema)  # noqa: SLF001 - Strawberry has no other name for it


class Limits(SchemaExtension):
    """Refuses documents that are over budget, charges for the others, and reads and validates them once for all.

    It presets `pre_execution_errors` and raises nothing: what an extension raises never reaches a WebSocket's client.
    A document that is refused costs a point, and what times out costs all that was reserved.
    """

    known: Known | None = None
    price: Price = REFUSED
    _standing: Standing | None = None
    _spent: int | None = None

    async def on_parse(self) -> AsyncIterator[None]:
        """Read, measure and reserve; set either the document or what is wrong with it."""
        context = self.execution_context
        try:
            try:
                self.known = self._read()
            except (Refusal, GraphQLError):
                await self._reserve()
                if self._standing is not None:
                    # What was read for nothing is paid for, though nothing may be left.
                    context.context.rates.owe(self._standing.bucket, len(context.query or "") // READ)
                raise
            await self._reserve()
        except Refusal as refusal:
            self._refuse(GraphQLError(refusal.message, original_error=refusal))
        except GraphQLError as error:
            self._refuse(error)
        else:
            if self.known:
                context.graphql_document = self.known.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Validate, unless the document is refused already."""
        context = self.execution_context
        if self.known and not context.pre_execution_errors:
            context.pre_execution_errors = self._documents.validate(self.known)
        yield

    async def get_results(self) -> dict[str, Any]:
        """What the operation cost, with its answer; what was reserved above that is given back."""
        if self._spent is None:
            self._spent = self._actual()
            if self._standing is not None:
                await self.execution_context.context.rates.refund(self._standing, self.price.requested - self._spent)
        return points.told(self.price.requested, self._spent)

    def _actual(self) -> int:
        result, context = self.execution_context.result, self.execution_context
        if result is None or not isinstance(result, ExecutionResult):
            return REFUSED.requested if context.pre_execution_errors else self.price.requested
        if not self.price.refundable:
            return self.price.requested
        return self.price.actual(points.objects_of(result.data))

    async def _reserve(self) -> None:
        context = self.execution_context.context
        rates = getattr(context, "rates", None)
        if rates is None:
            return
        try:
            self._standing = context.standing = await rates.reserve(context.actor, self.price.requested)
        except TooManyRequests as refusal:
            operation_stats.add(refusals=frozenset({refusal.code}))
            self._spent = 0
            raise

    @property
    def _documents(self) -> Documents:
        return documents_of(self.execution_context.schema)

    def _read(self) -> Known | None:
        context = self.execution_context
        if not context.query:
            return None
        check_text(context.query)
        known = self._documents.read(context.query)
        variables = context.variables or {}
        check_variables(variables)
        price = self._documents.check(known, variables, context.operation_name)
        if known.introspects:
            may_introspect(context.context)
        if not context._provided_operation_name and _several(known.document):  # noqa: SLF001 - it has no other name
            raise BadRequest("Say in `operationName` which of the document's operations to run.")
        self.price = price
        return known

    def _refuse(self, error: GraphQLError) -> None:
        context = self.execution_context
        # Something must stand for the document, or Strawberry would parse what was refused; it is not executed.
        context.graphql_document = _NOTHING
        context._provided_operation_name = None  # noqa: SLF001 - the stand-in has no operation of that name
        context.pre_execution_errors = [error]


def _several(document: DocumentNode) -> bool:
    """Whether a document has more than one operation, of which Strawberry would run the first."""
    return sum(isinstance(one, OperationDefinitionNode) for one in document.definitions) > 1


def may_introspect(context: Any) -> None:
    """Refuse to show the schema to those who may not see it; `context` is None where nobody asks, as in a test."""
    if context is None or context.settings.development:
        return
    if context.settings.introspection == "nobody":
        raise Forbidden("INTROSPECTION", "This server does not show its schema: read it in the documentation.")
    if context.settings.introspection == "signed-in" and not context.actor.signed_in:
        raise Unauthenticated("Sign in to read the schema.")


_NOTHING = parse("{ __typename }", TOKENS)

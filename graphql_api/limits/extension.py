"""What a document and its variables may cost, decided before they run, whichever way they came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from cachetools import LRUCache
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
)
from strawberry.extensions import SchemaExtension

from graphql_api.errors import BadRequest, Forbidden, QueryTooComplex, RequestError, TooManyRequests, Unauthenticated
from graphql_api.limits import points
from graphql_api.limits.complexity import ComplexityAnalysis
from graphql_api.limits.field_costs import FieldCosts
from graphql_api.limits.lexer import parse
from graphql_api.limits.points import REJECTED_COST, OperationCost
from graphql_api.limits.validation import validate
from graphql_api.limits.value_limits import check_text, check_variables
from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from graphql import DocumentNode, GraphQLSchema
    from strawberry import Schema

    from graphql_api.limits.buckets import Reservation

MAX_DOCUMENT_BYTES = 100_000
MAX_DOCUMENT_TOKENS = 2_000
REJECTED_BYTES_PER_POINT = 200
"""Bytes of a refused document that make a point, beside the first."""
MAX_CACHED_DOCUMENTS = 100
"""Documents that are kept parsed; the largest that is allowed takes about a megabyte."""


@dataclass(slots=True)
class CachedDocument:
    """A document that was parsed, and what has been found out about it since."""

    document: DocumentNode
    errors: list[GraphQLError] | None = None
    operation_costs: dict[str | None, OperationCost] | None = None
    """What each operation costs, where it is within the limits and costs the same with any variables."""
    uses_introspection: bool = False


@dataclass(slots=True)
class DocumentCache:
    """The latest documents of a schema by their text, so that a client's own few are parsed and validated once."""

    schema: GraphQLSchema
    field_costs: FieldCosts = field(init=False)
    _cached: LRUCache[str, CachedDocument] = field(default_factory=lambda: LRUCache(MAX_CACHED_DOCUMENTS))

    def __post_init__(self) -> None:
        """Begin with none."""
        self.field_costs = FieldCosts(self.schema)

    def get_or_parse(self, text: str) -> CachedDocument:
        """Parse a document; raises GraphQLError where it is none, and `QueryTooComplex` where it is too large."""
        cached_document = self._cached.get(text)
        if cached_document is None:
            cached_document = self._cached[text] = CachedDocument(_parse_document(text))
        return cached_document

    def check_cost(
        self, cached_document: CachedDocument, variables: dict[str, Any], operation: str | None = None
    ) -> OperationCost:
        """What an operation costs with these variables; refuses the document if any of it costs too much."""
        prices = cached_document.operation_costs
        if prices is None:
            measure = ComplexityAnalysis(self.field_costs, variables)
            measure.analyse(cached_document.document)
            prices = measure.operation_costs
            if not measure.depends_on_variables:
                cached_document.operation_costs = prices
            cached_document.uses_introspection = measure.uses_introspection
        if operation is None and len(prices) == 1:
            (price,) = prices.values()
            return price
        return prices.get(operation, REJECTED_COST)

    def validate(self, cached_document: CachedDocument) -> list[GraphQLError]:
        """What is wrong with a document that is affordable."""
        if cached_document.errors is None:
            cached_document.errors = validate(self.schema, cached_document.document)
        return list(cached_document.errors)


def _parse_document(text: str) -> DocumentNode:
    if len(text) > MAX_DOCUMENT_BYTES or len(text.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
        raise QueryTooComplex(f"A document may have {MAX_DOCUMENT_BYTES:,} bytes at most.")
    try:
        return parse(text, MAX_DOCUMENT_TOKENS)
    except GraphQLSyntaxError as error:
        if f"more than {MAX_DOCUMENT_TOKENS} tokens" in error.message:
            raise QueryTooComplex(f"A document may have {MAX_DOCUMENT_TOKENS:,} tokens at most.") from error
        if "nested too deeply" in error.message:
            raise QueryTooComplex("The document is nested too deep.") from error
        raise
    except RecursionError as error:
        raise QueryTooComplex("The document is nested too deep.") from error


@lru_cache(maxsize=4)
def document_cache_of(schema: Schema) -> DocumentCache:
    """The documents of a schema; a process has one."""
    return DocumentCache(schema._schema)  # noqa: SLF001 - Strawberry has no other name for it


class LimitsExtension(SchemaExtension):
    """Refuses documents that are over budget, charges for the others, and reads and validates them once for all.

    It presets `pre_execution_errors` and raises nothing: what an extension raises never reaches a WebSocket's client.
    A document that is refused costs a point, and what times out costs all that was reserved.
    """

    cached_document: CachedDocument | None = None
    cost: OperationCost = REJECTED_COST
    _reservation: Reservation | None = None
    _actual_points: int | None = None

    async def on_parse(self) -> AsyncIterator[None]:
        """Read, measure and reserve; set either the document or what is wrong with it."""
        context = self.execution_context
        try:
            try:
                self.cached_document = self._read_document()
            except (RequestError, GraphQLError):
                await self._reserve()
                if self._reservation is not None:
                    # What was read for nothing is paid for, though nothing may be left.
                    context.context.rate_limiter.debit(
                        self._reservation.bucket, len(context.query or "") // REJECTED_BYTES_PER_POINT
                    )
                raise
            await self._reserve()
        except RequestError as refusal:
            self._reject(GraphQLError(refusal.message, original_error=refusal))
        except GraphQLError as error:
            self._reject(error)
        else:
            if self.cached_document:
                context.graphql_document = self.cached_document.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Validate, unless the document is refused already."""
        context = self.execution_context
        if self.cached_document and not context.pre_execution_errors:
            context.pre_execution_errors = self._document_cache.validate(self.cached_document)
        yield

    async def get_results(self) -> dict[str, Any]:
        """What the operation cost, with its answer; what was reserved above that is given back."""
        if self._actual_points is None:
            self._actual_points = self._compute_actual_points()
            if self._reservation is not None:
                await self.execution_context.context.rate_limiter.refund(
                    self._reservation, self.cost.requested_points - self._actual_points
                )
        return points.cost_extensions(self.cost.requested_points, self._actual_points)

    def _compute_actual_points(self) -> int:
        result, context = self.execution_context.result, self.execution_context
        if result is None or not isinstance(result, ExecutionResult):
            return REJECTED_COST.requested_points if context.pre_execution_errors else self.cost.requested_points
        if not self.cost.is_refundable:
            return self.cost.requested_points
        return self.cost.actual_points(points.count_objects(result.data))

    async def _reserve(self) -> None:
        context = self.execution_context.context
        rates = getattr(context, "rate_limiter", None)
        if rates is None:
            return
        try:
            self._reservation = context.reservation = await rates.reserve(context.actor, self.cost.requested_points)
        except TooManyRequests as error:
            operation_stats.add_error(error)
            self._actual_points = 0
            raise

    @property
    def _document_cache(self) -> DocumentCache:
        return document_cache_of(self.execution_context.schema)

    def _read_document(self) -> CachedDocument | None:
        context = self.execution_context
        if not context.query:
            return None
        check_text(context.query)
        known = self._document_cache.get_or_parse(context.query)
        variables = context.variables or {}
        check_variables(variables)
        price = self._document_cache.check_cost(known, variables, context.operation_name)
        if known.uses_introspection:
            require_introspection_allowed(context.context)
        if not context._provided_operation_name and _has_several_operations(known.document):  # noqa: SLF001 - it has no other name
            raise BadRequest("Say in `operationName` which of the document's operations to run.")
        self.cost = price
        return known

    def _reject(self, error: GraphQLError) -> None:
        context = self.execution_context
        # Something must stand for the document, or Strawberry would parse what was refused; it is not executed.
        context.graphql_document = _PLACEHOLDER_DOCUMENT
        context._provided_operation_name = None  # noqa: SLF001 - the stand-in has no operation of that name
        context.pre_execution_errors = [error]


def _has_several_operations(document: DocumentNode) -> bool:
    """Whether a document has more than one operation, of which Strawberry would run the first."""
    return sum(isinstance(one, OperationDefinitionNode) for one in document.definitions) > 1


def require_introspection_allowed(context: Any) -> None:
    """Raise `Forbidden` or `Unauthenticated` when the caller may not read the schema; without a context anyone may."""
    if context is None or context.settings.allows_introspection(signed_in=context.actor.signed_in):
        return
    if context.settings.introspection == "nobody":
        raise Forbidden("INTROSPECTION", "This server does not show its schema: read it in the documentation.")
    raise Unauthenticated("Sign in to read the schema.")


_PLACEHOLDER_DOCUMENT = parse("{ __typename }", MAX_DOCUMENT_TOKENS)

"""The Strawberry extension that applies limits: parse, cost, rate limit and validation, over any transport."""

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
"""A refused document costs a point, and one more for each so many of its bytes."""
MAX_CACHED_DOCUMENTS = 100
"""Parsed documents in memory; the largest allowed takes about a megabyte."""


@dataclass(slots=True)
class CachedDocument:
    """A parsed document, with its validation errors and costs once they are computed."""

    document: DocumentNode
    errors: list[GraphQLError] | None = None
    operation_costs: dict[str | None, OperationCost] | None = None
    """The cost of each operation, by name, if it does not depend on variables."""
    uses_introspection: bool = False


@dataclass(slots=True)
class DocumentCache:
    """Documents of a schema by their text: those of a client are parsed and validated once."""

    schema: GraphQLSchema
    field_costs: FieldCosts = field(init=False)
    _cached: LRUCache[str, CachedDocument] = field(default_factory=lambda: LRUCache(MAX_CACHED_DOCUMENTS))

    def __post_init__(self) -> None:
        self.field_costs = FieldCosts(self.schema)

    def get_or_parse(self, text: str) -> CachedDocument:
        """The document of a text; raises GraphQLError for a syntax error, and `QueryTooComplex` for one too large."""
        cached_document = self._cached.get(text)
        if cached_document is None:
            cached_document = self._cached[text] = CachedDocument(_parse_document(text))
        return cached_document

    def check_cost(
        self, cached_document: CachedDocument, variables: dict[str, Any], operation: str | None = None
    ) -> OperationCost:
        """The cost of an operation with these variables; `QueryTooComplex` if any of the document is over a limit."""
        costs = cached_document.operation_costs
        if costs is None:
            analysis = ComplexityAnalysis(self.field_costs, variables)
            analysis.analyse(cached_document.document)
            costs = analysis.operation_costs
            if not analysis.depends_on_variables:
                cached_document.operation_costs = costs
            cached_document.uses_introspection = analysis.uses_introspection
        if operation is None and len(costs) == 1:
            (cost,) = costs.values()
            return cost
        return costs.get(operation, REJECTED_COST)

    def validate(self, cached_document: CachedDocument) -> list[GraphQLError]:
        """The validation errors of a document whose cost is allowed."""
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
    """The document cache of a schema; a process has one schema."""
    return DocumentCache(schema._schema)  # noqa: SLF001 - Strawberry has no public name for it


class LimitsExtension(SchemaExtension):
    """Refuses documents over the limits, reserves points for the others, and caches parsing and validation.

    It sets `pre_execution_errors` and raises nothing: an error raised by an extension never reaches a WebSocket's
    client. A refused document costs a point; an operation that times out costs all points that were reserved.
    """

    cached_document: CachedDocument | None = None
    cost: OperationCost = REJECTED_COST
    _reservation: Reservation | None = None
    _actual_points: int | None = None

    async def on_parse(self) -> AsyncIterator[None]:
        """Parse, compute the cost, and reserve points; set the document or its error."""
        context = self.execution_context
        try:
            try:
                self.cached_document = self._read_document()
            except (RequestError, GraphQLError):
                await self._reserve()
                if self._reservation is not None:
                    # Parsing is paid for, even when no points are left.
                    context.context.rate_limiter.debit(
                        self._reservation.bucket, len(context.query or "") // REJECTED_BYTES_PER_POINT
                    )
                raise
            await self._reserve()
        except RequestError as error:
            self._reject(GraphQLError(error.message, original_error=error))
        except GraphQLError as error:
            self._reject(error)
        else:
            if self.cached_document:
                context.graphql_document = self.cached_document.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Validate, unless the document is refused."""
        context = self.execution_context
        if self.cached_document and not context.pre_execution_errors:
            context.pre_execution_errors = self._document_cache.validate(self.cached_document)
        yield

    async def get_results(self) -> dict[str, Any]:
        """The cost for the response's extensions; unused points are refunded."""
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
        rate_limiter = getattr(context, "rate_limiter", None)
        if rate_limiter is None:
            return
        try:
            self._reservation = context.reservation = await rate_limiter.reserve(
                context.actor, self.cost.requested_points
            )
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
        cached_document = self._document_cache.get_or_parse(context.query)
        variables = context.variables or {}
        check_variables(variables)
        cost = self._document_cache.check_cost(cached_document, variables, context.operation_name)
        if cached_document.uses_introspection:
            require_introspection_allowed(context.context)
        if not context._provided_operation_name and _has_several_operations(cached_document.document):  # noqa: SLF001 - it has no public name
            raise BadRequest("Say in `operationName` which of the document's operations to run.")
        self.cost = cost
        return cached_document

    def _reject(self, error: GraphQLError) -> None:
        context = self.execution_context
        # Without a document Strawberry would parse the refused text; this one is not executed.
        context.graphql_document = _PLACEHOLDER_DOCUMENT
        context._provided_operation_name = None  # noqa: SLF001 - the placeholder has no operation of that name
        context.pre_execution_errors = [error]


def _has_several_operations(document: DocumentNode) -> bool:
    """Whether a document has several operations, of which Strawberry would run the first."""
    return sum(isinstance(node, OperationDefinitionNode) for node in document.definitions) > 1


def require_introspection_allowed(context: Any) -> None:
    """Raise `Forbidden` or `Unauthenticated` when the caller may not read the schema; without a context anyone may."""
    if context is None or context.settings.allows_introspection(signed_in=context.actor.signed_in):
        return
    if context.settings.introspection == "nobody":
        raise Forbidden("INTROSPECTION", "This server does not show its schema: read it in the documentation.")
    raise Unauthenticated("Sign in to read the schema.")


_PLACEHOLDER_DOCUMENT = parse("{ __typename }", MAX_DOCUMENT_TOKENS)

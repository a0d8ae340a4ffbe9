"""The fast path of queries, which can be left out: an operation is compiled once, and PostgreSQL writes its JSON.

`Planner` takes an operation before graphql-core does. `plan_cache` has its plan, or `compiler` makes one over the
declarations of `schema` and `loaders`. `OperationPlan.run` then runs a step for each root field, and `driver_pool` runs
their statements.

    __init__        Planner: access, cost and errors of one operation
    plan_cache      documents to plans; parsed, validated and measured once, by the limits of the server
    compiler        an operation becomes a plan
    selections      what a document selects, and the arguments of its fields
    pushdown/       parts of an operation that PostgreSQL writes as JSON, in one statement each; most operations are one
    steps/          parts that are read level by level, because Python must write something in them
    driver_pool     asyncpg's own connections, with prepared statements
    errors          NotPlannable

Words, those of grafast where it has one:

    operation plan  what executes one operation: a step, or a constant, for each root field
    step            reads something for all parents at once: keys in, a value of the response for each key out
    output plan     what becomes of the records of a step: its child steps, and a generated function for each value
    pushdown        PostgreSQL writes the JSON of an entity or a connection, and of everything below it
    part            a piece of the expression that is that JSON: a literal, SQL of a value, a placeholder, a connection
    placeholder     a part that a connection makes of its page: its rows, count, cursors
    fragment        a statement of the loaders as text, split at its parameters
    page shape      the part of a page's arguments on which its statement's text depends (`loaders.core.statements`)
    variant         one text of a step's statement: for a visibility scope and the page shapes of its connections
    poison value    a character that JSON never contains, which SQL writes where GraphQL would report an error
    generic plan    PostgreSQL's plan of a prepared statement for all values of its parameters
    not plannable   left to graphql-core, which executes the whole operation as it would without a planner

A plan only ever gives the response of an operation without errors. A mutation, an error, a rejection, a null that would
propagate, a root field with a resolver of its own: the operation is not plannable.

Steps of rows and generated functions stay beside pushdown: a sixth of the tests' plannable documents and every screen
with limits, statistics or progress need them, and take a fifth of the time that graphql-core takes. The batch functions
take nearly all of that, the generated ones 0.5 %, so that merging batches into pushed-down JSON would save little.

Only `app` may import this package, which may import everything below the transports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from graphql import GraphQLError

from graphql_api.database.database import Database
from graphql_api.database.sqlstates import RETRYABLE_SQLSTATES, is_transient, sqlstate
from graphql_api.errors import DomainError, RequestError, TooManyRequests, Unavailable
from graphql_api.limits import points
from graphql_api.limits.extension import require_introspection_allowed
from graphql_api.planner.driver_pool import PinnedConnections, PooledConnections
from graphql_api.planner.errors import NotPlannable
from graphql_api.planner.plan_cache import PlanCache
from graphql_api.planner.steps.steps import PlanRequest

if TYPE_CHECKING:
    from graphql_api.context import Context
    from graphql_api.http.requests import Operation
    from graphql_api.limits.buckets import Reservation
    from graphql_api.observability.error_masking import ErrorMaskingSchema
    from graphql_api.planner.driver_pool import StatementRunner
    from graphql_api.settings import Settings

JSON_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z

__all__ = ["Planner"]


class Planner:
    """Executes operations by plans."""

    def __init__(self, schema: ErrorMaskingSchema, runner: StatementRunner) -> None:
        self.plan_cache = PlanCache(schema)
        self._runner = runner

    @classmethod
    def of(cls, schema: ErrorMaskingSchema, database: Database, settings: Settings) -> Planner:
        """A planner that pins half of the pool, but no connection of a pool of one or of a `Database` subclass."""
        max_pinned = settings.database_pool_size // 2
        if type(database) is not Database or not max_pinned:
            return cls(schema, PooledConnections(database))
        settable = not settings.database_through_pooler
        runner = PinnedConnections(database, max_pinned, settings.database_pool_recycle, settable=settable)
        return cls(schema, runner)

    async def close(self) -> None:
        """Return the connections to the pool."""
        await self._runner.close()

    async def __call__(self, operation: Operation, context: Context) -> bytes | None:
        """The whole response as JSON; None for an operation that is not plannable, or whose caller is not signed in.

        Raises `TooManyRequests`, and `Unavailable` for a lock or a statement that took too long. Any other exception is
        a defect: graphql-core can still execute the operation.
        """
        if not context.actor.signed_in:
            return None
        try:
            return await self.execute(operation, context)
        except TooManyRequests:
            raise
        except Unavailable as error:
            if sqlstate(error.__cause__) in RETRYABLE_SQLSTATES:
                raise
            return None
        except (NotPlannable, RequestError, DomainError, GraphQLError):
            return None
        except Exception as error:
            if sqlstate(error) in RETRYABLE_SQLSTATES:
                raise Unavailable("The database did not answer in time: try again.") from error
            if not is_transient(error):
                raise
            return None

    async def execute(self, operation: Operation, context: Context) -> bytes:
        """The same, but raises why an operation is not plannable, which costs nothing.

        Points are reserved and refunded as `LimitsExtension` does it.
        """
        plan, variables, cost = self.plan_cache.find(operation.query, operation.name, operation.variables)
        if plan.introspects:
            require_introspection_allowed(context)
        requested = cost.requested_points
        reservation = (
            None if context.rate_limiter is None else await context.rate_limiter.reserve(context.actor, requested)
        )
        try:
            data = orjson.dumps(await plan.run(PlanRequest(context, self._runner, variables)), option=JSON_OPTIONS)
        except Exception:
            await _refund(context, reservation, requested)
            raise
        actual = cost.actual_points(points.count_objects_in_json(data)) if cost.is_refundable else requested
        if actual < requested:
            await _refund(context, reservation, requested - actual)
        return b'{"data":' + data + points.cost_extensions_json(requested, actual)


async def _refund(context: Context, reservation: Reservation | None, refunded_points: int) -> None:
    if context.rate_limiter is not None:
        await context.rate_limiter.refund(reservation, refunded_points)

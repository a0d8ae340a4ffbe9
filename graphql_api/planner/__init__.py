"""The fast path, which can be left out: an operation is compiled once into a plan, and run without fields.

A query comes in at `Planner`, below. `cache` has its plan, or lets `compiling` make one: a source for each root field.
`Plan.run` then asks each source for its values, and they send their statements by `connections`.

    cache       documents to plans: parsed, validated and measured once, by the server's own limits
    compiling   an operation over the declarations of `schema`: what PostgreSQL can write is told, the rest is read
    selections  what a document selects and what fields are given, for both ways
  told, in one statement each; nearly every query is:
    telling     an entity and all below it become one expression of SQL
    blocks      what that is made of, and the sources that ask for it: read its example first
    spelling    how PostgreSQL spells values as JSON
    pieces      the loaders' statements as text, to be put together
  read, level by level, because something is only Python's to write:
    sources     rows by key, lists and batches: each reads for all its parents at once
    pages       connections, which are sources too; and what connections are asked for, for both ways
    tables      the columns that one statement reads, to-one edges joined, as SQL
    writing     expressions become functions that copy records into the answer
  connections   asyncpg's own connections
  refusals      how a plan gives up

A plan answers only where nothing goes wrong. A mutation, an error, a refusal, a null that bubbles, a resolver that
answers objects with edges: the operation is declined, and graphql-core answers it whole, as it would without a planner.
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
from graphql_api.planner.driver_pool import Borrowed, Kept
from graphql_api.planner.errors import Declined
from graphql_api.planner.plan_cache import Plans
from graphql_api.planner.steps.steps import Request

if TYPE_CHECKING:
    from graphql_api.context import Context
    from graphql_api.http.requests import Operation
    from graphql_api.limits.buckets import Reservation
    from graphql_api.observability.error_masking import ErrorMaskingSchema
    from graphql_api.planner.driver_pool import Reads
    from graphql_api.settings import Settings

FORMAT = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z

__all__ = ["Planner"]


class Planner:
    """Answers operations with bytes, or with None where graphql-core is to answer."""

    def __init__(self, schema: ErrorMaskingSchema, reads: Reads) -> None:
        """Plan for a schema, and read by these connections."""
        self.plans = Plans(schema)
        self._reads = reads

    @classmethod
    def of(cls, schema: ErrorMaskingSchema, database: Database, settings: Settings) -> Planner:
        """A planner that keeps half of the pool's connections, or none of one, nor of another kind of database."""
        most = settings.database_pool_size // 2
        if type(database) is not Database or not most:
            return cls(schema, Borrowed(database))
        settable = not settings.database_through_pooler
        return cls(schema, Kept(database, most, settings.database_pool_recycle, settable=settable))

    async def close(self) -> None:
        """Let the connections go."""
        await self._reads.close()

    async def __call__(self, operation: Operation, context: Context) -> bytes | None:
        """The whole answer as JSON, for a caller who is signed in.

        Raises `Unavailable` where PostgreSQL ran out of time, `TooManyRequests`, and whatever else is a defect.
        """
        if not context.actor.signed_in:
            return None
        try:
            return await self.answer(operation, context)
        except TooManyRequests:
            raise
        except Unavailable as error:
            if sqlstate(error.__cause__) in RETRYABLE_SQLSTATES:
                raise
            return None
        except (Declined, RequestError, DomainError, GraphQLError):
            return None
        except Exception as fault:
            if sqlstate(fault) in RETRYABLE_SQLSTATES:
                raise Unavailable("The database did not answer in time: try again.") from fault
            if not is_transient(fault):
                raise
            return None

    async def answer(self, operation: Operation, context: Context) -> bytes:
        """The same, charged for as `Limits` charges; raises why an operation is declined, which then costs nothing."""
        plan, variables, price = self.plans.find(operation.query, operation.name, operation.variables)
        if plan.introspects:
            require_introspection_allowed(context)
        reserved = price.requested_points
        standing = None if context.rate_limiter is None else await context.rate_limiter.reserve(context.actor, reserved)
        try:
            data = orjson.dumps(await plan.run(Request(context, self._reads, variables)), option=FORMAT)
        except Exception:
            await _refund(context, standing, reserved)
            raise
        actual = price.actual_points(points.count_objects_in_json(data)) if price.is_refundable else reserved
        if actual < reserved:
            await _refund(context, standing, reserved - actual)
        return b'{"data":' + data + points.cost_extensions_json(reserved, actual)


async def _refund(context: Context, standing: Reservation | None, reserved: int) -> None:
    if context.rate_limiter is not None:
        await context.rate_limiter.refund(standing, reserved)

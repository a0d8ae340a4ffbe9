"""Every query that a test asks is asked a second time, of a plan: where the plan answers, it answers the same bytes."""

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from graphql_api.errors import INTERNAL_ERROR_CODE, DomainError, RequestError
from graphql_api.http import responses
from graphql_api.http.requests import Operation
from graphql_api.planner import Planner
from graphql_api.planner.driver_pool import Borrowed
from graphql_api.planner.errors import Declined
from graphql_api.planner.plan_cache import Plans

if TYPE_CHECKING:
    from strawberry.types import ExecutionResult

    from graphql_api.context import Context
    from graphql_api.observability.error_masking import ErrorMaskingSchema

COMPARING: ContextVar[bool] = ContextVar("REPLAYING", default=False)
"""True while a plan answers, whose statements are not those that a test counts."""


@lru_cache(maxsize=1)
def _plan_cache(schema: ErrorMaskingSchema) -> Plans:
    return Plans(schema)


async def planner_response(
    schema: ErrorMaskingSchema, document: str, variables: dict[str, Any], context: Context
) -> bytes | None:
    """What a plan answers; None where it leaves the operation to graphql-core. Faults are raised."""
    planner = Planner(schema, Borrowed(context.database))
    planner.plans = _plan_cache(schema)
    if not context.actor.signed_in:
        return None
    token = COMPARING.set(True)
    try:
        return await planner.answer(Operation(document, None, variables), context)
    except (Declined, RequestError, DomainError, GraphQLError):
        return None
    finally:
        COMPARING.reset(token)


async def compare_with_planner(
    schema: ErrorMaskingSchema, document: str, variables: dict[str, Any], context: Context, result: ExecutionResult
) -> bool:
    """Assert that a plan answers as graphql-core did, or not at all; tells whether it answered.

    It may fail only where graphql-core finds a fault of ours, too.
    """
    try:
        found = await planner_response(schema, document, variables, context)
    except Exception:
        if any((error.extensions or {}).get("code") == INTERNAL_ERROR_CODE for error in result.errors or ()):
            return False
        raise
    if log := os.environ.get("REPLAYS"):
        with open(log, "a") as told:  # noqa: ASYNC230, PTH123
            told.write(f"{'declined' if found is None else 'planned'} {bool(result.errors)} {document!r}\n")
    if found is not None:
        assert found == responses.encode_json(responses.format_result(result)), document
    return found is not None

"""Comparison of both executors: a query of a test runs by the planner, too, and must get the same bytes."""

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

COMPARING: ContextVar[bool] = ContextVar("comparing", default=False)
"""True while the planner runs, whose statements are not counted by tests."""


@lru_cache(maxsize=1)
def _plan_cache(schema: ErrorMaskingSchema) -> Plans:
    return Plans(schema)


async def planner_response(
    schema: ErrorMaskingSchema, document: str, variables: dict[str, Any], context: Context
) -> bytes | None:
    """The planner's response; None where it declines. Raises internal errors."""
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
    """Assert that the planner responds as graphql-core did, or declines; returns whether it responded.

    It may raise an error only where graphql-core has an internal error, too.
    """
    try:
        response = await planner_response(schema, document, variables, context)
    except Exception:
        if any((error.extensions or {}).get("code") == INTERNAL_ERROR_CODE for error in result.errors or ()):
            return False
        raise
    if log := os.environ.get("REPLAYS"):
        with open(log, "a") as log_file:  # noqa: ASYNC230, PTH123
            log_file.write(f"{'declined' if response is None else 'planned'} {bool(result.errors)} {document!r}\n")
    if response is not None:
        assert response == responses.encode_json(responses.format_result(result)), document
    return response is not None

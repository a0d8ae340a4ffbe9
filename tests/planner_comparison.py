"""Runs the queries of tests by the planner too, and compares: its bytes must be those of graphql-core's result.

The fixture `ask` does so with every document, so that every test of the schema is one of the planner.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from graphql_api.errors import DomainError, RequestError
from graphql_api.http import responses
from graphql_api.http.requests import Operation
from graphql_api.observability.error_masking import INTERNAL_ERROR_CODE
from graphql_api.planner import Planner
from graphql_api.planner.driver_pool import PooledConnections
from graphql_api.planner.errors import NotPlannable
from graphql_api.planner.plan_cache import PlanCache

if TYPE_CHECKING:
    from strawberry.types import ExecutionResult

    from graphql_api.context import Context
    from graphql_api.observability.error_masking import ErrorMaskingSchema

COMPARING: ContextVar[bool] = ContextVar("COMPARING", default=False)
"""True while a plan runs: tests that count statements leave its statements out."""


@lru_cache(maxsize=1)
def _plan_cache(schema: ErrorMaskingSchema) -> PlanCache:
    return PlanCache(schema)


async def planner_response(
    schema: ErrorMaskingSchema, document: str, variables: dict[str, Any], context: Context
) -> bytes | None:
    """The response of the planner; None for an operation that is not plannable. Raises unexpected exceptions."""
    planner = Planner(schema, PooledConnections(context.database))
    planner.plan_cache = _plan_cache(schema)
    if not context.actor.signed_in:
        return None
    token = COMPARING.set(True)
    try:
        return await planner.execute(Operation(document, None, variables), context)
    except (NotPlannable, RequestError, DomainError, GraphQLError):
        return None
    finally:
        COMPARING.reset(token)


async def compare_with_planner(
    schema: ErrorMaskingSchema, document: str, variables: dict[str, Any], context: Context, result: ExecutionResult
) -> bool:
    """Assert that the planner gives this result of graphql-core, or none; returns whether it gives one.

    The planner may raise an exception only where the result has an internal error, too. The environment variable
    `PLANNED_DOCUMENTS` may name a file, to which a line for each document is appended.
    """
    try:
        response = await planner_response(schema, document, variables, context)
    except Exception:
        if any((error.extensions or {}).get("code") == INTERNAL_ERROR_CODE for error in result.errors or ()):
            return False
        raise
    if path := os.environ.get("PLANNED_DOCUMENTS"):
        with open(path, "a") as file:  # noqa: ASYNC230, PTH123
            file.write(f"{'declined' if response is None else 'planned'} {bool(result.errors)} {document!r}\n")
    if response is not None:
        assert response == responses.encode_json(responses.format_result(result)), document
    return response is not None

"""Errors as callers see them: our own as they are, anything else as `INTERNAL` with the id under which it is logged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import strawberry
import structlog
from graphql import GraphQLError
from strawberry.schema.exceptions import CannotGetOperationTypeError
from uuid_utils.compat import uuid7

from graphql_api.errors import INTERNAL_ERROR_CODE, BadRequest, DomainError, RequestError

if TYPE_CHECKING:
    from strawberry.types import ExecutionContext

INTERNAL_ERROR_MESSAGE = "Something went wrong on our side. If it goes on, tell us the request id."
MAX_MESSAGE_CHARACTERS = 1_000
"""Longer messages, such as those that repeat a value of the request, are cut."""

_SUGGESTION = re.compile(r" Did you mean .+\?$", re.DOTALL)
log = structlog.get_logger(__name__)


class ErrorMaskingSchema(strawberry.Schema):
    """A schema that masks the errors of every response, and logs internal ones, over any transport."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Mask the errors of a response, in place."""
        context = execution_context.context if execution_context else None
        operation = execution_context.operation_name if execution_context else None
        settings, actor = getattr(context, "settings", None), getattr(context, "actor", None)
        allowed = (
            settings is not None and actor is not None and settings.allows_introspection(signed_in=actor.signed_in)
        )
        errors[:] = [mask_error(error, operation, keep_suggestions=allowed) for error in errors]


def mask_error(  # noqa: PLR0911 - a branch for each kind of error
    error: GraphQLError, operation: str | None = None, *, keep_suggestions: bool = False
) -> GraphQLError:
    """The error as the caller sees it: with `extensions.code`, and without details of internal errors.

    `operation` is the operation's name in the log of an internal error; `keep_suggestions` keeps "Did you mean".
    """
    cause = _underlying_error(error)
    if isinstance(cause, RequestError):
        return _replace_error(
            error, cause.message if cause is error.original_error else error.message, cause.extensions
        )
    if isinstance(cause, CannotGetOperationTypeError):
        return _replace_error(error, "The document has no operation of this name.", {"code": BadRequest.code})
    if isinstance(cause, DomainError):
        return _replace_error(error, cause.message, {"code": BadRequest.code})
    if cause is not None and error.path is None and error.nodes and isinstance(cause, (ValueError, TypeError)):
        return _replace_error(error, "A value is malformed.", {"code": BadRequest.code})
    if cause is None:
        if (error.extensions or {}).get("code"):
            return error
        message = error.message if keep_suggestions else _SUGGESTION.sub("", error.message)
        return _replace_error(error, message, {"code": BadRequest.code})
    return _replace_error(
        error,
        INTERNAL_ERROR_MESSAGE,
        {"code": INTERNAL_ERROR_CODE, "requestId": log_internal_error(cause, path=error.path, operation=operation)},
    )


def log_internal_error(cause: BaseException, **facts: Any) -> str:
    """Log an unexpected error, without its message; returns the request id to show to the caller."""
    request_id = structlog.contextvars.get_contextvars().get("request_id") or new_request_id()
    log.error("fault", request_id=request_id, kind=_qualified_name(cause), exc_info=cause, **facts)
    return str(request_id)


def new_request_id() -> str:
    """A request id, which sorts by time."""
    return uuid7().hex


def _underlying_error(error: GraphQLError) -> BaseException | None:
    """The original error; None for GraphQL's own errors about the document or its values."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if not isinstance(cause, GraphQLError):
        return cause
    # A resolver's result that its type does not allow is an internal error: GraphQL gives it no node.
    return None if cause.nodes or error.path is None else cause


def _replace_error(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    cut = message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"
    return GraphQLError(cut, error.nodes, error.source, error.positions, error.path, None, extensions)


def _qualified_name(cause: BaseException) -> str:
    return f"{type(cause).__module__}.{type(cause).__qualname__}"

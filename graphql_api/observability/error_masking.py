"""What a caller learns of an error: a refusal as it is, and of anything else an id under which it was logged."""

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
"""Characters of a message; one that repeats what the caller sent is cut there."""

_SUGGESTION = re.compile(r" Did you mean .+\?$", re.DOTALL)
log = structlog.get_logger(__name__)


class ErrorMaskingSchema(strawberry.Schema):
    """A schema whose every error is fit to be shown, however the operation came in, and whose faults are logged."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace, in the list that is about to be answered, what is not ours to tell."""
        context = execution_context.context if execution_context else None
        operation = execution_context.operation_name if execution_context else None
        open_book = can_see_suggestions(context)
        errors[:] = [mask_error(error, operation, keep_suggestions=open_book) for error in errors]


def can_see_suggestions(context: Any) -> bool:
    """Whether an error may name parts of the schema: to everyone in development, else to whoever may read it."""
    settings, actor = getattr(context, "settings", None), getattr(context, "actor", None)
    if settings is None or actor is None:
        return False
    if settings.is_development or settings.introspection == "everyone":
        return True
    return bool(settings.introspection == "signed-in" and actor.signed_in)


def mask_error(  # noqa: PLR0911 - a line for each kind
    error: GraphQLError, operation: str | None = None, *, keep_suggestions: bool = False
) -> GraphQLError:
    """The error as the caller sees it: always with `extensions.code`, and nothing that we did not mean to say.

    `operation` is the name that the log gives to a fault; `suggest` keeps GraphQL's "Did you mean".
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
    """Log something that should not have happened, without what it says; answers the id to tell the caller."""
    request_id = structlog.contextvars.get_contextvars().get("request_id") or new_request_id()
    log.error("fault", request_id=request_id, kind=_qualified_name(cause), exc_info=cause, **facts)
    return str(request_id)


def new_request_id() -> str:
    """An id for a request, which sorts by time."""
    return uuid7().hex


def _underlying_error(error: GraphQLError) -> BaseException | None:
    """What is behind an error; None when it is GraphQL's own, about the caller's document or values."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if not isinstance(cause, GraphQLError):
        return cause
    # A value that a resolver answered and that its type does not have is a fault of ours; GraphQL points at no node.
    return None if cause.nodes or error.path is None else cause


def _replace_error(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    cut = message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"
    return GraphQLError(cut, error.nodes, error.source, error.positions, error.path, None, extensions)


def _qualified_name(cause: BaseException) -> str:
    return f"{type(cause).__module__}.{type(cause).__qualname__}"

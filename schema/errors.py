"""Domain errors as entries of `userErrors`."""

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast, dataclass_transform

import strawberry
from strawberry.utils.str_converters import to_camel_case

from graphql_api import errors
from graphql_api.context import Context
from graphql_api.enums import Channel, LengthUnit, RecipientNotAllowedReason, UserErrorCode
from schema import enums as _registered_enums  # noqa: F401 - importing them registers them
from schema.core import Node, entity_from_row, interface, value_object

ARGUMENTS_WITH_CALLER_KEYS = frozenset({"personalisation"})
"""Arguments whose keys are the caller's own names, which paths contain unchanged."""


@interface
class UserError:
    """One problem with one mutation; concrete types add the values that an error message needs."""

    message: str
    """Sentence that can be shown to a person."""
    code: UserErrorCode
    """Stable reason for programs."""
    path: list[str] | None
    """Path of the argument, for example ["input", "rows", "12", "personalisation", "name"]."""


T = TypeVar("T")
ERROR_TYPES: dict[type[errors.DomainError], tuple[type[UserError], Callable[[Any], dict[str, Any]]]] = {}
"""The GraphQL type of each domain error, and the function that reads its fields' values from an error."""


@dataclass_transform(kw_only_default=True)
def error_type(
    error: type[errors.DomainError], *, convert: Mapping[str, Callable[[Any], Any]] | None = None
) -> Callable[[type[T]], type[T]]:
    """Make a type of `userErrors` for a domain error.

    Each field of the type's own has the value of the error's attribute of the same name, which `convert` may map.
    """
    converters = convert or {}

    def decorate(cls: type[T]) -> type[T]:
        names = tuple(inspect.get_annotations(cls))

        def values_of(raised: errors.DomainError) -> dict[str, Any]:
            values = {name: getattr(raised, name) for name in names}
            return values | {name: function(values[name]) for name, function in converters.items()}

        kind: Any = value_object(cls)
        ERROR_TYPES[error] = kind, values_of
        return cast(type[T], kind)

    return decorate


def _object_of(row: Any) -> Any:
    return entity_from_row(row, type(row))


@error_type(errors.Invalid)
class ValidationError(UserError):
    """A value that breaks a rule."""


@error_type(errors.NotFound)
class NotFoundError(UserError):
    """An id in the arguments names nothing that the caller can see."""

    missing_id: strawberry.ID
    """The id as the caller sent it."""


@error_type(errors.AlreadyExists, convert={"existing": _object_of})
class AlreadyExistsError(UserError):
    """A name, domain, sender or the like is taken."""

    existing: Node | None
    """The object that has it; null when the caller may not see that object."""


@error_type(errors.IllegalState)
class IllegalStateError(UserError):
    """The object is in a state from which this change is not possible."""

    current_state: str
    """Current state of the object."""
    allowed_states: list[str]
    """States in which the change is possible."""


@error_type(errors.VersionConflict)
class VersionConflictError(UserError):
    """The object has a newer version than `expectedVersion`."""

    expected_version: int
    """Version in the arguments."""
    current_version: int
    """Current version of the object."""


@error_type(errors.IdempotencyConflict)
class IdempotencyError(UserError):
    """The idempotency key was used with other arguments, or its first call is still running."""

    first_used_at: datetime
    """When the key was first used."""


@error_type(errors.RateLimited)
class RateLimitedError(UserError):
    """The service sends faster than its rate limit for this type of key allows."""

    limit: int
    """Sends allowed per window; at most a third of them, and at most 1,000, at once."""
    window_seconds: int
    """Length of the window, in seconds."""
    retry_after_seconds: float
    """Seconds until the next send would be accepted."""


@error_type(errors.DailyLimitExceeded)
class DailyLimitExceededError(UserError):
    """The call would exceed the daily limit of a channel."""

    channel: Channel
    """Channel of the limit."""
    international: bool
    """True for the separate limit on text messages abroad."""
    limit: int
    """Messages allowed per day."""
    used: int
    """Messages accepted so far today."""
    requested: int
    """Messages in this call."""
    resets_at: datetime
    """Next midnight UTC."""


@error_type(errors.MissingPersonalisation)
class MissingPersonalisationError(UserError):
    """The template has placeholders without a value."""

    placeholders: list[str]
    """Their names as the template spells them."""


@error_type(errors.MessageTooLong)
class MessageTooLongError(UserError):
    """The message, with its values filled in, is longer than its channel allows."""

    length: int
    """Length of the message."""
    limit: int
    """Longest length allowed."""
    unit: LengthUnit
    """Unit of both lengths."""


@error_type(errors.RecipientNotAllowed)
class RecipientNotAllowedError(UserError):
    """The recipient is neither in the team nor on the guest list."""

    reason: RecipientNotAllowedReason
    """Why the recipients are restricted."""


def user_errors(error: errors.DomainError, context: Context, *prefix: str) -> list[UserError]:
    """The entries for a domain error; paths begin with `prefix`, or with "input" where that is left out."""
    if isinstance(error, errors.Problems):
        return [entry for problem in error.problems for entry in user_errors(problem, context, *prefix)]
    kind, values_of = ERROR_TYPES[type(error)]
    path = _graphql_path(prefix or ("input",), error.path)
    return [kind(message=error.message, code=error.code, path=path, **values_of(error))]


def _graphql_path(prefix: tuple[str, ...], path: errors.ArgumentPath) -> list[str]:
    """Argument names in camelCase; keys below `ARGUMENTS_WITH_CALLER_KEYS` unchanged."""
    graphql_path = list(prefix)
    is_caller_key = False
    for name in path:
        graphql_path.append(name if is_caller_key else to_camel_case(name))
        is_caller_key = is_caller_key or name in ARGUMENTS_WITH_CALLER_KEYS
    return graphql_path

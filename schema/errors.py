"""Domain errors as entries of `userErrors`."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, cast, dataclass_transform

import strawberry
from strawberry.utils.str_converters import to_camel_case

from graphql_api import errors
from graphql_api.context import Context
from graphql_api.enums import Channel, LengthUnit, RecipientNotAllowedReason, UserErrorCode
from schema import enums as _registered_words  # noqa: F401 - importing them registers them
from schema.core import Node, entity_from_row, interface, value_object

ARGUMENTS_WITH_CALLER_KEYS = frozenset({"personalisation"})
"""Path segments below these are keys of the caller's own, spelled as they are."""


@interface
class UserError:
    """One problem with one mutation; concrete types add the figures a good error screen needs."""

    message: str
    """Sentence fit to show to a person."""
    code: UserErrorCode
    """Stable reason for programs."""
    path: list[str] | None
    """Where in the arguments it is, for example ["input", "rows", "12", "personalisation", "name"]."""


T = TypeVar("T")
ERROR_TYPES: dict[type[errors.DomainError], tuple[type[UserError], Callable[[Any], dict[str, Any]]]] = {}
"""The GraphQL type of each domain error, and what reads the values of its own fields from the error."""


@dataclass_transform(kw_only_default=True)
def error_type(
    error: type[errors.DomainError], *, convert: Mapping[str, Callable[[Any], Any]] | None = None
) -> Callable[[type[T]], type[T]]:
    """Make a type of `userErrors` for a domain error.

    Each field of the type's own has the value of the error's attribute of the same name, which `convert` may map.
    """
    converters = convert or {}

    def values_of(names: Iterable[str], raised: errors.DomainError) -> dict[str, Any]:
        values = {name: getattr(raised, name) for name in names}
        return values | {name: function(values[name]) for name, function in converters.items()}

    def decorate(cls: type[T]) -> type[T]:
        names = tuple(inspect.get_annotations(cls))
        kind: Any = value_object(cls)
        ERROR_TYPES[error] = kind, partial(values_of, names)
        return cast(type[T], kind)

    return decorate


def _object_of(row: Any) -> Any:
    return entity_from_row(row, type(row))


@error_type(errors.Invalid)
class ValidationError(UserError):
    """A value that breaks a rule and needs no further figures."""


@error_type(errors.NotFound)
class NotFoundError(UserError):
    """Something the arguments name does not exist or may not be seen."""

    missing_id: strawberry.ID
    """The id as the caller sent it."""


@error_type(errors.AlreadyExists, convert={"existing": _object_of})
class AlreadyExistsError(UserError):
    """A name, domain, sender or the like is taken."""

    existing: Node | None
    """What holds it; null when the caller may not see that."""


@error_type(errors.IllegalState)
class IllegalStateError(UserError):
    """The object is in a state from which this change is not possible."""

    current_state: str
    """State the object is in."""
    allowed_states: list[str]
    """States in which the change is possible."""


@error_type(errors.VersionConflict)
class VersionConflictError(UserError):
    """`expectedVersion` was given and someone else has saved since."""

    expected_version: int
    """Version the caller thought was current."""
    current_version: int
    """Version that is current."""


@error_type(errors.IdempotencyConflict)
class IdempotencyError(UserError):
    """The idempotency key was used with other arguments, or its first call is still running."""

    first_used_at: datetime
    """When the key was first used."""


@error_type(errors.RateLimited)
class RateLimitedError(UserError):
    """Sends come faster than the service's rate for this kind of key."""

    limit: int
    """Sends allowed per window; a third of it, and at most 1,000, may come at once."""
    window_seconds: int
    """Length of the window."""
    retry_after_seconds: float
    """When the next send would be accepted."""


@error_type(errors.DailyLimitExceeded)
class DailyLimitExceededError(UserError):
    """The call would take a channel over its limit for the day."""

    channel: Channel
    """Channel whose limit it is."""
    international: bool
    """True when it is the separate limit on text messages abroad."""
    limit: int
    """Messages allowed a day."""
    used: int
    """Messages accepted so far today."""
    requested: int
    """Messages this call asked for."""
    resets_at: datetime
    """Next midnight UTC."""


@error_type(errors.MissingPersonalisation)
class MissingPersonalisationError(UserError):
    """The template has placeholders that got no value."""

    placeholders: list[str]
    """Their names as the template spells them."""


@error_type(errors.MessageTooLong)
class MessageTooLongError(UserError):
    """The message with its values in is over the limit for its channel."""

    length: int
    """Length found."""
    limit: int
    """Length allowed."""
    unit: LengthUnit
    """What is counted."""


@error_type(errors.RecipientNotAllowed)
class RecipientNotAllowedError(UserError):
    """The recipient is outside the team and guest list."""

    reason: RecipientNotAllowedReason
    """Why only those are allowed."""


def user_errors(error: errors.DomainError, context: Context, *prefix: str) -> list[UserError]:
    """The entries for a domain error; paths begin with `prefix`, which is "input" where it is left out."""
    if isinstance(error, errors.Problems):
        return [entry for problem in error.problems for entry in user_errors(problem, context, *prefix)]
    kind, values_of = ERROR_TYPES[type(error)]
    path = _graphql_path(prefix or ("input",), error.path)
    return [kind(message=error.message, code=error.code, path=path, **values_of(error))]


def _graphql_path(prefix: tuple[str, ...], path: errors.ArgumentPath) -> list[str]:
    """Argument names in GraphQL's spelling, up to keys that are the caller's own."""
    spelled = list(prefix)
    own = False
    for name in path:
        spelled.append(name if own else to_camel_case(name))
        own = own or name in ARGUMENTS_WITH_CALLER_KEYS
    return spelled

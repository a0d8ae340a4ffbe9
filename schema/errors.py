"""What the domain refuses, as entries of `userErrors`."""

from datetime import datetime
from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from graphql_api import errors
from graphql_api.context import Context
from graphql_api.enums import Channel, LengthUnit, RecipientNotAllowedReason, UserErrorCode
from schema import enums as _registered_words  # noqa: F401 - importing them registers them
from schema import refs
from schema.core.entities import entity_from_row, interface
from schema.core.node import Node
from schema.core.types import value_object

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


@value_object
class ValidationError(UserError):
    """A value that breaks a rule and needs no further figures."""


@value_object
class NotFoundError(UserError):
    """Something the arguments name does not exist or may not be seen."""

    missing_id: strawberry.ID
    """The id as the caller sent it."""


@value_object
class AlreadyExistsError(UserError):
    """A name, domain, sender or the like is taken."""

    existing: Node | None
    """What holds it; null when the caller may not see that."""


@value_object
class IllegalStateError(UserError):
    """The object is in a state from which this change is not possible."""

    current_state: str
    """State the object is in."""
    allowed_states: list[str]
    """States in which the change is possible."""


@value_object
class VersionConflictError(UserError):
    """`expectedVersion` was given and someone else has saved since."""

    expected_version: int
    """Version the caller thought was current."""
    current_version: int
    """Version that is current."""


@value_object
class IdempotencyError(UserError):
    """The idempotency key was used with other arguments, or its first call is still running."""

    first_used_at: datetime
    """When the key was first used."""


@value_object
class RateLimitedError(UserError):
    """Sends come faster than the service's rate for this kind of key."""

    limit: int
    """Sends allowed per window; a third of it, and at most 1,000, may come at once."""
    window_seconds: int
    """Length of the window."""
    retry_after_seconds: float
    """When the next send would be accepted."""


@value_object
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


@value_object
class MissingPersonalisationError(UserError):
    """The template has placeholders that got no value."""

    placeholders: list[str]
    """Their names as the template spells them."""


@value_object
class MessageTooLongError(UserError):
    """The message with its values in is over the limit for its channel."""

    length: int
    """Length found."""
    limit: int
    """Length allowed."""
    unit: LengthUnit
    """What is counted."""


@value_object
class RecipientNotAllowedError(UserError):
    """The recipient is outside the team and guest list."""

    reason: RecipientNotAllowedReason
    """Why only those are allowed."""


@value_object
class RecipientListError(UserError):
    """A list of recipients was refused."""

    check: refs.RecipientCheck
    """What the checks found, with the first rows that have problems."""


ERROR_TYPES: dict[type[errors.DomainError], tuple[type[UserError], tuple[str, ...]]] = {
    errors.Invalid: (ValidationError, ()),
    errors.NotFound: (NotFoundError, ("missing_id",)),
    errors.AlreadyExists: (AlreadyExistsError, ()),
    errors.IllegalState: (IllegalStateError, ("current_state", "allowed_states")),
    errors.VersionConflict: (VersionConflictError, ("expected_version", "current_version")),
    errors.IdempotencyConflict: (IdempotencyError, ("first_used_at",)),
    errors.RateLimited: (RateLimitedError, ("limit", "window_seconds", "retry_after_seconds")),
    errors.DailyLimitExceeded: (
        DailyLimitExceededError,
        ("channel", "international", "limit", "used", "requested", "resets_at"),
    ),
    errors.MissingPersonalisation: (MissingPersonalisationError, ("placeholders",)),
    errors.MessageTooLong: (MessageTooLongError, ("length", "limit", "unit")),
    errors.RecipientNotAllowed: (RecipientNotAllowedError, ("reason",)),
    errors.RecipientListRefused: (RecipientListError, ()),
}
"""The GraphQL type of each refusal, and the figures that it carries over."""


def user_errors(error: errors.DomainError, context: Context, *prefix: str) -> list[UserError]:
    """The entries for a refusal; paths begin with `prefix`, which is "input" where it is left out."""
    if isinstance(error, errors.Problems):
        return [entry for problem in error.problems for entry in user_errors(problem, context, *prefix)]
    kind, figures = ERROR_TYPES[type(error)]
    values: dict[str, Any] = {name: getattr(error, name) for name in figures}
    if isinstance(error, errors.AlreadyExists):
        values["existing"] = None if error.existing is None else entity_from_row(error.existing, type(error.existing))
    if isinstance(error, errors.RecipientListRefused):
        from schema.recipients import RecipientCheck  # noqa: PLC0415 - it has user errors of its own

        values["check"] = RecipientCheck.of(error.check)
    return [
        kind(message=error.message, code=error.code, path=_graphql_path(prefix or ("input",), error.path), **values)
    ]


def _graphql_path(prefix: tuple[str, ...], path: errors.ArgumentPath) -> list[str]:
    """Argument names in GraphQL's spelling, up to keys that are the caller's own."""
    spelled = list(prefix)
    own = False
    for name in path:
        spelled.append(name if own else to_camel_case(name))
        own = own or name in ARGUMENTS_WITH_CALLER_KEYS
    return spelled

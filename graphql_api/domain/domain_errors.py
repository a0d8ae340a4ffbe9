"""Conversion of domain errors: from problems of content and recipients, and to and from JSON.

The JSON holds names of classes and attributes, and is stored for 24 hours (`idempotency`): do not rename those.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from graphql_api import errors
from graphql_api.enums import Channel, LengthUnit, RecipientNotAllowedReason, UserErrorCode
from graphql_api.errors import DomainError, Invalid, MessageTooLong, MissingPersonalisation

if TYPE_CHECKING:
    from graphql_api.content.problems import Problem
    from graphql_api.recipients.errors import RecipientError

_CLASS_BY_NAME: dict[str, type[DomainError]] = {
    kind.__name__: kind
    for kind in (
        errors.Invalid,
        errors.DailyLimitExceeded,
        errors.MissingPersonalisation,
        errors.MessageTooLong,
        errors.RecipientNotAllowed,
    )
}
"""Errors of a single message of `sendNotifications`."""

_FIELD_PARSERS: dict[str, Any] = {
    "code": UserErrorCode,
    "channel": Channel,
    "unit": LengthUnit,
    "reason": RecipientNotAllowedReason,
    "resets_at": datetime.fromisoformat,
    "path": tuple,
}


def from_content_problem(problem: Problem, *prefix: str) -> DomainError:
    """The error for a problem of content; `prefix` is put before the problem's path."""
    path = (*prefix, *problem.path)
    if problem.code is UserErrorCode.MISSING_PERSONALISATION:
        return MissingPersonalisation(problem.placeholders, *path)
    if problem.length is not None and problem.limit is not None and problem.unit is not None:
        return MessageTooLong(problem.message, *path, length=problem.length, limit=problem.limit, unit=problem.unit)
    return Invalid(problem.message, *path, code=problem.code)


def from_recipient_error(error: RecipientError, *path: str) -> Invalid:
    """The error for a recipient that does not parse."""
    return Invalid(error.message, *path, code=error.code)


def to_json(error: DomainError) -> dict[str, Any]:
    """An error of a single message as JSON."""
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(error).items()}
    return {"kind": type(error).__name__} | {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }


def from_json(stored: dict[str, Any]) -> DomainError:
    """The error of `to_json`."""
    values = dict(stored)
    kind = _CLASS_BY_NAME[values.pop("kind")]
    error = kind.__new__(kind, values["message"])
    for name, value in values.items():
        setattr(error, name, _FIELD_PARSERS[name](value) if name in _FIELD_PARSERS else value)
    return error

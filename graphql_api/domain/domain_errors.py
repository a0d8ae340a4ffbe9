"""Refusals in their other forms: what pure rules find becomes a `DomainError`, and that becomes JSON and comes back."""

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
"""What one message of many can be refused by."""

_FIELD_PARSERS: dict[str, Any] = {
    "code": UserErrorCode,
    "channel": Channel,
    "unit": LengthUnit,
    "reason": RecipientNotAllowedReason,
    "resets_at": datetime.fromisoformat,
    "path": tuple,
}


def from_content_problem(problem: Problem, *prefix: str) -> DomainError:
    """What is wrong with a message's content; the problem's own path goes below `prefix`."""
    path = (*prefix, *problem.path)
    if problem.code is UserErrorCode.MISSING_PERSONALISATION:
        return MissingPersonalisation(problem.placeholders, *path)
    if problem.length is not None and problem.limit is not None and problem.unit is not None:
        return MessageTooLong(problem.message, *path, length=problem.length, limit=problem.limit, unit=problem.unit)
    return Invalid(problem.message, *path, code=problem.code)


def from_recipient_error(error: RecipientError, *path: str) -> Invalid:
    """What is wrong with a recipient."""
    return Invalid(error.message, *path, code=error.code)


def to_json(error: DomainError) -> dict[str, Any]:
    """A refusal of one message, to be kept."""
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(error).items()}
    return {"kind": type(error).__name__} | {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }


def from_json(stored: dict[str, Any]) -> DomainError:
    """A refusal that was kept."""
    values = dict(stored)
    kind = _CLASS_BY_NAME[values.pop("kind")]
    error = kind.__new__(kind, values["message"])
    for name, value in values.items():
        setattr(error, name, _FIELD_PARSERS[name](value) if name in _FIELD_PARSERS else value)
    return error

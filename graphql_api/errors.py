"""Every way to say no.

    Exception
    ├── Refusal                  the request cannot be answered: a top-level error with `extensions.code`
    │   ├── Unauthenticated      no token, or one that is expired, revoked or malformed
    │   ├── Forbidden            the caller sees the object but lacks the permission or scope
    │   ├── BadRequest           a malformed document, value, cursor or page size
    │   ├── QueryTooComplex      over budget
    │   ├── TooManyRequests      the caller's points are spent: wait
    │   └── Unavailable          the database or a deadline gave way: try again
    └── DomainError              the person at the frontend can put it right: an entry of `userErrors`
        ├── Invalid              a value breaks a rule
        ├── NotFound             nothing visible has this id
        ├── AlreadyExists        a name, address or domain is taken
        ├── IllegalState         the object's state does not allow the change
        ├── VersionConflict      someone has saved since `expectedVersion`
        ├── IdempotencyConflict  the key was used with other arguments, or its first call still runs
        ├── RateLimited          sends come too fast
        ├── DailyLimitExceeded   a channel's limit for the day would be passed
        ├── MissingPersonalisation, MessageTooLong, RecipientNotAllowed
        ├── RecipientListRefused a list of recipients was refused, with what the checks found
        └── Problems             several of the above at once

The domain names a place by its own argument names, `("rows", "12", "recipient")`; the schema translates it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from graphql_api.enums import UserErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from graphql_api.enums import Channel, LengthUnit, RecipientNotAllowedReason

ArgumentPath = tuple[str, ...]


class RequestError(Exception):
    """The request cannot be answered; `code` and `extensions` reach the caller, and so does the message."""

    code: ClassVar[str]

    def __init__(self, message: str, **extensions: Any) -> None:
        """Say what is wrong and what to do; `extensions` are JSON values, by GraphQL name."""
        super().__init__(message)
        self.message = message
        self.extensions: dict[str, Any] = {"code": self.code} | extensions


class Unauthenticated(RequestError):
    """Nobody is signed in, or the token is no good."""

    code = "UNAUTHENTICATED"

    def __init__(self, message: str = "Sign in, or send an API key, to do this.") -> None:
        """Say why the token was refused."""
        super().__init__(message)


class Forbidden(RequestError):
    """The caller sees the object but lacks a permission."""

    code = "FORBIDDEN"

    def __init__(self, permission: str, message: str | None = None) -> None:
        """Name the permission, by its GraphQL name."""
        super().__init__(message or f"This needs the permission {permission}.", requiredPermission=permission)


class BadRequest(RequestError):
    """A value of the request is malformed."""

    code = "BAD_REQUEST"


class QueryTooComplex(RequestError):
    """The document costs more than a request may."""

    code = "QUERY_TOO_COMPLEX"


class TooManyRequests(RequestError):
    """The caller has spent their points."""

    code = "RATE_LIMITED"

    def __init__(self, retry_after: float) -> None:
        """Say in how many seconds there will be enough."""
        seconds = max(1, math.ceil(retry_after))
        super().__init__(f"You ask too often. Wait {seconds} s, then ask again.", retryAfterSeconds=seconds)
        self.retry_after = seconds


class Unavailable(RequestError):
    """Something that the answer needs is away for the moment."""

    code = "UNAVAILABLE"


class DomainError(Exception):
    """Something that the person at the frontend can put right."""

    def __init__(self, message: str, code: UserErrorCode, path: ArgumentPath = ()) -> None:
        """Say it in a sentence fit to show to a person; `path` is made of the domain's argument names."""
        super().__init__(message)
        self.message = message
        self.code = code
        self.path = path

    def with_path_prefix(self, *prefix: str) -> DomainError:
        """Put the place one level deeper, as for an item of a list; answers itself."""
        self.path = (*prefix, *self.path)
        return self


class Invalid(DomainError):
    """A value breaks a rule and needs no further figures."""

    def __init__(self, message: str, *path: str, code: UserErrorCode = UserErrorCode.INVALID) -> None:
        """Name the argument that is wrong."""
        super().__init__(message, code, path)


class NotFound(DomainError):
    """Nothing that the caller can see has this id."""

    def __init__(self, missing_id: object, *path: str, message: str = "Nothing that you can see has this id.") -> None:
        """Repeat the id as the caller sent it."""
        super().__init__(message, UserErrorCode.NOT_FOUND, path)
        self.missing_id = str(missing_id)


class AlreadyExists(DomainError):
    """A name, domain, sender or the like is taken."""

    def __init__(self, message: str, *path: str, existing: object | None = None) -> None:
        """Name the argument; `existing` is the row that holds the value, where the caller may see it."""
        super().__init__(message, UserErrorCode.ALREADY_EXISTS, path)
        self.existing = existing


class IllegalState(DomainError):
    """The object is in a state from which this change is not possible."""

    def __init__(
        self,
        message: str,
        *path: str,
        current: str,
        allowed: Sequence[str] = (),
        code: UserErrorCode = UserErrorCode.ILLEGAL_STATE,
    ) -> None:
        """Name the state it is in and those in which the change is possible, by their GraphQL names."""
        super().__init__(message, code, path)
        self.current_state = current
        self.allowed_states = list(allowed)


class VersionConflict(DomainError):
    """Someone else has saved since the caller read."""

    def __init__(self, expected: int, current: int) -> None:
        """Give both versions."""
        super().__init__(
            f"Someone saved version {current} after you read version {expected}: read it again, then save.",
            UserErrorCode.VERSION_CONFLICT,
            ("expected_version",),
        )
        self.expected_version = expected
        self.current_version = current


class IdempotencyConflict(DomainError):
    """The idempotency key was used with other arguments, or its first call is still running."""

    def __init__(self, message: str, code: UserErrorCode, first_used_at: datetime) -> None:
        """Say when the key was first used (naive UTC)."""
        super().__init__(message, code, ("idempotency_key",))
        self.first_used_at = first_used_at


class RateLimited(DomainError):
    """Sends come faster than the service's rate for this kind of key."""

    def __init__(self, message: str, *, limit: int, window_seconds: int, retry_after_seconds: float) -> None:
        """Give the rate and the wait, in seconds."""
        super().__init__(message, UserErrorCode.RATE_LIMITED)
        self.limit = limit
        self.window_seconds = window_seconds
        self.retry_after_seconds = retry_after_seconds


class DailyLimitExceeded(DomainError):
    """The call would take a channel over its limit for the day."""

    def __init__(
        self,
        message: str,
        *path: str,
        channel: Channel,
        international: bool,
        limit: int,
        used: int,
        requested: int,
        resets_at: datetime,
    ) -> None:
        """Give the figures; `resets_at` is the next midnight, naive UTC."""
        super().__init__(message, UserErrorCode.DAILY_LIMIT_EXCEEDED, path)
        self.channel = channel
        self.international = international
        self.limit = limit
        self.used = used
        self.requested = requested
        self.resets_at = resets_at


class MissingPersonalisation(DomainError):
    """The template has placeholders that got no value."""

    def __init__(self, placeholders: Sequence[str], *path: str) -> None:
        """Name them as the template spells them."""
        names = ", ".join(placeholders)
        super().__init__(f"Missing personalisation: {names}", UserErrorCode.MISSING_PERSONALISATION, path)
        self.placeholders = list(placeholders)


class MessageTooLong(DomainError):
    """The message with its values in is over the limit for its channel."""

    def __init__(self, message: str, *path: str, length: int, limit: int, unit: LengthUnit) -> None:
        """Give the length found and the length allowed, in `unit`."""
        super().__init__(message, UserErrorCode.MESSAGE_TOO_LONG, path)
        self.length = length
        self.limit = limit
        self.unit = unit


class RecipientNotAllowed(DomainError):
    """The recipient is outside the team and guest list."""

    def __init__(self, message: str, *path: str, reason: RecipientNotAllowedReason) -> None:
        """Say why only those are allowed."""
        super().__init__(message, UserErrorCode.RECIPIENT_NOT_ALLOWED, path)
        self.reason = reason


class RecipientListRefused(DomainError):
    """A list of recipients was refused; `check` holds what the checks found."""

    def __init__(self, message: str, *path: str, code: UserErrorCode, check: Any) -> None:
        """Carry the whole check, with the first rows that have problems."""
        super().__init__(message, code, path)
        self.check = check


class Problems(DomainError):
    """Several things to put right at once."""

    def __init__(self, problems: Sequence[DomainError]) -> None:
        """Carry them all, at least one, in the order in which they are to be shown."""
        super().__init__("; ".join(problem.message for problem in problems), problems[0].code)
        self.problems = list(problems)


def raise_problems(problems: Sequence[DomainError]) -> None:
    """Raise what has been collected: nothing, the one, or all as `Problems`."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise Problems(problems)


class CommandError(Exception):
    """The command cannot go on; its text tells why, and what to do."""

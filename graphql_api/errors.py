"""The errors of the API, and one table of their codes and statuses.

    Exception
    ├── RequestError             the request fails: a top-level error with `extensions.code`
    │   ├── Unauthenticated      no token, or one that is expired, revoked or malformed
    │   ├── Forbidden            the caller sees the object but lacks the permission or scope
    │   ├── BadRequest           a malformed document, value, cursor or page size
    │   ├── QueryTooComplex      the operation is over a limit of complexity or size
    │   ├── TooManyRequests      the caller has no rate-limit points left
    │   └── Unavailable          the database is unavailable, or a deadline has passed
    ├── DomainError              a person can correct it: an entry of `userErrors`
    │   ├── Invalid              a value breaks a rule
    │   ├── NotFound             no visible object has this id
    │   ├── AlreadyExists        a name, address or domain is taken
    │   ├── IllegalState         the object's state does not allow the change
    │   ├── VersionConflict      another change was saved since `expectedVersion`
    │   ├── IdempotencyConflict  the key was used with other arguments, or its first call still runs
    │   ├── RateLimited          messages are sent too fast
    │   ├── DailyLimitExceeded   the send would exceed a channel's daily limit
    │   ├── MissingPersonalisation, MessageTooLong, RecipientNotAllowed
    │   ├── RecipientListRefused the checks of a list of recipients found errors
    │   └── Problems             several of these at once
    └── CommandError             a command cannot go on: one sentence on standard error

The domain gives the path of an argument by its own names, `("rows", "12", "recipient")`; the schema translates it.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from graphql_api.enums import UserErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from graphql_api.enums import Channel, LengthUnit, RecipientNotAllowedReason

ArgumentPath = tuple[str, ...]
INTERNAL_ERROR_CODE = "INTERNAL"


class RequestError(Exception):
    """The request fails; the client sees the message, `code` and `extensions`."""

    code: ClassVar[str]

    def __init__(self, message: str, **extensions: Any) -> None:
        """`extensions` are JSON values, by their GraphQL names."""
        super().__init__(message)
        self.message = message
        self.extensions: dict[str, Any] = {"code": self.code} | extensions


class Unauthenticated(RequestError):
    """There is no token, or it is not accepted."""

    code = "UNAUTHENTICATED"

    def __init__(self, message: str = "Sign in, or send an API key, to do this.") -> None:
        super().__init__(message)


class Forbidden(RequestError):
    """The caller sees the object but lacks a permission."""

    code = "FORBIDDEN"

    def __init__(self, permission: str, message: str | None = None) -> None:
        """`permission` is its GraphQL name."""
        super().__init__(message or f"This needs the permission {permission}.", requiredPermission=permission)


class BadRequest(RequestError):
    """A value of the request is malformed."""

    code = "BAD_REQUEST"


class QueryTooComplex(RequestError):
    """The operation or its response is over a limit."""

    code = "QUERY_TOO_COMPLEX"


class TooManyRequests(RequestError):
    """The caller has no rate-limit points left."""

    code = "RATE_LIMITED"

    def __init__(self, retry_after: float) -> None:
        """`retry_after` is in seconds."""
        seconds = max(1, math.ceil(retry_after))
        super().__init__(f"Rate limit exceeded: try again in {seconds} s.", retryAfterSeconds=seconds)
        self.retry_after = seconds


class Unavailable(RequestError):
    """Something that the response needs is temporarily unavailable."""

    code = "UNAVAILABLE"


class DomainError(Exception):
    """An error that a person can correct."""

    def __init__(self, message: str, code: UserErrorCode, path: ArgumentPath = ()) -> None:
        """`message` is a sentence to show to a person; `path` holds argument names of the domain."""
        super().__init__(message)
        self.message = message
        self.code = code
        self.path = path

    def with_path_prefix(self, *prefix: str) -> DomainError:
        """Prepend to the path, as for an item of a list; returns itself."""
        self.path = (*prefix, *self.path)
        return self


class Invalid(DomainError):
    """A value breaks a rule."""

    def __init__(self, message: str, *path: str, code: UserErrorCode = UserErrorCode.INVALID) -> None:
        super().__init__(message, code, path)


class NotFound(DomainError):
    """No object that the caller can see has this id."""

    def __init__(self, missing_id: object, *path: str, message: str = "Nothing that you can see has this id.") -> None:
        """`missing_id` is the id as the caller sent it."""
        super().__init__(message, UserErrorCode.NOT_FOUND, path)
        self.missing_id = str(missing_id)


class AlreadyExists(DomainError):
    """A unique value, such as a name, a domain or a sender, is taken."""

    def __init__(self, message: str, *path: str, existing: object | None = None) -> None:
        """`existing` is the row that holds the value, where the caller may see it."""
        super().__init__(message, UserErrorCode.ALREADY_EXISTS, path)
        self.existing = existing


class IllegalState(DomainError):
    """The object's state does not allow the change."""

    def __init__(
        self,
        message: str,
        *path: str,
        current: str,
        allowed: Sequence[str] = (),
        code: UserErrorCode = UserErrorCode.ILLEGAL_STATE,
    ) -> None:
        """`current` and `allowed` are GraphQL names of states."""
        super().__init__(message, code, path)
        self.current_state = current
        self.allowed_states = list(allowed)


class VersionConflict(DomainError):
    """Another change was saved since the caller read the object."""

    def __init__(self, expected: int, current: int) -> None:
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
        """`first_used_at` is naive UTC."""
        super().__init__(message, code, ("idempotency_key",))
        self.first_used_at = first_used_at


class RateLimited(DomainError):
    """The service's rate for this type of key is exceeded."""

    def __init__(self, message: str, *, limit: int, window_seconds: int, retry_after_seconds: float) -> None:
        super().__init__(message, UserErrorCode.RATE_LIMITED)
        self.limit = limit
        self.window_seconds = window_seconds
        self.retry_after_seconds = retry_after_seconds


class DailyLimitExceeded(DomainError):
    """The send would exceed a channel's daily limit."""

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
        """`resets_at` is the next midnight, in naive UTC."""
        super().__init__(message, UserErrorCode.DAILY_LIMIT_EXCEEDED, path)
        self.channel = channel
        self.international = international
        self.limit = limit
        self.used = used
        self.requested = requested
        self.resets_at = resets_at


class MissingPersonalisation(DomainError):
    """Placeholders of the template have no value."""

    def __init__(self, placeholders: Sequence[str], *path: str) -> None:
        """`placeholders` are names as written in the template."""
        names = ", ".join(placeholders)
        super().__init__(f"Missing personalisation: {names}", UserErrorCode.MISSING_PERSONALISATION, path)
        self.placeholders = list(placeholders)


class MessageTooLong(DomainError):
    """The message with its values is longer than its channel allows."""

    def __init__(self, message: str, *path: str, length: int, limit: int, unit: LengthUnit) -> None:
        """`length` and `limit` are in `unit`."""
        super().__init__(message, UserErrorCode.MESSAGE_TOO_LONG, path)
        self.length = length
        self.limit = limit
        self.unit = unit


class RecipientNotAllowed(DomainError):
    """The recipient is outside the team and guest list."""

    def __init__(self, message: str, *path: str, reason: RecipientNotAllowedReason) -> None:
        super().__init__(message, UserErrorCode.RECIPIENT_NOT_ALLOWED, path)
        self.reason = reason


class RecipientListRefused(DomainError):
    """The checks of a list of recipients found errors."""

    def __init__(self, message: str, *path: str, code: UserErrorCode, check: Any) -> None:
        """`check` is the whole result, with the first rows that have errors."""
        super().__init__(message, code, path)
        self.check = check


class Problems(DomainError):
    """Several errors at once."""

    def __init__(self, problems: Sequence[DomainError]) -> None:
        """`problems` holds at least one error, in the order in which they are shown."""
        super().__init__("; ".join(problem.message for problem in problems), problems[0].code)
        self.problems = list(problems)


def raise_problems(problems: Sequence[DomainError]) -> None:
    """Raise the collected errors: a single one as it is, several as `Problems`; return if there are none."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise Problems(problems)


class CommandError(Exception):
    """A command cannot go on; the text says why, and what to do."""


class CloseCode(IntEnum):
    """Codes with which the server closes a WebSocket: those of RFC 6455 and of graphql-transport-ws."""

    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    OPERATION_ALREADY_EXISTS = 4409
    TOO_MANY_INIT_REQUESTS = 4429


class ErrorStatus(NamedTuple):
    """The codes of an error in each transport."""

    error: type[Exception]
    code: str
    "The error's `extensions.code`."
    http_status: int
    close_code: CloseCode | None = None
    "The close code of a WebSocket, where the error ends the connection."


ERROR_STATUSES = (
    ErrorStatus(BadRequest, BadRequest.code, 400, CloseCode.BAD_REQUEST),
    ErrorStatus(QueryTooComplex, QueryTooComplex.code, 400),
    ErrorStatus(Unauthenticated, Unauthenticated.code, 401, CloseCode.FORBIDDEN),
    ErrorStatus(Forbidden, Forbidden.code, 403, CloseCode.FORBIDDEN),
    ErrorStatus(NotFound, UserErrorCode.NOT_FOUND.value, 404),
    ErrorStatus(Invalid, UserErrorCode.FILE_TOO_LARGE.value, 413),
    ErrorStatus(Invalid, UserErrorCode.TOO_MANY_ROWS.value, 413),
    ErrorStatus(TooManyRequests, TooManyRequests.code, 429),
    ErrorStatus(Exception, INTERNAL_ERROR_CODE, 500),
    ErrorStatus(Unavailable, Unavailable.code, 503, CloseCode.TRY_AGAIN_LATER),
)
"""The only table of codes and statuses; an error whose code is not in it is a 400."""

_STATUS_BY_CODE = {row.code: row for row in ERROR_STATUSES}
_CODE_BY_HTTP_STATUS = {row.http_status: row.code for row in reversed(ERROR_STATUSES)}


def http_status(code: str | None) -> int:
    """The HTTP status for an `extensions.code`."""
    return _STATUS_BY_CODE[code if code in _STATUS_BY_CODE else BadRequest.code].http_status


def close_code(error: RequestError) -> CloseCode:
    """The close code for an error that ends a WebSocket."""
    return _STATUS_BY_CODE[error.code].close_code or CloseCode.FORBIDDEN


def code_of_http_status(status: int) -> str:
    """The `extensions.code` for an HTTP status that Starlette chose."""
    return _CODE_BY_HTTP_STATUS.get(status, BadRequest.code)

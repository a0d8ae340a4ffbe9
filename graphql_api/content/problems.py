"""Problems of texts and values, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphql_api.enums import LengthUnit, UserErrorCode


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem; `path` is relative to the value that was checked."""

    code: UserErrorCode
    message: str
    path: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    "Names as written in the template; only with MISSING_PERSONALISATION."
    length: int | None = None
    "Actual length; like `limit` and `unit` only with MESSAGE_TOO_LONG and TOO_LONG."
    limit: int | None = None
    unit: LengthUnit | None = None

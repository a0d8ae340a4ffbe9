"""What can be wrong with a text or a value, told as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphql_api.enums import LengthUnit, UserErrorCode


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `path` starts at the value that was checked."""

    code: UserErrorCode
    message: str
    path: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    "Names as the template spells them; with MISSING_PERSONALISATION."
    length: int | None = None
    "Length found, and the two that follow; with MESSAGE_TOO_LONG and TOO_LONG."
    limit: int | None = None
    unit: LengthUnit | None = None

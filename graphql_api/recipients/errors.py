"""Errors of recipients."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphql_api.enums import UserErrorCode


class RecipientError(ValueError):
    """An invalid recipient; the message is for users and does not contain the recipient."""

    def __init__(self, code: UserErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

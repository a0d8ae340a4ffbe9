"""Why a recipient is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphql_api.enums import UserErrorCode


class RecipientError(ValueError):
    """A recipient that breaks a rule; the message is fit to show and never repeats the recipient."""

    def __init__(self, code: UserErrorCode, message: str) -> None:
        """Take the stable reason and the sentence."""
        super().__init__(message)
        self.code = code
        self.message = message

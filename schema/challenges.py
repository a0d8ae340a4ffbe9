"""What is still to be proved before somebody is signed in."""

from datetime import datetime
from typing import Self

from graphql_api.domain import challenges
from graphql_api.enums import AuthType
from schema.core import value_object


@value_object
class SignInChallenge:
    """The second step of signing in."""

    token: str
    """Opaque; pass it to `completeSignIn`."""
    method: AuthType
    """What proof is wanted."""
    sent_to: str | None
    """Where a code or link went, mostly hidden."""
    expires_at: datetime
    """Until when it can be met."""

    @classmethod
    def of(cls, challenge: challenges.Challenge) -> Self:
        """The challenge that the domain has set."""
        return cls(
            token=challenge.token,
            method=challenge.method,
            sent_to=challenge.sent_to,
            expires_at=challenge.expires_at,
        )

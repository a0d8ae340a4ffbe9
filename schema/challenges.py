"""The second step of signing in."""

from datetime import datetime
from typing import Self

from graphql_api.domain import challenges
from graphql_api.enums import AuthType
from schema.core import value_object


@value_object
class SignInChallenge:
    """The second step of signing in."""

    token: str
    """Opaque token, for `completeSignIn`."""
    method: AuthType
    """Kind of proof that is needed."""
    sent_to: str | None
    """Number or address that a code or link was sent to, mostly hidden."""
    expires_at: datetime
    """When the challenge expires."""

    @classmethod
    def of(cls, challenge: challenges.Challenge) -> Self:
        """A challenge of the domain."""
        return cls(
            token=challenge.token,
            method=challenge.method,
            sent_to=challenge.sent_to,
            expires_at=challenge.expires_at,
        )

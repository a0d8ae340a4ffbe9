"""Signing in, in two steps, and signing out."""

from dataclasses import replace
from datetime import datetime

import strawberry

from graphql_api.auth import authentication
from graphql_api.domain import sessions
from schema.challenges import SignInChallenge
from schema.core import Info, Input, input_type, one_of_input, value_object
from schema.mutations import mutation, payload
from schema.users import User


@value_object
class Session:
    """A person's sign-in."""

    token: str
    """Bearer token for the Authorization header and for websocket connection parameters."""
    expires_at: datetime
    """20 hours after signing in; for platform admins also after 30 minutes without use."""
    user: User
    """The person."""


@input_type
class SignInInput(Input):
    """Arguments of `signIn`."""

    email_address: str
    """Email address."""
    password: str
    """The password."""


@payload
class SignInPayload:
    """Result of `signIn`."""

    challenge: SignInChallenge | None
    """Second step, which `completeSignIn` takes."""


@one_of_input
class SignInProofInput(Input):
    """Proof of identity for the second step."""

    sms_code: strawberry.Maybe[str]
    """Five-digit code from the text message."""
    email_token: strawberry.Maybe[str]
    """Token of the emailed link."""


@input_type
class CompleteSignInInput(Input):
    """Arguments of `completeSignIn`."""

    challenge_token: str
    """Token of the challenge."""
    proof: SignInProofInput
    """The code or token that was sent."""


@payload
class CompleteSignInPayload:
    """Result of `completeSignIn`."""

    session: Session | None
    """The new session."""


@payload
class SignOutPayload:
    """Result of `signOut`."""

    ok: bool = False
    """True when the session has ended."""


@strawberry.type
class SessionMutations:
    """The fields of Mutation that start and end sessions."""

    @mutation
    async def sign_in(self, info: Info, input: SignInInput) -> SignInPayload:
        """First step of signing in; the error is the same for a wrong address and a wrong password."""
        context = info.context
        challenge = await sessions.sign_in(context.transaction, signer=context.signer, **input.values())
        return SignInPayload(challenge=SignInChallenge.of(challenge))

    @mutation
    async def complete_sign_in(self, info: Info, input: CompleteSignInInput) -> CompleteSignInPayload:
        """Second step of signing in; ends the person's other sessions."""
        context = info.context
        signed_in = await sessions.complete_sign_in(context.transaction, signer=context.signer, **input.values())
        actor = await authentication.person_actor(context.database, signed_in.user.id)
        if actor is not None:
            # The payload is resolved as the person who has just signed in.
            context.actor = replace(actor, session_id=signed_in.session.id)
            context.reset_loaders()
        user = await User.read(context, signed_in.user.id)
        return CompleteSignInPayload(
            session=Session(token=signed_in.token, expires_at=signed_in.session.expires_at, user=user)
        )

    @mutation
    async def sign_out(self, info: Info) -> SignOutPayload:
        """End the caller's session."""
        async with info.context.transaction() as tx:
            await sessions.sign_out(tx, info.context.actor)
        return SignOutPayload(ok=True)

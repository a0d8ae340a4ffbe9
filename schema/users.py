"""Users: the people who sign in."""

from datetime import datetime
from typing import Annotated

import strawberry

import loaders.users
from graphql_api import models
from graphql_api.domain import users
from graphql_api.enums import AuthType, SortDirection, UserOrderField, UserState
from graphql_api.recipients import email_addresses
from schema import refs
from schema.challenges import SignInChallenge
from schema.core import (
    Connection,
    Entity,
    Info,
    Input,
    Node,
    by_id,
    column,
    connection,
    entity,
    input_type,
    query_fields,
    require_signed_in,
)
from schema.mutations import mutation, payload
from schema.ranges import DateTimeRangeInput


@entity(models.User)
class User(Entity, Node):
    """A person who signs in."""

    name: str
    """Full name."""
    email_address: str
    """Address, unique regardless of case."""
    phone_number: str | None = column(models.User.mobile_number)
    """
    Mobile number; null except to the person, to those with MANAGE_USERS in a shared service, and to platform admins.
    """
    state: UserState
    """State of the account, on which signing in depends."""
    auth_type: AuthType
    """Second step of signing in."""
    is_platform_admin: bool = column(models.User.platform_admin)
    """True for a platform admin; no mutation grants it."""
    created_at: datetime
    """When they registered."""
    updated_at: datetime | None
    """When the record last changed; null except to the person and platform admins."""
    last_logged_in_at: datetime | None = column(models.User.logged_in_at)
    """When they last signed in; null except to the person and platform admins."""
    failed_login_count: int | None
    """Failed sign-ins since the last success; ten lock the account; null except to the person and platform admins."""
    password_changed_at: datetime | None
    """When the password last changed; null except to the person and platform admins."""
    email_address_validated_at: datetime | None = column(models.User.email_access_validated_at)
    """When they last confirmed the address, needed every 90 days; null except to the person and platform admins."""
    take_part_in_research: bool | None
    """Whether they agree to take part in research; null except to the person and platform admins."""
    receives_new_features_email: bool | None
    """Whether they get emails about new features; null except to the person and platform admins."""
    service_memberships: Connection[refs.ServiceMembership] | None = connection(loaders.users.service_memberships)
    """Their services, as far as the caller may see them."""


@input_type
class UserFilter(Input):
    """Which people to list; every condition given must hold."""

    email_address_contains: str | None = None
    """Part of the address; case-insensitive."""
    name_contains: str | None = None
    """Part of the name; case-insensitive."""
    states: list[UserState] | None = None
    """Any of these."""
    platform_admin: bool | None = None
    """Whether they are platform admins."""
    take_part_in_research: bool | None = None
    """Whether they agree to take part in research."""
    created_at: DateTimeRangeInput | None = None
    """Registered in this range."""
    last_logged_in_at: DateTimeRangeInput | None = None
    """Last signed in in this range."""


@input_type
class UserOrder(Input):
    """How to order people."""

    field: UserOrderField
    """Field to order by."""
    direction: SortDirection = SortDirection.ASC
    """Direction."""


@query_fields
class UserQueries:
    """The fields of Query that read users."""

    user: User | None = by_id(loaders.users.by_id)
    """One person."""
    users: Connection[User] | None = connection(
        loaders.users.users, filter=UserFilter, order=UserOrder, admins_only=True
    )
    """All users; platform admins only."""

    @strawberry.field(
        description="The person with this address, regardless of case; for one's own address or by platform admins."
    )
    async def user_by_email_address(
        self, info: Info, email_address: Annotated[str, strawberry.argument(description="The whole address.")]
    ) -> User | None:
        """The user with this address; `Forbidden` for another's address unless the caller is a platform admin."""
        context, address = info.context, email_addresses.normalise(email_address)
        require_signed_in(context.actor)
        if context.actor.user_id is not None and not context.actor.platform_wide:
            caller: User | None = await User.read(context, context.actor.user_id)
            if caller is not None and caller.email_address == address:
                return caller
        context.actor.require_platform_admin()
        row = await context.loaders.row(loaders.users.by_email_address, address)
        return None if row is None else User.of(row)


@input_type
class RegisterUserInput(Input):
    """Arguments of `registerUser`."""

    name: str
    """Full name."""
    email_address: str
    """Government address; with an invitation, any address."""
    phone_number: str | None = None
    """Mobile number; needed to sign in by text message."""
    password: str
    """Eight characters or more, not a common one."""
    auth_type: AuthType | None = AuthType.SMS
    """Second step of signing in."""


@payload
class RegisterUserPayload:
    """Result of `registerUser`."""

    ok: bool = False
    """True when an email was sent, to confirm or to say that the address is registered."""
    challenge: SignInChallenge | None = None
    """Next step, when an invitation proved the address; otherwise follow the emailed link."""


@input_type
class VerifyEmailAddressInput(Input):
    """Arguments of `verifyEmailAddress`."""

    token: str
    """Token of the emailed link."""


@payload
class VerifyEmailAddressPayload:
    """Result of `verifyEmailAddress`."""

    user: User | None
    """The person."""
    challenge: SignInChallenge | None = None
    """Next step of signing in; null when the caller is signed in."""


@input_type
class UpdateUserInput(Input):
    """Arguments of `updateUser`."""

    user_id: strawberry.ID | None = None
    """The caller when left out."""
    name: str | None = None
    """Full name."""
    email_address: str | None = None
    """
    Another person's new address, by those with MANAGE_USERS in a shared service; for one's own use
    `requestEmailAddressChange`.
    """
    phone_number: str | None = None
    """Mobile number; null clears it, unless they sign in by text message."""
    auth_type: AuthType | None = None
    """Second step of signing in."""
    take_part_in_research: bool | None = None
    """Whether they agree to take part in research."""
    receives_new_features_email: bool | None = None
    """Whether they get emails about new features."""


@payload
class UpdateUserPayload:
    """Result of `updateUser`."""

    user: User | None
    """The person."""


@strawberry.type
class UserMutations:
    """The fields of Mutation that change users."""

    @mutation
    async def register_user(self, info: Info, input: RegisterUserInput) -> RegisterUserPayload:
        """Register; the result is the same for a registered address and a new one."""
        context = info.context
        await users.register(context.transaction, signer=context.signer, **input.values())
        return RegisterUserPayload(ok=True)

    @mutation
    async def verify_email_address(self, info: Info, input: VerifyEmailAddressInput) -> VerifyEmailAddressPayload:
        """Confirm an address with the emailed link, valid for one hour: after registering, or every 90 days."""
        context = info.context
        user, challenge = await users.confirm_email_address(
            context.transaction, token=input.token, signer=context.signer
        )
        return VerifyEmailAddressPayload(
            user=await User.read(context, user.id),
            challenge=None if challenge is None else SignInChallenge.of(challenge),
        )

    @mutation
    async def update_user(self, info: Info, input: UpdateUserInput) -> UpdateUserPayload:
        """Change a person's details; a person whose address or number another person changes is notified."""
        context, changes = info.context, input.values()
        user_id = changes.pop("user_id", None)
        async with context.transaction() as tx:
            user = await users.update(tx, context.actor, user_id=user_id, changes=changes, signer=context.signer)
        return UpdateUserPayload(user=await User.read(context, user.id))

"""Recipients that a caller may send to: everyone, the team, or the team and the guest list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, union_all

from graphql_api import models
from graphql_api.enums import Channel, KeyType, RecipientNotAllowedReason, UserState
from graphql_api.errors import RecipientNotAllowed
from graphql_api.recipients import email_addresses, phone_numbers

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

_GUEST_RECIPIENT_TYPES = {Channel.SMS: "mobile", Channel.EMAIL: "email"}
_MESSAGES = {
    RecipientNotAllowedReason.TRIAL_MODE: "A service in trial can send to its own team{guests} only.",
    RecipientNotAllowedReason.TEAM_KEY: "A team key can send to the service's team and guest list only.",
}


@dataclass(frozen=True, slots=True)
class Audience:
    """Allowed recipients: everyone without a `restriction`, else those in `allowed`, which are normalised."""

    restriction: RecipientNotAllowedReason | None = None
    allowed: frozenset[str] = frozenset()
    includes_guest_list: bool = False

    def __contains__(self, normalised: object) -> bool:
        return self.restriction is None or normalised in self.allowed

    def not_allowed_error(self, *path: str) -> RecipientNotAllowed:
        """The error for a recipient outside the audience."""
        reason = self.restriction or RecipientNotAllowedReason.TRIAL_MODE
        guests = " and guest list" if self.includes_guest_list else ""
        return RecipientNotAllowed(_MESSAGES[reason].format(guests=guests), *path, reason=reason)


EVERYONE = Audience()


async def load_audience(
    tx: AsyncSession, service: models.Service, channel: Channel, key_type: KeyType | None
) -> Audience:
    """The audience of an API key's type, or of a person (`key_type` None); one statement unless that is everyone.

    Letters are not restricted here, for services in trial and team keys cannot send them at all.
    """
    if key_type is KeyType.TEST or channel is Channel.LETTER:
        return EVERYONE
    if key_type is KeyType.TEAM:
        reason = RecipientNotAllowedReason.TEAM_KEY
    elif service.restricted:
        reason = RecipientNotAllowedReason.TRIAL_MODE
    else:
        return EVERYONE
    with_guests = key_type is not None
    normalise = phone_numbers.normalise if channel is Channel.SMS else email_addresses.normalise
    recipients = await _allowed_recipients(tx, service.id, channel, include_guest_list=with_guests)
    return Audience(reason, frozenset(map(normalise, recipients)), with_guests)


async def _allowed_recipients(
    tx: AsyncSession, service_id: UUID, channel: Channel, *, include_guest_list: bool
) -> list[str]:
    column = models.User.mobile_number if channel is Channel.SMS else models.User.email_address
    team = (
        select(column.label("recipient"))
        .join(models.ServiceMembership, models.ServiceMembership.user_id == models.User.id)
        .where(
            models.ServiceMembership.service_id == service_id,
            models.User.state == UserState.ACTIVE.value,
            column.is_not(None),
        )
    )
    if not include_guest_list:
        return [recipient for recipient in (await tx.execute(team)).scalars() if recipient]
    guests = select(models.GuestListEntry.recipient).where(
        models.GuestListEntry.service_id == service_id,
        models.GuestListEntry.recipient_type == _GUEST_RECIPIENT_TYPES[channel],
    )
    return [recipient for recipient in (await tx.execute(union_all(team, guests))).scalars() if recipient]

"""Preparation of a send: permission, service, template, features, limits, default sender and audience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.domain import audiences, senders, sending_limits, templates
from graphql_api.domain.notification_rows import SharedFields
from graphql_api.domain.service_states import require_active
from graphql_api.enums import Channel, KeyType, Postage, ServiceFeature, ServicePermission, UserErrorCode
from graphql_api.errors import IllegalState, Invalid, NotFound
from graphql_api.recipients.lists import AllowedDestinations

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.content import messages
    from graphql_api.domain.audiences import Audience

PERMISSION_BY_CHANNEL = {
    Channel.SMS: ServicePermission.SEND_TEXTS,
    Channel.EMAIL: ServicePermission.SEND_EMAILS,
    Channel.LETTER: ServicePermission.SEND_LETTERS,
}
CHANNEL_BY_RECIPIENT_FIELD = {
    "email_address": Channel.EMAIL,
    "phone_number": Channel.SMS,
    "postal_address": Channel.LETTER,
}
"""Channels by the field that holds a recipient in the input."""

_CHANNEL_NAMES = {Channel.SMS: "text messages", Channel.EMAIL: "emails", Channel.LETTER: "letters"}


@dataclass(frozen=True, slots=True)
class PreparedSend:
    """The rows and values that the checks and writes of one call need."""

    service: models.Service
    template: models.Template
    channel: Channel
    key_type: KeyType
    "The key type stored with the messages; LIVE for a person."
    features: frozenset[str]
    daily_usage: dict[str, int]
    "Messages counted today (UTC), by kind."
    default_sender: str | None
    audience: Audience
    content: messages.CompiledTemplate

    @property
    def recipient_permissions(self) -> AllowedDestinations:
        """Countries and kinds of number that the service may send to."""
        return allowed_destinations(self.features)

    def shared_fields(self, actor: Actor, *, postage: Postage | None = None) -> SharedFields:
        """Column values that the rows of single messages share."""
        return SharedFields(
            service_id=self.service.id,
            template_id=self.template.id,
            template_version=self.template.version,
            channel=self.channel,
            created_at=models.utcnow(),
            key_type=self.key_type,
            api_key_id=actor.api_key_id,
            created_by_id=None if actor.api_key_id else actor.user_id,
            reply_to_text=self.default_sender,
            postage=postage or (Postage(self.template.postage) if self.template.postage else None),
        )


def allowed_destinations(features: Collection[str]) -> AllowedDestinations:
    """Countries and kinds of number that a service with these features may send to."""
    return AllowedDestinations(
        international_sms=ServiceFeature.INTERNATIONAL_SMS in features,
        landlines=ServiceFeature.SMS_TO_UK_LANDLINES in features,
        international_letters=ServiceFeature.INTERNATIONAL_LETTERS in features,
    )


async def prepare(tx: AsyncSession, actor: Actor, *, service_id: UUID | None, template_id: UUID) -> PreparedSend:
    """Read what a send needs, in three statements, or four if the audience is restricted.

    Raises the first problem, for without these the others cannot be checked: no such service or template, archived, no
    permission, a channel that is not enabled, a letter that cannot be sent.
    """
    service_id = service_id or actor.key_service_id
    if service_id is None:
        raise Invalid("Give the service that sends.", "service_id", code=UserErrorCode.REQUIRED)
    service = await visibility.find_visible(tx, actor, models.Service, service_id, "service_id")
    template = await visibility.find_visible(tx, actor, models.Template, template_id, "template_id")
    if template.service_id != service.id:
        # The caller may see the template of another service.
        raise NotFound(template_id, "template_id")
    channel = Channel(template.template_type)
    actor.require(PERMISSION_BY_CHANNEL[channel], service.id, "service_id")
    require_active(service)
    key_type = actor.key_type or KeyType.LIVE
    features, daily_usage, sender = await _load_features_usage_and_sender(tx, service, template)
    _require_sendable(service, template, channel, actor.key_type, features)
    return PreparedSend(
        service=service,
        template=template,
        channel=channel,
        key_type=key_type,
        features=features,
        daily_usage=daily_usage,
        default_sender=sender,
        audience=await audiences.load_audience(tx, service, channel, actor.key_type),
        content=parse_content(service, template),
    )


def parse_content(
    service: models.Service, template: models.Template | models.TemplateHistory
) -> messages.CompiledTemplate:
    """The template's content; text messages begin with the service's name if it has `prefix_sms`."""
    return templates.compile_content(template, sms_prefix=service.name if service.prefix_sms else None)


async def _load_features_usage_and_sender(
    tx: AsyncSession, service: models.Service, template: models.Template
) -> tuple[frozenset[str], dict[str, int], str | None]:
    """Features, today's counts by kind, and the default sender, in one statement."""
    usage = sending_limits.select_daily_usage(service.id).subquery()
    statement = select(
        select(func.array_agg(models.ServiceFeature.permission))
        .where(models.ServiceFeature.service_id == service.id)
        .scalar_subquery(),
        select(func.jsonb_object_agg(usage.c.kind, usage.c["count"])).scalar_subquery(),
        senders.select_default(template.template_type, service.id, template.service_letter_contact_id),
    )
    features, counts, sender = (await tx.execute(statement)).one()
    return frozenset(features or ()), counts or {}, sender


def _require_sendable(
    service: models.Service,
    template: models.Template,
    channel: Channel,
    key_type: KeyType | None,
    features: frozenset[str],
) -> None:
    if channel.value not in features:
        message = f"The service cannot send {_CHANNEL_NAMES[channel]}: they are not switched on."
        raise Invalid(message, "template_id", code=UserErrorCode.CHANNEL_NOT_ENABLED)
    templates.require_current(template)
    if channel is not Channel.LETTER:
        return
    if key_type is KeyType.TEAM:
        message = "A team key cannot send letters."
        raise Invalid(message, "template_id", code=UserErrorCode.KEY_TYPE_NOT_ALLOWED)
    if service.restricted and key_type is not KeyType.TEST:
        raise IllegalState(
            "A service in trial cannot send letters.",
            "template_id",
            current="TRIAL",
            allowed=["LIVE"],
            code=UserErrorCode.SERVICE_IN_TRIAL_MODE,
        )

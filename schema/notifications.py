"""Messages: what GraphQL says of them, and how they are sent."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from graphql_api import models, statuses
from graphql_api.context import Context
from graphql_api.domain import notifications as domain
from graphql_api.domain import sending_limits
from graphql_api.enums import (
    Channel,
    KeyType,
    NotificationOrderField,
    NotificationStatus,
    NotificationStatusGroup,
    Postage,
    SortDirection,
)
from loaders import notifications as loaders
from schema import notification_details as details
from schema import refs
from schema.core import (
    JSON,
    Entity,
    Info,
    Input,
    Node,
    batched,
    by_id,
    column,
    computed,
    entity,
    input_type,
    one_of_input,
    query_fields,
    to_one,
    value_object,
)
from schema.errors import UserError, user_errors
from schema.messages import RenderedMessage
from schema.mutations import payload, sending_mutation
from schema.notification_details import EmailDetails, LetterDetails, NotificationCost, SmsDetails
from schema.ranges import DateTimeRangeInput


@entity(models.Notification, by_id=loaders.by_id)
class Notification(Entity, Node):
    """One message to one recipient."""

    id: strawberry.ID
    """UUID of the row."""
    service: refs.Service = to_one(loaders.service)
    """Sender's service."""
    channel: Channel = column(models.Notification.notification_type)
    """Channel."""
    status: NotificationStatus = computed(models.Notification.status, via=statuses.status_of)
    """Where it stands."""
    status_text: str = computed(
        models.Notification.notification_type, models.Notification.status, via=details.status_text
    )
    """The same in words that suit the channel and a screen."""
    status_group: NotificationStatusGroup = computed(models.Notification.status, via=statuses.group_of)
    """Group the status counts in."""
    is_final: bool = computed(models.Notification.status, via=details.is_final)
    """True when the status cannot change again by itself."""
    recipient: str | None = column(models.Notification.to)
    """As given by the sender; null once erased."""
    reference: str | None = column(models.Notification.client_reference)
    """The caller's own reference; kept when the rest is erased."""
    template: refs.Template = to_one(loaders.template)
    """Template, as it is now."""
    template_version: refs.TemplateVersion = to_one(loaders.template_version)
    """Template as it was when this was sent."""
    personalisation: JSON | None = computed(
        models.Notification.personalisation, via=details.unsigned_personalisation, pass_context=True
    )
    """Values sent; null once erased or where the template redacts them."""
    content: RenderedMessage | None = computed(
        models.Notification.to,
        models.Notification.personalisation,
        models.Notification.unsubscribe_link,
        via=details.rendered_content,
        related=(loaders.template_version, loaders.service),
        pass_context=True,
    )
    """The message as sent, values hidden where the template redacts them; null once erased."""
    key_type: KeyType
    """Kind of key it counts as; LIVE for a person's."""
    api_key: refs.ApiKey | None = to_one(loaders.api_key)
    """Key it was sent with; null for a person's and for one the caller may not see."""
    created_by: refs.User | None = to_one(loaders.created_by)
    """Person who sent it; null for a key's."""
    job: refs.Job | None = to_one(loaders.job)
    """Job it came from."""
    job_row_number: int | None
    """Row in the job's list, counted from 0."""
    provider: str | None = column(models.Notification.sent_by)
    """Identifier of the company it was handed to, such as mmg, firetext, ses or dvla."""
    created_at: datetime
    """When it was accepted."""
    sent_at: datetime | None
    """When it was handed over."""
    updated_at: datetime | None
    """When its status last changed."""
    completed_at: datetime | None = computed(
        models.Notification.status, models.Notification.updated_at, via=details.completed_at
    )
    """When its status became final."""
    personal_data_erased: bool = computed(models.Notification.to, via=lambda to: to is None)
    """True past retention: recipient, values, content, senders and events are gone, the rest can still be read and
    counted.
    """
    cost: NotificationCost = batched(loaders.cost, via=NotificationCost.of)
    """What it costs."""
    email: EmailDetails | None = computed(
        models.Notification.notification_type,
        models.Notification.reply_to_text,
        models.Notification.unsubscribe_link,
        models.Notification.document_download_count,
        via=details.email_details,
    )
    """What only emails have."""
    sms: SmsDetails | None = computed(
        models.Notification.notification_type,
        models.Notification.status,
        models.Notification.reply_to_text,
        models.Notification.billable_units,
        models.Notification.international,
        models.Notification.phone_prefix,
        models.Notification.rate_multiplier,
        via=details.sms_details,
    )
    """What only text messages have."""
    letter: LetterDetails | None = computed(
        models.Notification.notification_type,
        models.Notification.to,
        models.Notification.reply_to_text,
        models.Notification.postage,
        models.Notification.billable_units,
        models.Notification.created_at,
        via=details.letter_details,
    )
    """What only letters have."""


@input_type
class NotificationFilter(Input):
    """Which messages to list; every condition given must hold."""

    channels: list[Channel] | None = None
    """Any of these."""
    statuses: list[NotificationStatus] | None = None
    """Any of these."""
    status_groups: list[NotificationStatusGroup] | None = None
    """Any of these."""
    key_types: list[KeyType] | None = None
    """Any of these; all that the caller may see when left out."""
    template_id: strawberry.ID | None = None
    """Made from this template."""
    job_id: strawberry.ID | None = None
    """From this job."""
    api_key_id: strawberry.ID | None = None
    """Sent with this key."""
    created_by_id: strawberry.ID | None = None
    """Sent by this person."""
    reference: str | None = None
    """Exactly this reference."""
    search: str | None = None
    """Part of a recipient or reference, three characters or more; recipients are normalised before matching."""
    include_jobs: bool | None = True
    """False leaves out messages that came from a job."""
    include_one_off: bool | None = True
    """False leaves out messages that a person sent one by one."""
    created_at: DateTimeRangeInput | None = None
    """Accepted in this time."""
    include_erased: bool | None = False
    """True also finds messages past retention, without personal data; `search` then matches references only."""


@input_type
class NotificationOrder(Input):
    """How to order messages."""

    field: NotificationOrderField
    """What to order by."""
    direction: SortDirection = SortDirection.DESC
    """Direction."""


@query_fields
class NotificationQueries:
    """The part of Query that reads messages."""

    notification: refs.Notification | None = by_id(loaders.by_id)
    """One message, also after its personal data have been erased."""


@input_type
class PostalAddressInput(Input):
    """A postal address."""

    lines: list[str]
    """Three to seven; the last is a UK postcode or, where allowed, a country."""


@one_of_input
class RecipientInput(Input):
    """Whom to send to; must suit the template's channel."""

    email_address: strawberry.Maybe[str]
    """For an email."""
    phone_number: strawberry.Maybe[str]
    """For a text message."""
    postal_address: strawberry.Maybe[PostalAddressInput]
    """For a letter."""


@input_type
class SendNotificationInput(Input):
    """Arguments of `sendNotification`."""

    service_id: strawberry.ID | None = None
    """Needed from a person; an API key's own service is taken."""
    template_id: strawberry.ID
    """The template."""
    recipient: RecipientInput
    """Whom to send to."""
    personalisation: JSON | None = None
    """Object of placeholder name to string, number, boolean or list of strings; names match whatever their case,
    spaces, hyphens and underscores.
    """
    reference: str | None = None
    """The caller's own reference, up to 1,000 characters, not unique."""
    postage: Postage | None = None
    """Letters only; the template's own when left out."""
    idempotency_key: str | None = None
    """Up to 255 characters; for 24 hours the same key with the same arguments gives the first result and sends
    nothing.
    """


@payload
class SendNotificationPayload:
    """Answer of `sendNotification`."""

    notification: refs.Notification | None
    """The message."""


@input_type
class SendNotificationItemInput(Input):
    """One message of many."""

    recipient: RecipientInput
    """Whom to send to."""
    personalisation: JSON | None = None
    """As for `sendNotification`."""
    reference: str | None = None
    """The caller's own reference."""


@input_type
class SendNotificationsInput(Input):
    """Arguments of `sendNotifications`."""

    service_id: strawberry.ID | None = None
    """Needed from a person; an API key's own service is taken."""
    template_id: strawberry.ID
    """The template."""
    items: list[SendNotificationItemInput]
    """One per message."""
    idempotency_key: str | None = None
    """As for `sendNotification`, for the call as a whole."""


@value_object
class SendNotificationResult:
    """What became of one message of many."""

    index: int
    """Place in `items`, counted from 0."""
    notification: refs.Notification | None
    """The message; null when refused."""
    errors: list[UserError]
    """Why it was refused."""


@payload
class SendNotificationsPayload:
    """Answer of `sendNotifications`."""

    results: list[SendNotificationResult] = []  # noqa: RUF012 - the decorator makes a fresh one each time
    """One per item, in the same order; empty when the call as a whole is refused."""
    accepted_count: int = 0
    """Messages accepted."""
    rejected_count: int = 0
    """Messages refused."""


async def consume_send_token(context: Context, service_id: UUID | None) -> None:
    """Take the token of a sending call, for good, before it is known whether it will be refused."""
    service_id = service_id or context.actor.key_service_id
    if service_id is not None:
        async with context.transaction() as tx:
            await sending_limits.consume_token(tx, context.actor, service_id)


async def _read_notification(context: Context, row: models.Notification | None) -> Any:
    """The message as the caller sees it; one that was only answered, not stored, as it was answered."""
    if row is None:
        return None
    return await Notification.read(context, row.id) or Notification.of(row)


@strawberry.type
class NotificationMutations:
    """The part of Mutation that sends messages."""

    @sending_mutation
    async def send_notification(self, info: Info, input: SendNotificationInput) -> SendNotificationPayload:
        """Send one message."""
        context, values = info.context, input.values()
        await consume_send_token(context, values.get("service_id"))
        async with context.transaction() as tx:
            row = await domain.send(tx, context.actor, signer=context.signer, **values)
        return SendNotificationPayload(notification=await _read_notification(context, row))

    @sending_mutation
    async def send_notifications(self, info: Info, input: SendNotificationsInput) -> SendNotificationsPayload:
        """Send up to 250 messages of one template, each accepted or refused by itself."""
        context, values = info.context, input.values()
        await consume_send_token(context, values.get("service_id"))
        async with context.transaction() as tx:
            results = await domain.send_many(tx, context.actor, signer=context.signer, **values)
        notifications = await asyncio.gather(*(_read_notification(context, result.notification) for result in results))
        accepted = sum(result.notification is not None for result in results)
        return SendNotificationsPayload(
            results=[
                SendNotificationResult(
                    index=result.index,
                    notification=notification,
                    errors=[entry for error in result.errors for entry in user_errors(error, context)],
                )
                for result, notification in zip(results, notifications, strict=True)
            ],
            accepted_count=accepted,
            rejected_count=len(results) - accepted,
        )

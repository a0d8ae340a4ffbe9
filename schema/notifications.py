"""Notifications: messages to one recipient each, and how they are sent."""

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
    """Service that sent it."""
    channel: Channel = column(models.Notification.notification_type)
    """Channel of the message."""
    status: NotificationStatus = computed(models.Notification.status, via=statuses.status_of)
    """Status of the message."""
    status_text: str = computed(
        models.Notification.notification_type, models.Notification.status, via=details.status_text
    )
    """Text of the status for its channel, to be shown to a person."""
    status_group: NotificationStatusGroup = computed(models.Notification.status, via=statuses.group_of)
    """Group of the status, as statistics count it."""
    is_final: bool = computed(models.Notification.status, via=details.is_final)
    """True when the status changes no more without a call."""
    recipient: str | None = column(models.Notification.to)
    """Recipient as the sender gave it; null once erased."""
    reference: str | None = column(models.Notification.client_reference)
    """The sender's own reference; not erased with the rest."""
    template: refs.Template = to_one(loaders.template)
    """Template in its current version."""
    template_version: refs.TemplateVersion = to_one(loaders.template_version)
    """Version of the template that was sent."""
    personalisation: JSON | None = computed(
        models.Notification.personalisation, via=details.unsigned_personalisation, pass_context=True
    )
    """Values of placeholders; null once erased or where the template redacts them."""
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
    """Type of the API key; LIVE for a message that a person sent."""
    api_key: refs.ApiKey | None = to_one(loaders.api_key)
    """API key that sent it; null for a person's message and for a key that the caller may not see."""
    created_by: refs.User | None = to_one(loaders.created_by)
    """Person who sent it; null for a message sent with a key."""
    job: refs.Job | None = to_one(loaders.job)
    """Job that sent it; null for a message outside a job."""
    job_row_number: int | None
    """Row in the job's list, counted from 0."""
    provider: str | None = column(models.Notification.sent_by)
    """Identifier of the provider that it was given to, such as mmg, firetext, ses or dvla."""
    created_at: datetime
    """When it was accepted."""
    sent_at: datetime | None
    """When it was given to the provider."""
    updated_at: datetime | None
    """When its status last changed."""
    completed_at: datetime | None = computed(
        models.Notification.status, models.Notification.updated_at, via=details.completed_at
    )
    """When its status became final."""
    personal_data_erased: bool = computed(models.Notification.to, via=lambda to: to is None)
    """True after the retention period: recipient, values, content, senders and events are erased; the rest can still be
    read and counted.
    """
    cost: NotificationCost = batched(loaders.cost, via=NotificationCost.of)
    """Cost of the message."""
    email: EmailDetails | None = computed(
        models.Notification.notification_type,
        models.Notification.reply_to_text,
        models.Notification.unsubscribe_link,
        models.Notification.document_download_count,
        via=details.email_details,
    )
    """Fields of emails; null for other channels."""
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
    """Fields of text messages; null for other channels."""
    letter: LetterDetails | None = computed(
        models.Notification.notification_type,
        models.Notification.to,
        models.Notification.reply_to_text,
        models.Notification.postage,
        models.Notification.billable_units,
        models.Notification.created_at,
        via=details.letter_details,
    )
    """Fields of letters; null for other channels."""


@input_type
class NotificationFilter(Input):
    """Which messages to list; every condition given must hold."""

    channels: list[Channel] | None = None
    """Of any of these channels."""
    statuses: list[NotificationStatus] | None = None
    """Having any of these statuses."""
    status_groups: list[NotificationStatusGroup] | None = None
    """Having a status of any of these groups."""
    key_types: list[KeyType] | None = None
    """Of any of these types of key; of all that the caller may see when left out."""
    template_id: strawberry.ID | None = None
    """Of this template, in any version."""
    job_id: strawberry.ID | None = None
    """Of this job."""
    api_key_id: strawberry.ID | None = None
    """Sent with this API key."""
    created_by_id: strawberry.ID | None = None
    """Sent by this person."""
    reference: str | None = None
    """Having exactly this reference."""
    search: str | None = None
    """Part of a recipient or reference, three characters or more; recipients are normalised before matching."""
    include_jobs: bool | None = True
    """False leaves out messages of jobs."""
    include_one_off: bool | None = True
    """False leaves out single messages that a person sent."""
    created_at: DateTimeRangeInput | None = None
    """Accepted in this range."""
    include_erased: bool | None = False
    """True includes messages after the retention period, of which `search` matches references only."""


@input_type
class NotificationOrder(Input):
    """How to order messages."""

    field: NotificationOrderField
    """Field to order by."""
    direction: SortDirection = SortDirection.DESC
    """Direction."""


@query_fields
class NotificationQueries:
    """The field of Query that reads messages."""

    notification: refs.Notification | None = by_id(loaders.by_id)
    """One message, also after its personal data have been erased."""


@input_type
class PostalAddressInput(Input):
    """A postal address."""

    lines: list[str]
    """Three to seven lines; the last is a UK postcode or, where allowed, a country."""


@one_of_input
class RecipientInput(Input):
    """The recipient, of the template's channel."""

    email_address: strawberry.Maybe[str]
    """Address, for an email."""
    phone_number: strawberry.Maybe[str]
    """Phone number, for a text message."""
    postal_address: strawberry.Maybe[PostalAddressInput]
    """Postal address, for a letter."""


@input_type
class SendNotificationInput(Input):
    """Arguments of `sendNotification`."""

    service_id: strawberry.ID | None = None
    """Required from a person; for an API key, its own service is used."""
    template_id: strawberry.ID
    """The template."""
    recipient: RecipientInput
    """The recipient."""
    personalisation: JSON | None = None
    """Object of placeholder name to string, number, boolean or list of strings; names match regardless of case, spaces,
    hyphens and underscores.
    """
    reference: str | None = None
    """The sender's own reference, up to 1,000 characters; need not be unique."""
    postage: Postage | None = None
    """Class of post of a letter; the template's when left out."""
    idempotency_key: str | None = None
    """Key of up to 255 characters; for 24 hours, the same key with the same arguments returns the first result and
    sends nothing.
    """


@payload
class SendNotificationPayload:
    """Result of `sendNotification`."""

    notification: refs.Notification | None
    """The message."""


@input_type
class SendNotificationItemInput(Input):
    """One message of many."""

    recipient: RecipientInput
    """The recipient."""
    personalisation: JSON | None = None
    """As for `sendNotification`."""
    reference: str | None = None
    """The sender's own reference."""


@input_type
class SendNotificationsInput(Input):
    """Arguments of `sendNotifications`."""

    service_id: strawberry.ID | None = None
    """Required from a person; for an API key, its own service is used."""
    template_id: strawberry.ID
    """The template."""
    items: list[SendNotificationItemInput]
    """The messages, up to 250."""
    idempotency_key: str | None = None
    """As for `sendNotification`, for the call as a whole."""


@value_object
class SendNotificationResult:
    """Result for one message of many."""

    index: int
    """Index in `items`, counted from 0."""
    notification: refs.Notification | None
    """The message; null when it was refused."""
    errors: list[UserError]
    """Why it was refused."""


@payload
class SendNotificationsPayload:
    """Result of `sendNotifications`."""

    results: list[SendNotificationResult] = []  # noqa: RUF012 - a default, which the decorator copies
    """Results of the items, in their order; empty when the whole call was refused."""
    accepted_count: int = 0
    """Number of messages accepted."""
    rejected_count: int = 0
    """Number of messages refused."""


async def consume_send_token(context: Context, service_id: UUID | None) -> None:
    """Consume a token of the service's send rate in a transaction of its own, so that a refused call costs one too."""
    service_id = service_id or context.actor.key_service_id
    if service_id is not None:
        async with context.transaction() as tx:
            await sending_limits.consume_token(tx, context.actor, service_id)


async def _read_notification(context: Context, row: models.Notification | None) -> Any:
    """The message as the caller sees it; the given row where none is stored, as for simulated sends."""
    if row is None:
        return None
    return await Notification.read(context, row.id) or Notification.of(row)


@strawberry.type
class NotificationMutations:
    """The fields of Mutation that send messages."""

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
        """Send up to 250 messages of one template, each accepted or refused on its own."""
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

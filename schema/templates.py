"""Templates and their versions."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from graphql_api import models
from graphql_api.content import messages
from graphql_api.content.values import uuid_or_none
from graphql_api.domain import templates as domain
from graphql_api.enums import Channel, ServicePermission, SortDirection, TemplateOrderField
from loaders import jobs, notifications, services
from loaders import templates as loaders
from schema import refs
from schema.core import (
    JSON,
    Connection,
    Entity,
    Info,
    Input,
    Node,
    by_id,
    column,
    computed,
    connection,
    entity,
    input_type,
    query_fields,
    to_one,
)
from schema.jobs import JOB_LIST_PERMISSIONS, JobFilter, JobOrder
from schema.messages import RenderedMessage, parse_personalisation
from schema.mutations import mutation, payload
from schema.notifications import NotificationFilter, NotificationOrder
from schema.template_contents import (
    EMAIL_FIELD,
    LETTER_FIELD,
    PLACEHOLDERS_FIELD,
    SAVED_AT_FIELD,
    SAVED_BY_FIELD,
    SMS_FIELD,
    EmailTemplateDetails,
    LetterTemplateDetails,
    Placeholder,
    SmsTemplateDetails,
    TemplateContent,
    TemplateContentInput,
    TemplateContentPatchInput,
    sms_prefix,
)


@entity(models.TemplateHistory, by_id=loaders.version)
class TemplateVersion(Entity, TemplateContent):
    """A version of a template."""

    id: strawberry.ID = computed(models.TemplateHistory.id, models.TemplateHistory.version, via="{}:{}".format)
    """UUID of the template, a colon and the version; not for `node(id:)`."""
    version: int
    """Version number."""
    name: str
    """Name, up to 255 characters."""
    channel: Channel = column(models.TemplateHistory.template_type)
    """Channel of the template, which never changes."""
    subject: str | None
    """Subject of an email, heading of a letter; null for a text message."""
    body: str = column(models.TemplateHistory.content)
    """Body with ((placeholders))."""
    placeholders: list[Placeholder] = PLACEHOLDERS_FIELD
    """In order of first appearance, subject before body."""
    email: EmailTemplateDetails | None = EMAIL_FIELD
    """Fields of email templates."""
    sms: SmsTemplateDetails | None = SMS_FIELD
    """Fields of text message templates."""
    letter: LetterTemplateDetails | None = LETTER_FIELD
    """Fields of letter templates."""
    saved_by: refs.User | None = SAVED_BY_FIELD
    """Who saved this version; null where the caller may not see them."""
    saved_at: datetime = SAVED_AT_FIELD
    """When this version was saved."""
    template: refs.Template = to_one(loaders.version_template)
    """The template in its current version."""
    archived: bool
    """True for the version that archived the template."""


@entity(models.Template)
class Template(Entity, Node, TemplateContent):
    """A message with ((placeholders)), sent many times; its content is that of the current version."""

    id: strawberry.ID
    """UUID of the row."""
    version: int
    """Version number."""
    name: str
    """Name, up to 255 characters."""
    channel: Channel = column(models.Template.template_type)
    """Channel of the template, which never changes."""
    subject: str | None
    """Subject of an email, heading of a letter; null for a text message."""
    body: str = column(models.Template.content)
    """Body with ((placeholders))."""
    placeholders: list[Placeholder] = PLACEHOLDERS_FIELD
    """In order of first appearance, subject before body."""
    email: EmailTemplateDetails | None = EMAIL_FIELD
    """Fields of email templates."""
    sms: SmsTemplateDetails | None = SMS_FIELD
    """Fields of text message templates."""
    letter: LetterTemplateDetails | None = LETTER_FIELD
    """Fields of letter templates."""
    saved_by: refs.User | None = SAVED_BY_FIELD
    """Who saved this version; null where the caller may not see them."""
    saved_at: datetime = SAVED_AT_FIELD
    """When this version was saved."""
    service: refs.Service = to_one(loaders.service)
    """Service that owns it."""
    archived: bool
    """True once archived; an archived template can still be read."""
    redact_personalisation: bool = computed(
        via=lambda redaction: redaction is not None and redaction.redact_personalisation, related=(loaders.redaction,)
    )
    """Whether personalisation of its messages is hidden; once true, it stays true, for every version."""
    created_at: datetime
    """When the first version was created."""
    updated_at: datetime | None
    """When it last changed."""
    versions: Connection[refs.TemplateVersion] | None = connection(loaders.versions)
    """Its versions, latest first, the current one included."""
    notifications: Connection[refs.Notification] | None = connection(
        notifications.of_template,
        filter=NotificationFilter,
        order=NotificationOrder,
        permissions=ServicePermission.VIEW_ACTIVITY,
    )
    """Messages of any version, latest first; visible as `Service.notifications` are."""
    jobs: Connection[refs.Job] | None = connection(
        jobs.of_template, filter=JobFilter, order=JobOrder, permissions=JOB_LIST_PERMISSIONS
    )
    """Jobs of any version, latest first; visible as `Service.jobs` are."""

    created_by: refs.User | None = to_one(loaders.first_version, loaders.saved_by)
    """Who created the first version; null where the caller may not see them."""

    @strawberry.field(description="One version; null when no version has this number.")
    async def at_version(
        self, info: Info, version: Annotated[int, strawberry.argument(description="Version number.")]
    ) -> refs.TemplateVersion | None:
        """The version with this number."""
        return await TemplateVersion.read(info.context, self.row.id, version)  # type: ignore[no-any-return]


@input_type
class TemplateFilter(Input):
    """Which templates to list; every condition given must hold."""

    channels: list[Channel] | None = None
    """Of any of these channels."""
    name_contains: str | None = None
    """Part of the name; case-insensitive."""
    archived: bool | None = False
    """True for archived templates, false for the others, null for both."""


@input_type
class TemplateOrder(Input):
    """How to order templates."""

    field: TemplateOrderField
    """Field to order by."""
    direction: SortDirection = SortDirection.ASC
    """Direction."""


@input_type
class PreviewTemplateInput(Input):
    """Content to render without saving."""

    service_id: strawberry.ID
    """Service whose name and features apply."""
    content: TemplateContentInput
    """Content of the template."""
    personalisation: JSON | None = None
    """Values of placeholders, by name."""


@query_fields
class TemplateQueries:
    """The fields of Query that read templates."""

    template: refs.Template | None = by_id(loaders.by_id)
    """One template, archived or not."""

    @strawberry.field(
        description="Template content that has not been saved, with values filled in, for an editor's preview."
    )
    async def preview_template(
        self,
        info: Info,
        input: Annotated[PreviewTemplateInput, strawberry.argument(description="The content and the values.")],
    ) -> RenderedMessage | None:
        """The rendered message; None for a service that the caller does not see."""
        service = await info.context.loaders.row(services.by_id, uuid_or_none(input.service_id))
        if service is None:
            return None
        ((channel, fields),) = input.content.values().items()
        template = messages.CompiledTemplate(
            Channel(channel),
            subject=fields.get("subject"),
            body=fields["body"],
            prefix=sms_prefix(service),
            welsh_subject=fields.get("welsh_subject"),
            welsh_body=fields.get("welsh_body"),
        )
        values = parse_personalisation(input.personalisation or None)
        return RenderedMessage.of(template.render(values), info.context, "input")


@input_type
class CreateTemplateInput(Input):
    """Arguments of `createTemplate`."""

    service_id: strawberry.ID
    """The service."""
    name: str
    """Name, up to 255 characters."""
    content: TemplateContentInput
    """Content, which decides the channel."""
    idempotency_key: str | None = None
    """As for `sendNotification`."""


@payload
class CreateTemplatePayload:
    """Result of `createTemplate`."""

    template: refs.Template | None
    """The template."""


@input_type
class UpdateTemplateInput(Input):
    """Arguments of `updateTemplate`."""

    template_id: strawberry.ID
    """The template."""
    expected_version: int | None = None
    """Version that the caller read; a newer one gives VERSION_CONFLICT."""
    name: str | None = None
    """Name, up to 255 characters."""
    content: TemplateContentPatchInput | None = None
    """Changes of the content, for the template's own channel."""


@payload
class UpdateTemplatePayload:
    """Result of `updateTemplate`."""

    template: refs.Template | None
    """The template."""
    changed: bool = False
    """False when no value differs from the current version."""
    placeholders_added: list[str] = []  # noqa: RUF012 - a default, which Strawberry copies
    """Placeholders that the previous version did not have."""
    placeholders_removed: list[str] = []  # noqa: RUF012 - a default, which Strawberry copies
    """Placeholders that only the previous version had."""


@input_type
class ArchiveTemplateInput(Input):
    """Arguments of `archiveTemplate`."""

    template_id: strawberry.ID
    """The template."""


@payload
class ArchiveTemplatePayload:
    """Result of `archiveTemplate`."""

    template: refs.Template | None
    """The template."""


@input_type
class RedactTemplateInput(Input):
    """Arguments of `redactTemplate`."""

    template_id: strawberry.ID
    """The template."""


@payload
class RedactTemplatePayload:
    """Result of `redactTemplate`."""

    template: refs.Template | None
    """The template."""


@strawberry.type
class TemplateMutations:
    """The fields of Mutation that change templates."""

    @mutation
    async def create_template(self, info: Info, input: CreateTemplateInput) -> CreateTemplatePayload:
        """Create a template; its channel, one of the service's features, never changes."""
        values = input.values()
        ((channel, content),) = values.pop("content").items()
        async with info.context.transaction() as tx:
            row = await domain.create(tx, info.context.actor, channel=Channel(channel), content=content, **values)
        return CreateTemplatePayload(template=await Template.read(info.context, row.id))

    @mutation
    async def update_template(self, info: Info, input: UpdateTemplateInput) -> UpdateTemplatePayload:
        """Save a new version of a template; without changes, none is created."""
        values = input.values()
        content: dict[str, Any] = values.pop("content", None) or {}
        async with info.context.transaction() as tx:
            saved = await domain.update(
                tx,
                info.context.actor,
                template_id=values.pop("template_id"),
                expected_version=values.pop("expected_version", None),
                channel=next((Channel(channel) for channel in content), None),
                changes=values | next(iter(content.values()), {}),
            )
        return UpdateTemplatePayload(
            template=await Template.read(info.context, saved.template.id),
            changed=saved.changed,
            placeholders_added=saved.placeholders_added,
            placeholders_removed=saved.placeholders_removed,
        )

    @mutation
    async def archive_template(self, info: Info, input: ArchiveTemplateInput) -> ArchiveTemplatePayload:
        """Archive a template: removes it from its folder and saves a version."""
        async with info.context.transaction() as tx:
            row = await domain.archive(tx, info.context.actor, **input.values())
        return ArchiveTemplatePayload(template=await Template.read(info.context, row.id))

    @mutation
    async def redact_template(self, info: Info, input: RedactTemplateInput) -> RedactTemplatePayload:
        """Hide personalisation of a template's messages permanently."""
        async with info.context.transaction() as tx:
            row = await domain.redact(tx, info.context.actor, **input.values())
        return RedactTemplatePayload(template=await Template.read(info.context, row.id))

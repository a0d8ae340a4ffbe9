"""Rendering of messages: a row of `notifications` becomes an outgoing message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select, tuple_

from graphql_api import models
from graphql_api.content.placeholders import Personalisation
from graphql_api.domain import sends
from graphql_api.enums import Channel, KeyType
from graphql_api.gateways import OutgoingMessage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.crypto import Signer
    from graphql_api.content import messages


class RenderedMessage(NamedTuple):
    """A rendered message, and the billable units of one attempt to send it."""

    outgoing: OutgoingMessage
    billable_units: int


class _TemplateSource(NamedTuple):
    service: models.Service
    template: models.TemplateHistory
    content: messages.CompiledTemplate


class Renderer:
    """Renders messages of some services and templates, which are read and compiled once."""

    def __init__(self, signer: Signer, sources: dict[tuple[UUID, UUID, int], _TemplateSource]) -> None:
        self._signer = signer
        self._sources = sources

    @classmethod
    async def load(cls, tx: AsyncSession, signer: Signer, rows: Iterable[Row[Any]]) -> Renderer:
        """Read the services and templates of messages (rows of `notifications`), in two statements."""
        keys = {(row.service_id, row.template_id, row.template_version) for row in rows}
        if not keys:
            return cls(signer, {})
        service_ids = {service_id for service_id, _, _ in keys}
        services = {
            service.id: service
            for service in await tx.scalars(select(models.Service).where(models.Service.id.in_(service_ids)))
        }
        history = models.TemplateHistory
        versions = {(template_id, version) for _, template_id, version in keys}
        templates = {
            (template.id, template.version): template
            for template in await tx.scalars(select(history).where(tuple_(history.id, history.version).in_(versions)))
        }
        sources = {}
        for service_id, template_id, version in keys:
            service, template = services[service_id], templates[template_id, version]
            content = sends.parse_content(service, template)
            sources[service_id, template_id, version] = _TemplateSource(service, template, content)
        return cls(signer, sources)

    def render(self, row: Row[Any]) -> RenderedMessage:
        """Render one message."""
        service, template, content = self._sources[row.service_id, row.template_id, row.template_version]
        personalisation = self._signer.unsign(row.personalisation) if row.personalisation else {}
        is_test = row.key_type == KeyType.TEST.value
        if row.notification_type == Channel.SMS:
            text, count = content.render_sms(Personalisation(personalisation).by_key)
            outgoing = OutgoingMessage(
                row.id, Channel.SMS, row.normalised_to, text, sender=row.reply_to_text, test=is_test
            )
            return RenderedMessage(outgoing, count.fragment_count)
        if row.notification_type == Channel.LETTER:
            letter = content.render(personalisation)
            outgoing = OutgoingMessage(
                row.id, Channel.LETTER, row.to, letter.text, subject=letter.subject, test=is_test
            )
            # Letters of test keys are not printed.
            return RenderedMessage(outgoing, 0 if is_test else 1)
        body_unsubscribe_url = row.unsubscribe_link if template.has_unsubscribe_link else None
        email = content.render(personalisation, unsubscribe_url=body_unsubscribe_url)
        outgoing = OutgoingMessage(
            row.id,
            Channel.EMAIL,
            row.normalised_to,
            email.text,
            subject=email.subject,
            html=email.html,
            from_name=service.custom_email_sender_name or service.name,
            from_local_part=service.email_sender_local_part,
            reply_to=row.reply_to_text,
            unsubscribe_url=row.unsubscribe_link,
            test=is_test,
        )
        return RenderedMessage(outgoing, 0)

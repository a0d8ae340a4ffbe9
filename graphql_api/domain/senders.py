"""Default senders: a service's text message sender and reply-to address, a template's contact block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from graphql_api import models
from graphql_api.enums import Channel

if TYPE_CHECKING:
    from sqlalchemy import ScalarSelect


def select_default(channel: str, service_id: Any, letter_contact_id: Any = None) -> ScalarSelect[str | None]:
    """The default sender as a scalar subquery; null if there is none.

    Text messages and emails have the service's default, a letter has the contact of its template.
    """
    if channel == Channel.LETTER:
        contact = models.LetterContact
        statement = select(contact.contact_block).where(contact.id == letter_contact_id, contact.archived.is_(False))
        return statement.where(contact.service_id == service_id).scalar_subquery()
    if channel == Channel.SMS:
        sender = models.SmsSender
        return (
            select(sender.sms_sender)
            .where(sender.service_id == service_id, sender.is_default, sender.archived.is_(False))
            .order_by(sender.created_at, sender.id)
            .limit(1)
            .scalar_subquery()
        )
    address = models.EmailReplyToAddress
    return (
        select(address.email_address)
        .where(address.service_id == service_id, address.is_default, address.archived.is_(False))
        .order_by(address.created_at, address.id)
        .limit(1)
        .scalar_subquery()
    )

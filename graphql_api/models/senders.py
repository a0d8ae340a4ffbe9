"""Senders of messages: SMS senders, reply-to addresses, letter contact blocks, and numbers that receive messages."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Dated, Identified, Model

if TYPE_CHECKING:
    from graphql_api.models.services import Service


class SmsSender(Identified, Dated, Model):
    """A name or a number from which text messages are sent."""

    __tablename__ = "service_sms_senders"
    __table_args__ = (Index("ix_service_sms_senders_inbound_number_id", "inbound_number_id", unique=True),)

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    sms_sender: Mapped[str] = mapped_column(String(11))
    is_default: Mapped[bool] = mapped_column(default=True)
    archived: Mapped[bool] = mapped_column(default=False, server_default=false())
    inbound_number_id: Mapped[UUID | None] = mapped_column(ForeignKey("inbound_numbers.id"))

    service: Mapped[Service] = relationship(back_populates="sms_senders", lazy="raise")
    inbound_number: Mapped[InboundNumber | None] = relationship(lazy="raise")


class ProtectedSenderId(Model):
    """A sender name that services may use only with permission."""

    __tablename__ = "protected_sender_ids"

    sender_id: Mapped[str] = mapped_column(String(255), primary_key=True)


class EmailReplyToAddress(Identified, Dated, Model):
    """An address for replies to emails."""

    __tablename__ = "service_email_reply_to"

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    email_address: Mapped[str] = mapped_column(Text)
    is_default: Mapped[bool] = mapped_column(default=True)
    archived: Mapped[bool] = mapped_column(default=False, server_default=false())

    service: Mapped[Service] = relationship(back_populates="email_reply_to_addresses", lazy="raise")


class LetterContact(Identified, Dated, Model):
    """The sender's address as printed at the top of a letter."""

    __tablename__ = "service_letter_contacts"

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    contact_block: Mapped[str] = mapped_column(Text)
    is_default: Mapped[bool] = mapped_column(default=True)
    archived: Mapped[bool] = mapped_column(default=False, server_default=false())

    service: Mapped[Service] = relationship(back_populates="letter_contacts", lazy="raise")


class InboundNumber(Identified, Dated, Model):
    """A phone number that can receive text messages, for one service at a time."""

    __tablename__ = "inbound_numbers"
    __table_args__ = (Index("ix_inbound_numbers_service_id", "service_id", unique=True),)

    number: Mapped[str] = mapped_column(String(11), unique=True)
    provider: Mapped[str]
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("services.id"))
    active: Mapped[bool] = mapped_column(default=True)

    service: Mapped[Service | None] = relationship(back_populates="inbound_number", lazy="raise")

"""Values computed from a service's columns: its settings and its limits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from graphql_api.domain.sending_limits import resets_at
from graphql_api.enums import Channel
from loaders.services import DailyLimitUsage
from schema.core import Input, input_type, value_object


@value_object
class ServiceVolumes:
    """Messages expected in a year; null where the team has given no number."""

    sms: int | None
    """Text messages."""
    email: int | None
    """Emails."""
    letter: int | None
    """Letters."""


@value_object
class ServiceSettings:
    """Settings that a service's team changes itself."""

    prefix_sms: bool
    """Whether every text message begins with the service name."""
    custom_email_sender_name: str | None
    """Sender name of emails; null for the service name."""
    email_sender_local_part: str
    """Part of the sending address before the @."""
    confirmed_email_sender_name: bool
    """Whether the team has confirmed the sender name."""
    contact_link: str | None
    """Where recipients get help; required before files can be sent by email."""
    consent_to_research: bool | None
    """Whether the team agrees to be asked about its service; null when it has not answered."""
    volumes: ServiceVolumes
    """Messages that the team expects in a year."""

    @classmethod
    def of(cls, *values: Any) -> Self:
        """The settings, from the columns of a service."""
        prefix, sender, local_part, confirmed, link, consent, sms, email, letter = values
        return cls(
            prefix_sms=prefix,
            custom_email_sender_name=sender,
            email_sender_local_part=local_part,
            confirmed_email_sender_name=bool(confirmed),
            contact_link=link,
            consent_to_research=consent,
            volumes=ServiceVolumes(sms=sms, email=email, letter=letter),
        )


@value_object
class DailyLimit:
    """One limit on the messages accepted per day."""

    channel: Channel
    """Channel of the limit."""
    international: bool
    """True for the separate limit on text messages abroad."""
    limit: int
    """Messages allowed per day."""
    used: int
    """Messages accepted so far today."""
    remaining: int
    """Messages that can still be sent today."""
    resets_at: datetime
    """Next midnight UTC."""


def daily_limits(limits: Sequence[DailyLimitUsage]) -> list[DailyLimit]:
    """The limits as the loader returns them."""
    return [
        DailyLimit(
            channel=limit.channel,
            international=limit.international,
            limit=limit.messages_per_day,
            used=limit.used,
            remaining=max(limit.messages_per_day - limit.used, 0),
            resets_at=resets_at(),
        )
        for limit in limits
    ]


@input_type
class ServiceVolumesInput(Input):
    """Messages expected in a year."""

    sms: int | None = None
    """Text messages."""
    email: int | None = None
    """Emails."""
    letter: int | None = None
    """Letters."""

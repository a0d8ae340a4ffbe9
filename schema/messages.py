"""Messages as people read them, and what to know before they are sent."""

from typing import Any, Self, cast

from graphql_api.content import messages, sms
from graphql_api.content.values import check
from graphql_api.context import Context
from graphql_api.domain import domain_errors
from graphql_api.enums import Channel, SmsEncoding
from graphql_api.errors import BadRequest
from schema.core import JSON, value_object
from schema.errors import UserError, user_errors


@value_object
class ReplacedCharacter:
    """A character that a text message cannot carry."""

    original: str
    """As written."""
    replacement: str
    """As sent: a plain equivalent or a question mark."""


@value_object
class SmsCount:
    """Length of a text message."""

    character_count: int
    """Characters counted against the limit, without the service name prefix."""
    character_limit: int
    """918."""
    encoding: SmsEncoding
    """Alphabet it goes out in."""
    fragment_count: int
    """Fragments it is billed as, prefix included."""
    replaced_characters: list[ReplacedCharacter]
    """Characters outside the alphabet and what stands in for them."""

    @classmethod
    def of(cls, count: sms.SmsCount) -> Self:
        """The count of a text as it would be sent."""
        return cls(
            character_count=count.character_count,
            character_limit=count.character_limit,
            encoding=count.encoding,
            fragment_count=count.fragment_count,
            replaced_characters=[
                ReplacedCharacter(original=one.original, replacement=one.replacement)
                for one in count.replaced_characters
            ],
        )


@value_object
class RenderedMessage:
    """A message with its placeholders filled in, and what to know before sending it."""

    channel: Channel
    """Channel."""
    subject: str | None
    """Subject of an email or letter."""
    text: str
    """What a handset or a plain-text mail reader shows."""
    html: str | None
    """What other mail readers show; emails only."""
    preheader: str | None
    """First 256 characters of the body, shown by mail readers beside the subject; emails only."""
    missing_placeholders: list[str]
    """Placeholders without a value."""
    unused_personalisation: list[str]
    """Keys sent that the template does not use."""
    sms: SmsCount | None
    """Length and price in fragments; text messages only."""
    errors: list[UserError]
    """Why a send would refuse it as it stands."""

    @classmethod
    def of(cls, rendered: messages.RenderedContent, context: Context, *prefix: str) -> Self:
        """The message with its problems, whose paths begin with `prefix` where that is the name of an argument."""
        entries = [
            entry
            for problem in rendered.problems
            for entry in user_errors(domain_errors.from_content_problem(problem), context, *prefix)
        ]
        if not prefix:
            for entry in entries:
                entry.path = (entry.path or [])[1:]
        return cls(
            channel=rendered.channel,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            preheader=rendered.preheader,
            missing_placeholders=rendered.missing_placeholders,
            unused_personalisation=rendered.unused_personalisation,
            sms=SmsCount.of(rendered.sms) if rendered.sms else None,
            errors=entries,
        )


def parse_personalisation(value: JSON | None) -> dict[str, Any]:
    """Values for placeholders as an argument gives them; `BadRequest` for what could be no personalisation."""
    for problem in check(value):
        raise BadRequest(" ".join([problem.message, *problem.path[:1]]))
    return cast(dict[str, Any], value or {})

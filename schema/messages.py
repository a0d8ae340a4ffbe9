"""Rendered messages, with their length and problems."""

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
    """Character of the text."""
    replacement: str
    """Character that is sent instead: a plain equivalent or a question mark."""


@value_object
class SmsCount:
    """Length of a text message."""

    character_count: int
    """Characters counted against the limit, without the service name prefix."""
    character_limit: int
    """Longest text allowed: 918 characters."""
    encoding: SmsEncoding
    """Alphabet in which it is sent."""
    fragment_count: int
    """Fragments that are billed, prefix included."""
    replaced_characters: list[ReplacedCharacter]
    """Characters outside the alphabet, and their replacements."""

    @classmethod
    def of(cls, count: sms.SmsCount) -> Self:
        """The count as `content.sms` makes it."""
        return cls(
            character_count=count.character_count,
            character_limit=count.character_limit,
            encoding=count.encoding,
            fragment_count=count.fragment_count,
            replaced_characters=[
                ReplacedCharacter(original=character.original, replacement=character.replacement)
                for character in count.replaced_characters
            ],
        )


@value_object
class RenderedMessage:
    """A message with its placeholders filled in, its length and its problems."""

    channel: Channel
    """Channel of the message."""
    subject: str | None
    """Subject of an email, heading of a letter; null for a text message."""
    text: str
    """Plain text, as phones and plain-text mail clients show it."""
    html: str | None
    """HTML, as other mail clients show it; emails only."""
    preheader: str | None
    """First 256 characters of the body, which mail clients show beside the subject; emails only."""
    missing_placeholders: list[str]
    """Placeholders without a value."""
    unused_personalisation: list[str]
    """Names of values that the template does not use."""
    sms: SmsCount | None
    """Length in characters and fragments; text messages only."""
    errors: list[UserError]
    """Problems for which a send would be refused."""

    @classmethod
    def of(cls, rendered: messages.RenderedContent, context: Context, *prefix: str) -> Self:
        """The message with its problems; their paths begin with `prefix`, the name of an argument, if given."""
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
    """Values of placeholders from an argument; `BadRequest` for JSON that cannot be personalisation."""
    for problem in check(value):
        raise BadRequest(" ".join([problem.message, *problem.path[:1]]))
    return cast(dict[str, Any], value or {})

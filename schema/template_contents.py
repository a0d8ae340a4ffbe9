"""The content of templates: of current and past versions, and as input."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, TypeAlias

import strawberry

from graphql_api import models
from graphql_api.content import messages, placeholders, sms
from graphql_api.enums import Channel, LetterLanguages, Postage, SmsEncoding
from loaders import templates as loaders
from schema import refs
from schema.core import JSON, Info, Input, computed, input_type, interface, one_of_input, to_one, value_object
from schema.messages import RenderedMessage, parse_personalisation


@value_object
class Placeholder:
    """A placeholder of a template, filled in for each message."""

    name: str
    """Name as first spelled in the template."""
    conditional: bool
    """True for ((name??text)), whose text appears when the value is yes or true."""
    conditional_text: str | None
    """Text after the first ??; null for an unconditional one."""
    in_subject: bool
    """True when the subject contains it."""


@value_object
class EmailTemplateDetails:
    """Fields of email templates."""

    has_unsubscribe_link: bool
    """Whether emails contain an unsubscribe link."""


@value_object
class SmsTemplateDetails:
    """Fields of text message templates."""

    character_count: int
    """Characters, with placeholders as written and without the service name prefix."""
    fragment_count: int
    """Fragments of that text, with the prefix."""
    uses_unicode: bool
    """True when the text needs UCS-2 instead of GSM 7-bit."""


@value_object
class LetterTemplateDetails:
    """Fields of letter templates."""

    postage: Postage
    """Class of post where a send names none."""
    languages: LetterLanguages
    """Languages of the letter."""
    welsh_subject: str | None
    """Subject in Welsh; null for English only."""
    welsh_body: str | None
    """Body in Welsh; null for English only."""


def _placeholders(subject: str | None, body: str, welsh_subject: str | None, welsh_body: str | None) -> Any:
    """In order of first appearance; those of a letter's Welsh pages alone come last."""
    by_key: dict[str, placeholders.Placeholder] = {}
    for placeholder in _find_placeholders((subject, body), (welsh_subject, welsh_body)):
        by_key.setdefault(placeholders.normalise(placeholder.name), placeholder)
    return [Placeholder(**placeholder._asdict()) for placeholder in by_key.values()]


def _find_placeholders(*texts: tuple[str | None, str | None]) -> Iterable[placeholders.Placeholder]:
    for subject, body in texts:
        yield from placeholders.find(body or "", subject)


def _email_details(channel: str, has_unsubscribe_link: bool) -> EmailTemplateDetails | None:
    return EmailTemplateDetails(has_unsubscribe_link=has_unsubscribe_link) if channel == Channel.EMAIL else None


def _sms_details(channel: str, body: str, service: Any) -> SmsTemplateDetails | None:
    if channel != Channel.SMS:
        return None
    count = sms.count(body, sms_prefix(service))
    return SmsTemplateDetails(
        character_count=count.character_count,
        fragment_count=count.fragment_count,
        uses_unicode=count.encoding is SmsEncoding.UCS2,
    )


def _letter_details(channel: str, postage: Any, languages: Any, *welsh: str | None) -> LetterTemplateDetails | None:
    if channel != Channel.LETTER:
        return None
    subject, body = welsh
    return LetterTemplateDetails(
        postage=postage or Postage.SECOND,
        languages=languages or LetterLanguages.ENGLISH,
        welsh_subject=subject,
        welsh_body=body,
    )


def sms_prefix(service: Any) -> str | None:
    """The prefix of a service's text messages, its name; None where it has none."""
    return service.name if service is not None and service.prefix_sms else None


# Templates and their versions have the same columns, so that fields computed from them are declared once for both.
PLACEHOLDERS_FIELD = computed(
    models.Template.subject,
    models.Template.content,
    models.Template.letter_welsh_subject,
    models.Template.letter_welsh_content,
    via=_placeholders,
)
EMAIL_FIELD = computed(models.Template.template_type, models.Template.has_unsubscribe_link, via=_email_details)
SMS_FIELD = computed(
    models.Template.template_type, models.Template.content, via=_sms_details, related=(loaders.service,)
)
LETTER_FIELD = computed(
    models.Template.template_type,
    models.Template.postage,
    models.Template.letter_languages,
    models.Template.letter_welsh_subject,
    models.Template.letter_welsh_content,
    via=_letter_details,
)
SAVED_BY_FIELD = to_one(loaders.saved_by)
SAVED_AT_FIELD = computed(
    models.Template.updated_at, models.Template.created_at, via=lambda changed_at, made_at: changed_at or made_at
)


Personalisation: TypeAlias = Annotated[
    JSON | None, strawberry.argument(description="Object of placeholder name to value, as for `sendNotification`.")
]


@interface
class TemplateContent:
    """The content of a template at one version, current (Template) or past (TemplateVersion)."""

    id: strawberry.ID
    """UUID of the template; for a past version followed by a colon and the version."""
    version: int
    """Version number."""
    name: str
    """Name, up to 255 characters."""
    channel: Channel
    """Channel of the template, which never changes."""
    subject: str | None
    """Subject of an email, heading of a letter; null for a text message."""
    body: str
    """Body with ((placeholders))."""
    placeholders: list[Placeholder]
    """In order of first appearance, subject before body."""
    email: EmailTemplateDetails | None
    """Fields of email templates."""
    sms: SmsTemplateDetails | None
    """Fields of text message templates."""
    letter: LetterTemplateDetails | None
    """Fields of letter templates."""
    saved_by: refs.User | None
    """Who saved this version; null where the caller may not see them."""
    saved_at: datetime
    """When this version was saved."""

    @strawberry.field(description="This version with values filled in; the result lists missing ones.")
    async def preview(self, info: Info, personalisation: Personalisation = None) -> RenderedMessage:
        """The message with these values."""
        row: Any = getattr(self, "row")  # noqa: B009 - the entities that implement this have a row
        template = messages.CompiledTemplate(
            Channel(row.template_type),
            subject=row.subject,
            body=row.content,
            prefix=sms_prefix(await info.context.loaders.one(loaders.service, row)),
            welsh_subject=row.letter_welsh_subject,
            welsh_body=row.letter_welsh_content,
        )
        return RenderedMessage.of(template.render(parse_personalisation(personalisation)), info.context)


@input_type
class EmailTemplateInput(Input):
    """Content of an email template."""

    subject: str
    """Subject of the emails."""
    body: str
    """Body, with the markup of emails."""
    has_unsubscribe_link: bool | None = False
    """Whether emails contain an unsubscribe link."""


@input_type
class SmsTemplateInput(Input):
    """Content of a text message template."""

    body: str
    """Text, up to 918 characters."""


@input_type
class LetterTemplateInput(Input):
    """Content of a letter template."""

    subject: str
    """Heading of the letter."""
    body: str
    """Body of the message."""
    postage: Postage | None = Postage.SECOND
    """Class of post within the UK."""
    languages: LetterLanguages | None = LetterLanguages.ENGLISH
    """Languages of the letter."""
    welsh_subject: str | None = None
    """Heading in Welsh; needed for WELSH_THEN_ENGLISH."""
    welsh_body: str | None = None
    """Body in Welsh; needed for WELSH_THEN_ENGLISH."""


@one_of_input
class TemplateContentInput(Input):
    """Content of a template of one channel."""

    email: strawberry.Maybe[EmailTemplateInput]
    """Content of an email."""
    sms: strawberry.Maybe[SmsTemplateInput]
    """Content of a text message."""
    letter: strawberry.Maybe[LetterTemplateInput]
    """Content of a letter."""


@input_type
class EmailTemplatePatchInput(Input):
    """What to change in an email template."""

    subject: str | None = None
    """Subject of the emails."""
    body: str | None = None
    """Body of the message."""
    has_unsubscribe_link: bool | None = None
    """Whether emails contain an unsubscribe link."""


@input_type
class SmsTemplatePatchInput(Input):
    """What to change in a text message template."""

    body: str | None = None
    """Text, up to 918 characters."""


@input_type
class LetterTemplatePatchInput(Input):
    """What to change in a letter template."""

    subject: str | None = None
    """Heading of the letter."""
    body: str | None = None
    """Body of the message."""
    postage: Postage | None = None
    """Class of post within the UK."""
    languages: LetterLanguages | None = None
    """Languages of the letter."""
    welsh_subject: str | None = None
    """Heading in Welsh."""
    welsh_body: str | None = None
    """Body in Welsh."""


@one_of_input
class TemplateContentPatchInput(Input):
    """What to change in a template of one channel."""

    email: strawberry.Maybe[EmailTemplatePatchInput]
    """Content of an email."""
    sms: strawberry.Maybe[SmsTemplatePatchInput]
    """Content of a text message."""
    letter: strawberry.Maybe[LetterTemplatePatchInput]
    """Content of a letter."""

"""What a template says, whether it is current or past, saved or not."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

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
    """A gap in a template that each message fills."""

    name: str
    """As first spelled in the template."""
    conditional: bool
    """True for ((name??text)), whose text appears when the value means yes."""
    conditional_text: str | None
    """The text after the first ??; null for a plain one."""
    in_subject: bool
    """True when the subject uses it."""


@value_object
class EmailTemplateDetails:
    """What only email templates have."""

    has_unsubscribe_link: bool
    """Whether emails get a link to unsubscribe."""


@value_object
class SmsTemplateDetails:
    """What only text message templates have."""

    character_count: int
    """Characters with placeholders left as they are and without the service name prefix."""
    fragment_count: int
    """Fragments of that text, with the prefix."""
    uses_unicode: bool
    """True when the text needs the 16-bit alphabet."""


@value_object
class LetterTemplateDetails:
    """What only letter templates have."""

    postage: Postage
    """Class of post unless a send says otherwise."""
    languages: LetterLanguages
    """Languages it is written in."""
    welsh_subject: str | None
    """Subject in Welsh; null for English only."""
    welsh_body: str | None
    """Body in Welsh; null for English only."""


def _placeholders(subject: str | None, body: str, welsh_subject: str | None, welsh_body: str | None) -> Any:
    """By first appearance; those that only the Welsh pages of a letter have come last."""
    by_key: dict[str, placeholders.Placeholder] = {}
    for one_ in _find_placeholders((subject, body), (welsh_subject, welsh_body)):
        by_key.setdefault(placeholders.normalise(one_.name), one_)
    return [Placeholder(**one_._asdict()) for one_ in by_key.values()]


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
    """What a service's text messages begin with."""
    return service.name if service is not None and service.prefix_sms else None


# Current and past templates have the same columns, so that what is computed from them is declared once for both.
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


@interface
class TemplateContent:
    """What a template says at one version, whether current (Template) or past (TemplateVersion)."""

    id: strawberry.ID
    """Template's UUID, or for a past version that, a colon and the version."""
    version: int
    """Version number."""
    name: str
    """Name, up to 255 characters."""
    channel: Channel
    """Channel; a template never changes it."""
    subject: str | None
    """Subject of an email, heading of a letter; null for a text message."""
    body: str
    """Body."""
    placeholders: list[Placeholder]
    """In order of first appearance, subject before body."""
    email: EmailTemplateDetails | None
    """What only email templates have."""
    sms: SmsTemplateDetails | None
    """What only text message templates have."""
    letter: LetterTemplateDetails | None
    """What only letter templates have."""
    saved_by: refs.User | None
    """Who saved this version; null where the caller may not see them."""
    saved_at: datetime
    """When this version was saved."""

    @strawberry.field(description="This version with values filled in; missing ones are listed in it.")
    async def preview(self, info: Info, personalisation: JSON | None = None) -> RenderedMessage:
        """The message that these values make."""
        row: Any = getattr(self, "row")  # noqa: B009 - whoever implements this is made of a row
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
    """What an email template says."""

    subject: str
    """Subject."""
    body: str
    """Body, with the markup of emails."""
    has_unsubscribe_link: bool | None = False
    """Whether emails get a link to unsubscribe."""


@input_type
class SmsTemplateInput(Input):
    """What a text message template says."""

    body: str
    """Text, up to 918 characters."""


@input_type
class LetterTemplateInput(Input):
    """What a letter template says."""

    subject: str
    """Heading."""
    body: str
    """Body."""
    postage: Postage | None = Postage.SECOND
    """Class of post; a UK one."""
    languages: LetterLanguages | None = LetterLanguages.ENGLISH
    """Languages it is written in."""
    welsh_subject: str | None = None
    """Heading in Welsh; needed for WELSH_THEN_ENGLISH."""
    welsh_body: str | None = None
    """Body in Welsh; needed for WELSH_THEN_ENGLISH."""


@one_of_input
class TemplateContentInput(Input):
    """What a template of one channel says."""

    email: strawberry.Maybe[EmailTemplateInput]
    """An email."""
    sms: strawberry.Maybe[SmsTemplateInput]
    """A text message."""
    letter: strawberry.Maybe[LetterTemplateInput]
    """A letter."""


@input_type
class EmailTemplatePatchInput(Input):
    """What to change in an email template."""

    subject: str | None = None
    """Subject."""
    body: str | None = None
    """Body."""
    has_unsubscribe_link: bool | None = None
    """Whether emails get a link to unsubscribe."""


@input_type
class SmsTemplatePatchInput(Input):
    """What to change in a text message template."""

    body: str | None = None
    """Text."""


@input_type
class LetterTemplatePatchInput(Input):
    """What to change in a letter template."""

    subject: str | None = None
    """Heading."""
    body: str | None = None
    """Body."""
    postage: Postage | None = None
    """Class of post."""
    languages: LetterLanguages | None = None
    """Languages it is written in."""
    welsh_subject: str | None = None
    """Heading in Welsh."""
    welsh_body: str | None = None
    """Body in Welsh."""


@one_of_input
class TemplateContentPatchInput(Input):
    """What to change in a template of one channel."""

    email: strawberry.Maybe[EmailTemplatePatchInput]
    """An email."""
    sms: strawberry.Maybe[SmsTemplatePatchInput]
    """A text message."""
    letter: strawberry.Maybe[LetterTemplatePatchInput]
    """A letter."""

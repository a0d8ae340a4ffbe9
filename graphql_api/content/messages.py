"""Messages: a template rendered with values, and the problems for which it cannot be sent or saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql_api.content import emails, letters, markup, sms, typography
from graphql_api.content.characters import REMOVE_ZERO_WIDTH, ZERO_WIDTH_CHARACTERS
from graphql_api.content.placeholders import (
    RECIPIENT_COLUMNS,
    Personalisation,
    TemplateText,
    format_bullet_list,
)
from graphql_api.content.problems import Problem
from graphql_api.content.values import is_storable
from graphql_api.enums import Channel, LengthUnit, LetterLanguages, UserErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_BLANK_CHARACTERS = " \t\r\n\u00a0" + ZERO_WIDTH_CHARACTERS
MAX_TEMPLATE_NAME_CHARACTERS = 255

_NO_VALUES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class RenderedContent:
    """A message with its values; placeholders without a value stay as written."""

    channel: Channel
    subject: str | None
    text: str
    "The text message with its prefix, or the plain text of an email or a letter."
    html: str | None
    preheader: str | None
    missing_placeholders: list[str]
    unused_personalisation: list[str]
    "Names of values without a placeholder, except those of the recipient in the rows of a list."
    sms: sms.SmsCount | None
    problems: list[Problem]
    "Problems for which it cannot be sent."


class Inspection(NamedTuple):
    """The problems of a message, without the message itself."""

    problems: list[Problem]
    sms: sms.SmsCount | None


class CompiledTemplate:
    """A template split once at its placeholders, for any number of messages.

    `prefix` is the name of the service, if text messages begin with it.
    """

    __slots__ = ("body", "channel", "names_by_key", "prefix", "subject", "welsh_body", "welsh_subject")

    def __init__(
        self,
        channel: Channel,
        *,
        subject: str | None,
        body: str,
        prefix: str | None = None,
        welsh_subject: str | None = None,
        welsh_body: str | None = None,
    ) -> None:
        self.channel = channel
        self.prefix = prefix
        self.subject = TemplateText("" if channel is Channel.SMS else subject or "")
        self.body = TemplateText(body)
        self.welsh_subject = TemplateText(welsh_subject or "")
        self.welsh_body = TemplateText(welsh_body or "")
        self.names_by_key: dict[str, str] = {}
        for text in (self.subject, self.body, self.welsh_subject, self.welsh_body):
            for key, name in text.names_by_key.items():
                self.names_by_key.setdefault(key, name)

    @property
    def placeholders(self) -> list[str]:
        """Names by first appearance, subject before body."""
        return list(self.names_by_key.values())

    def missing_placeholders(self, by_key: Mapping[str, Any]) -> list[str]:
        """Names of the placeholders without a value; values are by normalised name."""
        return [name for key, name in self.names_by_key.items() if by_key.get(key) is None]

    def inspect(self, by_key: Mapping[str, Any]) -> Inspection:
        """Check a message without rendering it; values are by normalised name."""
        return self._inspect(self.missing_placeholders(by_key), self._fill(self.body, by_key))

    def render_sms(self, by_key: Mapping[str, Any]) -> tuple[str, sms.SmsCount]:
        """A text message as it is sent, with its prefix, and its count; values are by normalised name."""
        return sms.measure(self.body.fill(by_key), self.prefix)

    def render(
        self,
        personalisation: Mapping[str, Any] | None = None,
        *,
        redact: bool = False,
        unsubscribe_url: str | None = None,
    ) -> RenderedContent:
        """Render a message; with `redact` placeholders are shown in place of the values."""
        values = Personalisation(personalisation)
        by_key = _NO_VALUES if redact else values.by_key
        missing = self.missing_placeholders(values.by_key)
        body = self._fill(self.body, by_key)
        html = preheader = None
        subject = self._fill_subject(self.subject, by_key)
        if self.channel is Channel.SMS:
            text, count = sms.measure(body, self.prefix)
            inspection = Inspection(self._problems(missing, length=count.character_count), count)
        elif self.channel is Channel.EMAIL:
            blocks = markup.parse(body)
            text = emails.plain_text(blocks, unsubscribe_url)
            html = emails.html_page(subject or "", blocks, unsubscribe_url)
            preheader = emails.preheader(blocks)
            inspection = self._inspect(missing, body)
        else:
            welsh = self._fill(self.welsh_body, by_key)
            pages = [(self._fill_subject(self.welsh_subject, by_key), welsh)] if welsh else []
            text = "\n\n".join(letters.plain_text(heading or "", page) for heading, page in [*pages, (subject, body)])
            inspection = self._inspect(missing, body)
        return RenderedContent(
            channel=self.channel,
            subject=subject,
            text=text,
            html=html,
            preheader=preheader,
            missing_placeholders=[] if redact else missing,
            unused_personalisation=[]
            if redact
            else values.unused({*self.names_by_key, *RECIPIENT_COLUMNS[self.channel]}),
            sms=inspection.sms,
            problems=[] if redact else inspection.problems,
        )

    def _fill(self, text: TemplateText, by_key: Mapping[str, Any]) -> str:
        return text.fill(by_key) if self.channel is Channel.SMS else text.fill(by_key, format_bullet_list)

    def _fill_subject(self, text: TemplateText, by_key: Mapping[str, Any]) -> str | None:
        if self.channel is Channel.SMS:
            return None
        return typography.tidy(" ".join(text.fill(by_key).translate(REMOVE_ZERO_WIDTH).split()))

    def _inspect(self, missing: list[str], body: str) -> Inspection:
        if self.channel is Channel.SMS:
            count = sms.measure(body, self.prefix)[1]
            return Inspection(self._problems(missing, length=count.character_count), count)
        is_empty = not body.translate(REMOVE_ZERO_WIDTH).strip()
        return Inspection(self._problems(missing, length=0 if is_empty else len(body.encode(errors="replace"))), None)

    def _problems(self, missing: list[str], *, length: int) -> list[Problem]:
        problems = []
        if missing:
            problems.append(missing_values_problem(missing))
        limit, unit = LENGTH_LIMITS.get(self.channel, (None, None))
        if limit is not None and length > limit:
            problems.append(too_long_problem(length, limit, unit))
        if not length:
            problems.append(Problem(UserErrorCode.MESSAGE_EMPTY, "Nothing is left of the message with its values in."))
        return problems


LENGTH_LIMITS = {
    Channel.SMS: (sms.MAX_CHARACTERS, LengthUnit.CHARACTERS),
    Channel.EMAIL: (emails.MAX_BODY_BYTES, LengthUnit.BYTES),
}
"Maximum length of a message with its values, and its unit; letters are limited in pages, elsewhere."


def missing_values_problem(names: Iterable[str]) -> Problem:
    """The problem of placeholders without a value."""
    names = tuple(names)
    listed = ", ".join(f"(({name}))" for name in names)
    message = f"There is no value for {listed}."
    return Problem(UserErrorCode.MISSING_PERSONALISATION, message, ("personalisation",), placeholders=names)


def too_long_problem(length: int, limit: int, unit: LengthUnit | None, path: tuple[str, ...] = ()) -> Problem:
    """The problem of a message that exceeds its limit."""
    message = f"The message has {length:,} {unit}, {length - limit:,} more than the {limit:,} it may have."
    return Problem(UserErrorCode.MESSAGE_TOO_LONG, message, path, length=length, limit=limit, unit=unit)


def render(  # noqa: PLR0913 - the columns of a template
    channel: Channel,
    *,
    subject: str | None,
    body: str,
    personalisation: Mapping[str, Any] | None = None,
    redact: bool = False,
    prefix: str | None = None,
    welsh_subject: str | None = None,
    welsh_body: str | None = None,
    unsubscribe_url: str | None = None,
) -> RenderedContent:
    """Render one message; for many from one template use `CompiledTemplate`."""
    template = CompiledTemplate(
        channel, subject=subject, body=body, prefix=prefix, welsh_subject=welsh_subject, welsh_body=welsh_body
    )
    return template.render(personalisation, redact=redact, unsubscribe_url=unsubscribe_url)


def check_template(
    channel: Channel,
    name: str,
    subject: str | None,
    body: str,
    *,
    languages: LetterLanguages = LetterLanguages.ENGLISH,
    welsh_subject: str | None = None,
    welsh_body: str | None = None,
) -> list[Problem]:
    """Problems for which a template cannot be saved.

    Paths are `name`, `subject`, `body`, `welshSubject` and `welshBody`.
    """
    problems = [*_required_problems(name, "name", "A template needs a name.")]
    if len(name) > MAX_TEMPLATE_NAME_CHARACTERS:
        message = f"A template's name can have at most {MAX_TEMPLATE_NAME_CHARACTERS} characters."
        problems.append(
            Problem(UserErrorCode.TOO_LONG, message, ("name",), length=len(name), limit=MAX_TEMPLATE_NAME_CHARACTERS)
        )
    if channel is not Channel.SMS:
        problems += _required_problems(subject, "subject", "A template for an email or a letter needs a subject.")
    problems += _required_problems(body, "body", "A template needs a body.")
    if channel is Channel.LETTER and languages is LetterLanguages.WELSH_THEN_ENGLISH:
        problems += _required_problems(
            welsh_subject, "welshSubject", "A letter in two languages needs a subject in Welsh."
        )
        problems += _required_problems(welsh_body, "welshBody", "A letter in two languages needs a body in Welsh.")
    elif welsh_subject or welsh_body:
        field = "welshSubject" if welsh_subject else "welshBody"
        problems.append(Problem(UserErrorCode.INVALID, "Only letters in two languages have Welsh text.", (field,)))
    if not any(problem.path == ("body",) for problem in problems):
        problems += _length_problems(channel, body)
    return problems


def _required_problems(value: str | None, field: str, message: str) -> Iterator[Problem]:
    if not (value or "").strip(_BLANK_CHARACTERS):
        yield Problem(UserErrorCode.REQUIRED, message, (field,))
    elif not is_storable(value or ""):
        yield Problem(UserErrorCode.INVALID, "The text has characters that cannot be stored.", (field,))


def _length_problems(channel: Channel, body: str) -> Iterator[Problem]:
    if channel is Channel.SMS:
        length = sms.count(body).character_count
        if length > sms.MAX_CHARACTERS:
            yield too_long_problem(length, sms.MAX_CHARACTERS, LengthUnit.CHARACTERS, ("body",))
    elif channel is Channel.EMAIL:
        length = len(body.encode())
        if length > emails.MAX_BODY_BYTES:
            yield too_long_problem(length, emails.MAX_BODY_BYTES, LengthUnit.BYTES, ("body",))

"""Messages: a template and values become what a person reads, or the reasons why it cannot be sent or saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql_api.content import emails, letters, markup, sms, typography
from graphql_api.content.placeholders import RECIPIENT_COLUMNS, ZERO_WIDTH, Text, Values, as_bullets
from graphql_api.content.problems import Problem
from graphql_api.content.values import is_storable
from graphql_api.enums import Channel, LengthUnit, LetterLanguages, UserErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_OBSCURE = dict.fromkeys(map(ord, ZERO_WIDTH))
LONGEST_NAME = 255
"Characters of a template's name."

_NO_VALUES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message with its values in; placeholders without one stay as they are written."""

    channel: Channel
    subject: str | None
    text: str
    "What a handset (prefix included) or a plain-text mail reader shows."
    html: str | None
    preheader: str | None
    missing_placeholders: list[str]
    unused_personalisation: list[str]
    "Names that no placeholder asks for; those that say whom it is for, as the rows of a list have, are not among them."
    sms: sms.SmsCount | None
    problems: list[Problem]
    "Why a send would refuse it."


class Inspection(NamedTuple):
    """What a send of one message would meet, without the message itself."""

    problems: list[Problem]
    sms: sms.SmsCount | None


class Template:
    """A template cut once at its placeholders, for any number of messages."""

    __slots__ = ("body", "channel", "keys", "prefix", "subject", "welsh_body", "welsh_subject")

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
        """Cut a template; `prefix` is the service's name where text messages begin with it."""
        self.channel = channel
        self.prefix = prefix
        self.subject = Text("" if channel is Channel.SMS else subject or "")
        self.body = Text(body)
        self.welsh_subject = Text(welsh_subject or "")
        self.welsh_body = Text(welsh_body or "")
        self.keys: dict[str, str] = {}
        for text in (self.subject, self.body, self.welsh_subject, self.welsh_body):
            for key, name in text.keys.items():
                self.keys.setdefault(key, name)

    @property
    def placeholders(self) -> list[str]:
        """Names, by first appearance, subject before body."""
        return list(self.keys.values())

    def missing(self, by_key: Mapping[str, Any]) -> list[str]:
        """Name the placeholders without a value, from values by normalised name."""
        return [name for key, name in self.keys.items() if by_key.get(key) is None]

    def inspect(self, by_key: Mapping[str, Any]) -> Inspection:
        """Find why a send would refuse a message, from values by normalised name; fast, for long lists."""
        return self._inspect(self.missing(by_key), self._fill(self.body, by_key))

    def text_message(self, by_key: Mapping[str, Any]) -> tuple[str, sms.SmsCount]:
        """Give a text message as it is sent, prefix included, and its count, from values by normalised name."""
        return sms.measure(self.body.fill(by_key), self.prefix)

    def render(
        self,
        personalisation: Mapping[str, Any] | None = None,
        *,
        hidden: bool = False,
        unsubscribe_url: str | None = None,
    ) -> Rendered:
        """Make a message; `hidden` shows the placeholders in place of the values, for templates that redact them."""
        values = Values(personalisation)
        by_key = _NO_VALUES if hidden else values.by_key
        missing = self.missing(values.by_key)
        body = self._fill(self.body, by_key)
        html = preheader = None
        subject = self._subject(self.subject, by_key)
        if self.channel is Channel.SMS:
            text, count = sms.measure(body, self.prefix)
            inspection = Inspection(self._problems(missing, length=count.character_count), count)
        elif self.channel is Channel.EMAIL:
            blocks = markup.parse(body)
            text = emails.text(blocks, unsubscribe_url)
            html = emails.page(subject or "", blocks, unsubscribe_url)
            preheader = emails.preheader(blocks)
            inspection = self._inspect(missing, body)
        else:
            welsh = self._fill(self.welsh_body, by_key)
            pages = [(self._subject(self.welsh_subject, by_key), welsh)] if welsh else []
            text = "\n\n".join(letters.text(heading or "", page) for heading, page in [*pages, (subject, body)])
            inspection = self._inspect(missing, body)
        return Rendered(
            channel=self.channel,
            subject=subject,
            text=text,
            html=html,
            preheader=preheader,
            missing_placeholders=[] if hidden else missing,
            unused_personalisation=[] if hidden else values.unused({*self.keys, *RECIPIENT_COLUMNS[self.channel]}),
            sms=inspection.sms,
            problems=[] if hidden else inspection.problems,
        )

    def _fill(self, text: Text, by_key: Mapping[str, Any]) -> str:
        return text.fill(by_key) if self.channel is Channel.SMS else text.fill(by_key, as_bullets)

    def _subject(self, text: Text, by_key: Mapping[str, Any]) -> str | None:
        if self.channel is Channel.SMS:
            return None
        return typography.tidy(" ".join(text.fill(by_key).translate(_OBSCURE).split()))

    def _inspect(self, missing: list[str], body: str) -> Inspection:
        if self.channel is Channel.SMS:
            count = sms.measure(body, self.prefix)[1]
            return Inspection(self._problems(missing, length=count.character_count), count)
        bare = not body.translate(_OBSCURE).strip()
        return Inspection(self._problems(missing, length=0 if bare else len(body.encode(errors="replace"))), None)

    def _problems(self, missing: list[str], *, length: int) -> list[Problem]:
        problems = []
        if missing:
            problems.append(missing_values(missing))
        limit, unit = LIMITS.get(self.channel, (None, None))
        if limit is not None and length > limit:
            problems.append(too_long(length, limit, unit))
        if not length:
            problems.append(Problem(UserErrorCode.MESSAGE_EMPTY, "Nothing is left of the message with its values in."))
        return problems


LIMITS = {
    Channel.SMS: (sms.CHARACTER_LIMIT, LengthUnit.CHARACTERS),
    Channel.EMAIL: (emails.BYTE_LIMIT, LengthUnit.BYTES),
}
"How long a message may be with its values in, and in what; the pages of letters are counted elsewhere."


def missing_values(names: Iterable[str]) -> Problem:
    """Tell which placeholders lack a value."""
    names = tuple(names)
    listed = ", ".join(f"(({name}))" for name in names)
    message = f"There is no value for {listed}."
    return Problem(UserErrorCode.MISSING_PERSONALISATION, message, ("personalisation",), placeholders=names)


def too_long(length: int, limit: int, unit: LengthUnit | None, path: tuple[str, ...] = ()) -> Problem:
    """Tell that a message is over its limit."""
    message = f"The message has {length:,} {unit}, {length - limit:,} more than the {limit:,} it may have."
    return Problem(UserErrorCode.MESSAGE_TOO_LONG, message, path, length=length, limit=limit, unit=unit)


def render(  # noqa: PLR0913 - the columns of a template
    channel: Channel,
    *,
    subject: str | None,
    body: str,
    personalisation: Mapping[str, Any] | None = None,
    hidden: bool = False,
    prefix: str | None = None,
    welsh_subject: str | None = None,
    welsh_body: str | None = None,
    unsubscribe_url: str | None = None,
) -> Rendered:
    """Make one message; for many from one template, keep a `Template`."""
    template = Template(
        channel, subject=subject, body=body, prefix=prefix, welsh_subject=welsh_subject, welsh_body=welsh_body
    )
    return template.render(personalisation, hidden=hidden, unsubscribe_url=unsubscribe_url)


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
    """Find why a template cannot be saved; paths are `name`, `subject`, `body`, `welshSubject` and `welshBody`."""
    problems = [*_required(name, "name", "A template needs a name.")]
    if len(name) > LONGEST_NAME:
        message = f"A template's name can have at most {LONGEST_NAME} characters."
        problems.append(Problem(UserErrorCode.TOO_LONG, message, ("name",), length=len(name), limit=LONGEST_NAME))
    if channel is not Channel.SMS:
        problems += _required(subject, "subject", "A template for an email or a letter needs a subject.")
    problems += _required(body, "body", "A template needs a body.")
    if channel is Channel.LETTER and languages is LetterLanguages.WELSH_THEN_ENGLISH:
        problems += _required(welsh_subject, "welshSubject", "A letter in two languages needs a subject in Welsh.")
        problems += _required(welsh_body, "welshBody", "A letter in two languages needs a body in Welsh.")
    elif welsh_subject or welsh_body:
        field = "welshSubject" if welsh_subject else "welshBody"
        problems.append(Problem(UserErrorCode.INVALID, "Only letters in two languages have Welsh text.", (field,)))
    if not any(problem.path == ("body",) for problem in problems):
        problems += _length(channel, body)
    return problems


def _required(value: str | None, field: str, message: str) -> Iterator[Problem]:
    if not (value or "").strip(" \t\r\n\u00a0" + ZERO_WIDTH):
        yield Problem(UserErrorCode.REQUIRED, message, (field,))
    elif not is_storable(value or ""):
        yield Problem(UserErrorCode.INVALID, "The text has characters that cannot be stored.", (field,))


def _length(channel: Channel, body: str) -> Iterator[Problem]:
    if channel is Channel.SMS:
        length = sms.count(body).character_count
        if length > sms.CHARACTER_LIMIT:
            yield too_long(length, sms.CHARACTER_LIMIT, LengthUnit.CHARACTERS, ("body",))
    elif channel is Channel.EMAIL:
        length = len(body.encode())
        if length > emails.BYTE_LIMIT:
            yield too_long(length, emails.BYTE_LIMIT, LengthUnit.BYTES, ("body",))

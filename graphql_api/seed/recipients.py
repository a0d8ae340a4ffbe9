"""Recipients of messages. Personalisation is signed once for each recipient, and recipients are reused."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graphql_api.content import messages, names, placeholders
from graphql_api.enums import Channel
from graphql_api.seed import phone_numbers, sample_texts
from graphql_api.seed.services import FRIEND_EMAIL_ADDRESS, FRIEND_NUMBER

if TYPE_CHECKING:
    from graphql_api.seed.datasets import Dataset
    from graphql_api.seed.services import SeededService
    from graphql_api.seed.templates import SeededTemplate

EMAIL_DOMAINS = ("example.com", "example.org", "example.net")
FROM_REQUEST, FROM_JOB_ROW, TO_TEAM_MEMBER = "key", "list", "team"
"""Kinds of recipient: of an API request, of a row of a job's list, or a member of the service."""


class Person(NamedTuple):
    """A person, with a phone number by its last digits, an email and a postal address."""

    name: str
    number: int
    email_address: str
    address: tuple[str, ...]

    def typed_recipient(self, channel: str) -> str:
        """The recipient as it might be typed."""
        if channel == "email":
            return self.email_address
        if channel == "letter":
            return "\n".join((self.name, *self.address))
        return phone_numbers.typed(self.number)

    def normalised_recipient(self, channel: str) -> str:
        """The recipient as messages store it for search."""
        if channel == "email":
            return self.email_address.lower()
        if channel == "letter":
            return "".join("".join((self.name, *self.address)).split()).lower()
        return phone_numbers.normalised(self.number)


class Recipient(NamedTuple):
    """Columns of a message that depend on its recipient."""

    to: str
    normalised: str
    personalisation: str
    "Signed."
    units: int
    "Fragments of a text message, sheets of a letter."


class RecipientPools:
    """Recipients by template, version and kind, created on first use."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        rng = dataset.rng
        self.people = [
            self._create_person(index) for index in range(max(200, min(20_000, dataset.sizes.notifications // 25)))
        ]
        self._pools: dict[tuple[SeededTemplate, int, str], list[Recipient]] = {}
        rng.random.shuffle(self.people)

    def pool(
        self, seeded_service: SeededService, seeded_template: SeededTemplate, version: int, kind: str
    ) -> list[Recipient]:
        """Recipients for a version of a template."""
        recipients = self._pools.get((seeded_template, version, kind))
        if recipients is None:
            recipients = self._pools[seeded_template, version, kind] = self._create_pool(
                seeded_service, seeded_template, version, kind
            )
        return recipients

    def create_recipient(
        self, seeded_service: SeededService, seeded_template: SeededTemplate, version: int, person: Person, kind: str
    ) -> tuple[Recipient, dict[str, str]]:
        """A recipient for a person, and its personalisation before signing."""
        channel = seeded_template.row.template_type
        template = messages.CompiledTemplate(
            Channel(channel),
            subject=seeded_template.row.subject,
            body=seeded_template.contents[version - 1],
            prefix=seeded_service.row.name if seeded_service.row.prefix_sms else None,
        )
        values: dict[str, str] = {}
        if kind == FROM_JOB_ROW and channel != "letter":
            values[placeholders.RECIPIENT_COLUMNS[Channel(channel)][0]] = person.typed_recipient(channel)
        if channel == "letter":
            values |= {f"address_line_{row}": line for row, line in enumerate((person.name, *person.address), 1)}
        for name in template.placeholders:
            key = placeholders.normalise(name) if kind == FROM_JOB_ROW else name
            values[key] = (
                person.name.split()[0]
                if name == "name"
                else self._dataset.rng.pick(sample_texts.PLACEHOLDER_VALUES[name])
            )
        units = 0
        if channel == "sms":
            by_key = {placeholders.normalise(key): value for key, value in values.items()}
            units = template.render_sms(by_key)[1].fragment_count
        elif channel == "letter":
            units = 1 + person.number % 8 // 7
        signed = self._dataset.signer.sign(values)
        return Recipient(person.typed_recipient(channel), person.normalised_recipient(channel), signed, units), values

    def _create_pool(
        self, seeded_service: SeededService, seeded_template: SeededTemplate, version: int, kind: str
    ) -> list[Recipient]:
        people = self.people
        if kind == TO_TEAM_MEMBER:
            people = [
                Person(member.name, int(member.mobile_number[-3:]), member.email_address, self.people[0].address)
                for member in seeded_service.members
                if member.mobile_number
            ] or [Person("Friend", FRIEND_NUMBER, FRIEND_EMAIL_ADDRESS, self.people[0].address)]
        people = self._dataset.rng.sample(people, 12 + int(300 * seeded_service.weight * seeded_template.weight))
        return [self.create_recipient(seeded_service, seeded_template, version, person, kind)[0] for person in people]

    def _create_person(self, index: int) -> Person:
        rng = self._dataset.rng
        first, last = rng.pick(sample_texts.FIRST_NAMES), rng.pick(sample_texts.LAST_NAMES)
        domain = EMAIL_DOMAINS[index % len(EMAIL_DOMAINS)]
        mailbox = f"{names.slug(first)}.{names.slug(last)}{index or ''}@{domain}"
        street = f"{1 + rng.random.randrange(120)} {rng.pick(sample_texts.STREETS)}"
        address = (street, rng.pick(sample_texts.PLACES), rng.pick(sample_texts.POSTCODES))
        return Person(f"{first} {last}", rng.random.randrange(1000), mailbox, address)

"""Whom invented messages go to, with their values signed ahead: few of them, told again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graphql_api.content import messages, placeholders
from graphql_api.enums import Channel
from graphql_api.seed import organisations, sample_texts

if TYPE_CHECKING:
    from graphql_api.seed.datasets import Dataset
    from graphql_api.seed.services import SeededService
    from graphql_api.seed.templates import SeededTemplate

CHANNELS = {channel.value: channel for channel in Channel}
EMAIL_DOMAINS = ("example.com", "example.org", "example.net")
FROM_REQUEST, FROM_JOB_ROW, TO_TEAM_MEMBER = "key", "list", "team"
"""How a message is addressed: by a caller's values, by a row of a list, or to a member of the team."""
RECIPIENT_COLUMNS = {"sms": "phonenumber", "email": "emailaddress"}


class Person(NamedTuple):
    """Somebody to write to."""

    name: str
    number: int
    email_address: str
    address: tuple[str, ...]

    def typed_recipient(self, channel: str) -> str:
        """The recipient as somebody might write it."""
        if channel == "email":
            return self.email_address
        if channel == "letter":
            return "\n".join((self.name, *self.address))
        form = ("07700900{:03}", "07700 900{:03}", "+447700900{:03}", "07700 900 {:03}")[self.number % 4]
        return form.format(self.number)

    def normalised_recipient(self, channel: str) -> str:
        """The recipient as it is searched."""
        if channel == "email":
            return self.email_address.lower()
        if channel == "letter":
            return "".join("".join((self.name, *self.address)).split()).lower()
        return f"447700900{self.number:03}"


class Recipient(NamedTuple):
    """A recipient with values, ready to be written."""

    to: str
    normalised: str
    personalisation: str
    "Signed."
    units: int
    "Fragments of a text, sheets of a letter."


class RecipientPools:
    """Recipients by template, version and kind, each made when first asked for."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        dice = dataset.rng
        self.people = [
            self._create_person(index) for index in range(max(200, min(20_000, dataset.sizes.notifications // 25)))
        ]
        self._pools: dict[tuple[SeededTemplate, int, str], list[Recipient]] = {}
        dice.random.shuffle(self.people)

    def pool(
        self, seeded_service: SeededService, seeded_template: SeededTemplate, version: int, kind: str
    ) -> list[Recipient]:
        """Some recipients of a template's version."""
        found = self._pools.get((seeded_template, version, kind))
        if found is None:
            found = self._pools[seeded_template, version, kind] = self._create_pool(
                seeded_service, seeded_template, version, kind
            )
        return found

    def create_recipient(
        self, seeded_service: SeededService, seeded_template: SeededTemplate, version: int, person: Person, kind: str
    ) -> tuple[Recipient, dict[str, str]]:
        """One message to a person, and its values."""
        channel = seeded_template.row.template_type
        template = messages.CompiledTemplate(
            CHANNELS[channel],
            subject=seeded_template.row.subject,
            body=seeded_template.contents[version - 1],
            prefix=seeded_service.row.name if seeded_service.row.prefix_sms else None,
        )
        values: dict[str, str] = {}
        if kind == FROM_JOB_ROW and channel in RECIPIENT_COLUMNS:
            values[RECIPIENT_COLUMNS[channel]] = person.typed_recipient(channel)
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
            ] or [Person("Friend", 321, "friend.of.the.team@example.org", self.people[0].address)]
        some = self._dataset.rng.sample(people, 12 + int(300 * seeded_service.weight * seeded_template.weight))
        return [self.create_recipient(seeded_service, seeded_template, version, person, kind)[0] for person in some]

    def _create_person(self, index: int) -> Person:
        dice = self._dataset.rng
        first, last = dice.pick(sample_texts.FIRST_NAMES), dice.pick(sample_texts.LAST_NAMES)
        domain = EMAIL_DOMAINS[index % len(EMAIL_DOMAINS)]
        mailbox = f"{organisations.slug(first)}.{organisations.slug(last)}{index or ''}@{domain}"
        street = f"{1 + dice.random.randrange(120)} {dice.pick(sample_texts.STREETS)}"
        address = (street, dice.pick(sample_texts.PLACES), dice.pick(sample_texts.POSTCODES))
        return Person(f"{first} {last}", dice.random.randrange(1000), mailbox, address)

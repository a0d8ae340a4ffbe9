"""Whom invented messages go to, with their values signed ahead: few of them, told again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graphql_api.content import messages, placeholders
from graphql_api.enums import Channel
from graphql_api.seed import organisations, sample_texts

if TYPE_CHECKING:
    from graphql_api.seed.datasets import World
    from graphql_api.seed.services import Team
    from graphql_api.seed.templates import Paper

CHANNELS = {channel.value: channel for channel in Channel}
MAILBOXES = ("example.com", "example.org", "example.net")
BY_KEY, BY_LIST, TO_TEAM = "key", "list", "team"
"""How a message is addressed: by a caller's values, by a row of a list, or to a member of the team."""
RECIPIENT_COLUMNS = {"sms": "phonenumber", "email": "emailaddress"}


class Person(NamedTuple):
    """Somebody to write to."""

    name: str
    number: int
    email_address: str
    address: tuple[str, ...]

    def typed(self, channel: str) -> str:
        """The recipient as somebody might write it."""
        if channel == "email":
            return self.email_address
        if channel == "letter":
            return "\n".join((self.name, *self.address))
        form = ("07700900{:03}", "07700 900{:03}", "+447700900{:03}", "07700 900 {:03}")[self.number % 4]
        return form.format(self.number)

    def normalised(self, channel: str) -> str:
        """The recipient as it is searched."""
        if channel == "email":
            return self.email_address.lower()
        if channel == "letter":
            return "".join("".join((self.name, *self.address)).split()).lower()
        return f"447700900{self.number:03}"


class Entry(NamedTuple):
    """A recipient with values, ready to be written."""

    to: str
    normalised: str
    personalisation: str
    "Signed."
    units: int
    "Fragments of a text, sheets of a letter."


class Audiences:
    """Recipients by template, version and kind, each made when first asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        dice = world.dice
        self.people = [self._person(index) for index in range(max(200, min(20_000, world.sizes.notifications // 25)))]
        self._made: dict[tuple[Paper, int, str], list[Entry]] = {}
        dice.random.shuffle(self.people)

    def of(self, team: Team, paper: Paper, version: int, kind: str) -> list[Entry]:
        """Some recipients of a template's version."""
        found = self._made.get((paper, version, kind))
        if found is None:
            found = self._made[paper, version, kind] = self._entries(team, paper, version, kind)
        return found

    def entry(self, team: Team, paper: Paper, version: int, person: Person, kind: str) -> tuple[Entry, dict[str, str]]:
        """One message to a person, and its values."""
        channel = paper.row.template_type
        template = messages.Template(
            CHANNELS[channel],
            subject=paper.row.subject,
            body=paper.wordings[version - 1],
            prefix=team.service.name if team.service.prefix_sms else None,
        )
        values: dict[str, str] = {}
        if kind == BY_LIST and channel in RECIPIENT_COLUMNS:
            values[RECIPIENT_COLUMNS[channel]] = person.typed(channel)
        if channel == "letter":
            values |= {f"address_line_{row}": line for row, line in enumerate((person.name, *person.address), 1)}
        for name in template.placeholders:
            key = placeholders.normalise(name) if kind == BY_LIST else name
            values[key] = person.name.split()[0] if name == "name" else self._world.dice.pick(sample_texts.VALUES[name])
        units = 0
        if channel == "sms":
            by_key = {placeholders.normalise(key): value for key, value in values.items()}
            units = template.text_message(by_key)[1].fragment_count
        elif channel == "letter":
            units = 1 + person.number % 8 // 7
        signed = self._world.signer.sign(values)
        return Entry(person.typed(channel), person.normalised(channel), signed, units), values

    def _entries(self, team: Team, paper: Paper, version: int, kind: str) -> list[Entry]:
        people = self.people
        if kind == TO_TEAM:
            people = [
                Person(member.name, int(member.mobile_number[-3:]), member.email_address, self.people[0].address)
                for member in team.members
                if member.mobile_number
            ] or [Person("Friend", 321, "friend.of.the.team@example.org", self.people[0].address)]
        some = self._world.dice.few(people, 12 + int(300 * team.weight * paper.weight))
        return [self.entry(team, paper, version, person, kind)[0] for person in some]

    def _person(self, index: int) -> Person:
        dice = self._world.dice
        first, last = dice.pick(sample_texts.FIRST_NAMES), dice.pick(sample_texts.LAST_NAMES)
        mailbox = (
            f"{organisations.plain(first)}.{organisations.plain(last)}{index or ''}@{MAILBOXES[index % len(MAILBOXES)]}"
        )
        street = f"{1 + dice.random.randrange(120)} {dice.pick(sample_texts.STREETS)}"
        address = (street, dice.pick(sample_texts.PLACES), dice.pick(sample_texts.POSTCODES))
        return Person(f"{first} {last}", dice.random.randrange(1000), mailbox, address)

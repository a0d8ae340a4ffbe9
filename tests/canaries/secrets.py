"""Secret values that no log may contain, and the search for them, plain and in base 64."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from graphql import GraphQLInputObjectType, GraphQLList, GraphQLNonNull

from tests.schema.tenants import input_type_of

NON_SECRET_ARGUMENTS = {
    "name",
    "idempotencyKey",
    "challengeToken",
    "contactLink",
    "customEmailSenderName",
    "requestToGoLiveNotes",
    "domains",
    "fileName",
    "reference",
}
"""Arguments that the change log may contain: names and settings."""
FIRST_NUMBER = 500


@dataclass
class Canaries:
    """Secret values by purpose."""

    values: dict[str, str] = field(default_factory=dict)

    def text(self, what: str) -> str:
        """A secret of letters and digits."""
        return self.values.setdefault(what, f"canary{uuid4().hex[:14]}")

    def number(self, what: str) -> str:
        """A secret telephone number, without its prefix, as the search looks for it."""
        return self.values.setdefault(what, f"7700900{FIRST_NUMBER + len(self.values)}")

    def add(self, what: str, value: str) -> None:
        """Add an existing secret."""
        self.values[what] = value

    def fill_input(self, mutation: str, value: Any) -> Any:
        """An input in which each text, name and value is a secret of its own."""
        return self._fill(input_type_of(mutation), value, mutation)

    def _fill(self, kind: Any, value: Any, *path: str) -> Any:
        if isinstance(kind, GraphQLNonNull):
            return self._fill(kind.of_type, value, *path)
        if isinstance(kind, GraphQLList):
            return [self._fill(kind.of_type, item, *path, str(index)) for index, item in enumerate(value)]
        if isinstance(kind, GraphQLInputObjectType):
            return {name: self._fill(kind.fields[name].type, item, *path, name) for name, item in value.items()}
        what = ".".join(path)
        if kind.name == "JSON" and isinstance(value, dict):
            return {name: self.text(f"{what}.{name}") for name in value}
        return self._text(what, path[-2] if path[-1].isdigit() else path[-1]) if kind.name == "String" else value

    def _text(self, what: str, argument: str) -> str:
        """A secret in the form that an argument takes."""
        if argument == "phoneNumber":
            return "0" + self.number(what)
        text = self.text(what)
        forms = {"domains": "{}.gov.uk", "contactLink": "https://{}.gov.uk", "body": "Dear ((name)), {}"}
        form = "{}@example.gov.uk" if "mailAddress" in argument else forms.get(argument, "{}")
        return form.format(text)

    def find_in(self, texts: Iterable[str]) -> set[str]:
        """The secrets that occur in any of the texts, plain or in base 64."""
        whole = "\n".join(texts)
        return {what for what, value in self.values.items() if any(form in whole for form in _encodings(value))}

    def excluding_logged_arguments(self) -> Canaries:
        """The secrets that the change log may not contain."""
        return Canaries(
            {
                what: value
                for what, value in self.values.items()
                if not NON_SECRET_ARGUMENTS & set(re.split(r"\.\d+\.?|\.", what)[1:]) or "personalisation" in what
            }
        )

    def excluding_values_of(self, request: str) -> Canaries:
        """The secrets that were not in a request."""
        return Canaries({what: value for what, value in self.values.items() if value not in request})


def _encodings(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    for before in range(3):
        # The middle of its base 64, for each of the three offsets in a longer text.
        coded = base64.b64encode(b" " * before + value.encode()).decode()
        yield coded[4:-4]

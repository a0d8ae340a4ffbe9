"""`policy.txt` as rules: who sees the rows of a type, and who reads, or calls, a field."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("policy.txt")
NULL, REFUSED, MASKED = "null", "refused", "masked"
EVERYONE = ("everyone",)
_SECTION = re.compile(r"\[(?P<part>part )?(?P<name>\w+)\] ?(?P<rest>.*)")


@dataclass(frozen=True)
class Rule:
    """Who reads a field of a row that they see, what others get, and whether an edge leads to unseen rows too."""

    who: tuple[str, ...] = EVERYONE
    otherwise: str = NULL
    leads_on: bool = False


@dataclass
class Policy:
    """All rules: audiences of types with rows, and rules of fields."""

    seen_by: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fields: dict[str, dict[str, Rule]] = field(default_factory=dict)

    @property
    def parts(self) -> set[str]:
        """Types that have no rows of their own."""
        return set(self.fields) - set(self.seen_by)

    def rule(self, kind: str, name: str) -> Rule:
        """The rule of a field."""
        return self.fields[kind][name]


@cache
def policy() -> Policy:
    """The file, read."""
    return read(FILE.read_text())


def read(text: str) -> Policy:
    """Rules from a text; ValueError where a field has two."""
    made, kind = Policy(), ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if section := _SECTION.fullmatch(line):
            kind = section["name"]
            if section["part"]:
                _add(made, kind, section["rest"], Rule())
            else:
                made.seen_by[kind] = tuple(section["rest"].split(", "))
                made.fields[kind] = {}
            continue
        who, _, names = line.partition(": ")
        _add(made, kind, names, _rule(who))
    return made


def _rule(text: str) -> Rule:
    who, _, otherwise = text.partition(", else ")
    if who == "leading on":
        return Rule(leads_on=True)
    return Rule(tuple(who.split(" or ")), otherwise or NULL)


def _add(made: Policy, kind: str, names: str, rule: Rule) -> None:
    rules = made.fields.setdefault(kind, {})
    for name in names.split():
        if name in rules:
            raise ValueError(f"{kind}.{name} has two rules")
        rules[name] = rule

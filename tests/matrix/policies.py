"""`policy.txt` as rules: who sees the rows of a type, and who reads, or calls, a field."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

POLICY_PATH = Path(__file__).with_name("policy.txt")
NULL, REFUSED, MASKED = "null", "refused", "masked"
EVERYONE = ("everyone",)
_SECTION = re.compile(r"\[(?P<part>part )?(?P<name>\w+)\] ?(?P<rest>.*)")


@dataclass(frozen=True)
class FieldRule:
    """Who reads a field of a row that they see, what others get, and whether an edge leads to unseen rows too."""

    audience: tuple[str, ...] = EVERYONE
    denied_result: str = NULL
    includes_unseen_rows: bool = False


@dataclass
class Policy:
    """All rules: audiences of types with rows, and rules of fields."""

    row_audiences: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fields: dict[str, dict[str, FieldRule]] = field(default_factory=dict)

    @property
    def embedded_types(self) -> set[str]:
        """Types that have no rows of their own."""
        return set(self.fields) - set(self.row_audiences)

    def rule(self, kind: str, name: str) -> FieldRule:
        """The rule of a field."""
        return self.fields[kind][name]


@cache
def policy() -> Policy:
    """The file, read."""
    return parse_policy(POLICY_PATH.read_text())


def parse_policy(text: str) -> Policy:
    """Rules from a text; ValueError where a field has two."""
    made, kind = Policy(), ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if section := _SECTION.fullmatch(line):
            kind = section["name"]
            if section["part"]:
                _add_rules(made, kind, section["rest"], FieldRule())
            else:
                made.row_audiences[kind] = tuple(section["rest"].split(", "))
                made.fields[kind] = {}
            continue
        who, _, names = line.partition(": ")
        _add_rules(made, kind, names, _parse_rule(who))
    return made


def _parse_rule(text: str) -> FieldRule:
    who, _, otherwise = text.partition(", else ")
    if who == "leading on":
        return FieldRule(includes_unseen_rows=True)
    return FieldRule(tuple(who.split(" or ")), otherwise or NULL)


def _add_rules(made: Policy, kind: str, names: str, rule: FieldRule) -> None:
    rules = made.fields.setdefault(kind, {})
    for name in names.split():
        if name in rules:
            raise ValueError(f"{kind}.{name} has two rules")
        rules[name] = rule

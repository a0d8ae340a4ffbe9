"""The rules of `policy.txt`: audiences of the rows of types, and of fields and mutations."""

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
    """The audience of a field, the result for others, and whether a relationship includes unseen rows."""

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
    """The policy of the file."""
    return parse_policy(POLICY_PATH.read_text())


def parse_policy(text: str) -> Policy:
    """Rules from a text; ValueError when a field has two."""
    policy, kind = Policy(), ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if section := _SECTION.fullmatch(line):
            kind = section["name"]
            if section["part"]:
                _add_rules(policy, kind, section["rest"], FieldRule())
            else:
                policy.row_audiences[kind] = tuple(section["rest"].split(", "))
                policy.fields[kind] = {}
            continue
        who, _, names = line.partition(": ")
        _add_rules(policy, kind, names, _parse_rule(who))
    return policy


def _parse_rule(text: str) -> FieldRule:
    who, _, otherwise = text.partition(", else ")
    if who == "leading on":
        return FieldRule(includes_unseen_rows=True)
    return FieldRule(tuple(who.split(" or ")), otherwise or NULL)


def _add_rules(policy: Policy, kind: str, names: str, rule: FieldRule) -> None:
    rules = policy.fields.setdefault(kind, {})
    for name in names.split():
        if name in rules:
            raise ValueError(f"{kind}.{name} has two rules")
        rules[name] = rule

"""Answers made comparable: the rows of each server's answer, with ids, instants and words spelled one way."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks.scenarios import HANDWRITTEN
from graphql_api import statuses
from graphql_api.enums import Channel, JobStatus, KeyType, NotificationStatus, NotificationStatusGroup, OrganisationType

if TYPE_CHECKING:
    from enum import StrEnum

_ENUMS_BY_FIELD: dict[str, type[StrEnum]] = {
    "channel": Channel,
    "keyType": KeyType,
    "organisationType": OrganisationType,
    "status": NotificationStatus,
}


_COLD_ALIAS = re.compile(r"n[0-9]{8}")
"""The alias that makes a document new."""


def normalized_response(question: str, language: str, body: bytes) -> Any:
    """What an answer says, whoever says it: connections as plain lists, columns as the database has them.

    Raises ValueError where it says that something went wrong.
    """
    answer = json.loads(body)
    if language == HANDWRITTEN:
        return _normalize(answer, question)
    if answer.get("errors"):
        raise ValueError(json.dumps(answer["errors"])[:2_000])
    found = answer["data"].get("service") or answer["data"]["organisation"]
    if question == "list" or question.startswith("growth"):
        found = [node for page in found.values() for node in page["nodes"]]
    elif question.startswith("page"):
        found = found["notifications"]["nodes"]
    elif question == "count":
        found = found["notifications"]
    return _normalize(found, question)


def first_difference(one: Any, other: Any, path: str = "") -> str | None:
    """Where two answers differ first; None where they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            if key not in one or key not in other:
                return f"{path}.{key} is in one of them only"
            found = first_difference(one[key], other[key], f"{path}.{key}")
            if found:
                return found
        return None
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return f"{path} has {len(one)} and {len(other)} items"
        pairs = enumerate(zip(one, other, strict=True))
        return next((why for at, (a, b) in pairs if (why := first_difference(a, b, f"{path}[{at}]"))), None)
    return None if one == other else f"{path} is {one!r} and {other!r}"


def count_fields(value: Any) -> int:
    """How many fields an answer has: leaves, objects and lists."""
    if isinstance(value, dict):
        return sum(1 + count_fields(one) for one in value.values())
    if isinstance(value, list):
        return sum(count_fields(one) for one in value)
    return 0


def _normalize(value: Any, key: str) -> Any:
    if isinstance(value, list):
        return [_normalize(one, key) for one in value]
    if isinstance(value, dict):
        if value.keys() == {"nodes"}:
            return _normalize(value["nodes"], key)
        if value.keys() == {"user"}:  # of a membership, which a hand leaves out
            return _normalize(value["user"], key)
        within = "job" if "recipientCount" in value else ""
        named = {"name" if _COLD_ALIAS.fullmatch(name) else name: one for name, one in value.items()}
        return {name: _normalize(one, within + name) for name, one in named.items()}
    if not isinstance(value, str):
        return value
    return _normalize_text(value, key)


def _normalize_text(value: str, key: str) -> str:
    if key.endswith(("At", "For")):
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)).isoformat()
    if key == "statusGroup":
        return value if value in NotificationStatusGroup.__members__ else statuses.group_of(value).name
    vocabulary = JobStatus if key == "jobstatus" else _ENUMS_BY_FIELD.get(key)
    if vocabulary is None:
        return value
    return vocabulary[value].value if value in vocabulary.__members__ else value.lower()

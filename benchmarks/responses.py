"""Responses made comparable: their rows, with ids, instants and enum values in one form."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks.scenarios import HANDWRITTEN
from graphql_api import statuses
from graphql_api.enums import Channel, JobStatus, KeyType, NotificationStatus, NotificationStatusGroup, OrganisationType

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum

_ENUMS_BY_FIELD: dict[str, type[StrEnum]] = {
    "channel": Channel,
    "keyType": KeyType,
    "organisationType": OrganisationType,
    "status": NotificationStatus,
}


_COLD_ALIAS = re.compile(r"n[0-9]{8}")
"""The alias that makes each document different."""


def normalized_response(scenario: str, language: str, body: bytes) -> Any:
    """The content of a response in one form for all servers: connections as lists, values as in the database.

    Raises ValueError for a response with errors.
    """
    response = json.loads(body)
    if language == HANDWRITTEN:
        return _normalize(response, scenario)
    if response.get("errors"):
        raise ValueError(json.dumps(response["errors"])[:2_000])
    content = response["data"].get("service") or response["data"]["organisation"]
    if scenario == "list" or scenario.startswith("growth"):
        content = [node for page in content.values() for node in page["nodes"]]
    elif scenario.startswith("page"):
        content = content["notifications"]["nodes"]
    elif scenario == "count":
        content = content["notifications"]
    return _normalize(content, scenario)


def first_difference(expected: Any, actual: Any, path: str = "") -> str | None:
    """The first difference between two contents, in words; None where they are equal."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in {**expected, **actual}:
            if key not in expected or key not in actual:
                return f"{path}.{key} is in one of them only"
        return _first(first_difference(expected[key], actual[key], f"{path}.{key}") for key in expected)
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return f"{path} has {len(expected)} and {len(actual)} items"
        pairs = enumerate(zip(expected, actual, strict=True))
        return _first(first_difference(left, right, f"{path}[{index}]") for index, (left, right) in pairs)
    return None if expected == actual else f"{path} is {expected!r} and {actual!r}"


def _first(differences: Iterable[str | None]) -> str | None:
    return next(filter(None, differences), None)


def count_fields(value: Any) -> int:
    """Number of fields: leaves, objects and lists."""
    if isinstance(value, dict):
        return sum(1 + count_fields(item) for item in value.values())
    if isinstance(value, list):
        return sum(count_fields(item) for item in value)
    return 0


def _normalize(value: Any, key: str) -> Any:
    if isinstance(value, list):
        return [_normalize(item, key) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"nodes"}:
            return _normalize(value["nodes"], key)
        if value.keys() == {"user"}:  # of a membership, which the hand-written SQL leaves out
            return _normalize(value["user"], key)
        prefix = "job" if "recipientCount" in value else ""
        fields = {"name" if _COLD_ALIAS.fullmatch(name) else name: item for name, item in value.items()}
        return {name: _normalize(item, prefix + name) for name, item in fields.items()}
    if not isinstance(value, str):
        return value
    return _normalize_text(value, key)


def _normalize_text(value: str, key: str) -> str:
    if key.endswith(("At", "For")):
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo is None else instant.astimezone(UTC).replace(tzinfo=None)).isoformat()
    if key == "statusGroup":
        return value if value in NotificationStatusGroup.__members__ else statuses.group_of(value).name
    enum = JobStatus if key == "jobstatus" else _ENUMS_BY_FIELD.get(key)
    if enum is None:
        return value
    return enum[value].value if value in enum.__members__ else value.lower()

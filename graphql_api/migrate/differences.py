"""What autogenerate found to differ between a database and the models, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table
from sqlalchemy.schema import Constraint, Index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def describe_differences(differences: Iterable[Any]) -> Iterator[str]:
    """A line for each, such as `add column users.name`, from what `as_diffs()` answers."""
    for difference in differences:
        if isinstance(difference, list):  # several of one column
            yield from describe_differences(difference)
        else:
            what, *about = difference
            yield f"{what.replace('_', ' ')} {_describe_target(what, about)}".strip()


def _describe_target(operation: str, arguments: list[Any]) -> str:
    thing = next((one for one in arguments if isinstance(one, Table | Column | Constraint | Index)), None)
    if operation.startswith("modify_"):
        _schema, table, column, _facts, before, after = arguments
        return f"{table}.{column}: {before!r} in the database, {after!r} in the models"
    if isinstance(thing, Table):
        return thing.name
    if isinstance(thing, Column):
        return f"{next(one for one in arguments if isinstance(one, str))}.{thing.name}"
    if thing is not None and thing.table is not None:
        return f"{thing.name} on {thing.table.name}"
    return " ".join(str(one) for one in arguments if one is not None)

"""Differences between a database and the models, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table
from sqlalchemy.schema import Constraint, Index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def describe_differences(differences: Iterable[Any]) -> Iterator[str]:
    """A line for each difference of `as_diffs()`, such as `add column users.name`."""
    for difference in differences:
        if isinstance(difference, list):  # changes of one column
            yield from describe_differences(difference)
        else:
            operation, *arguments = difference
            yield f"{operation.replace('_', ' ')} {_describe_target(operation, arguments)}".strip()


def _describe_target(operation: str, arguments: list[Any]) -> str:
    target = next((item for item in arguments if isinstance(item, Table | Column | Constraint | Index)), None)
    if operation.startswith("modify_"):
        _schema, table, column, _options, before, after = arguments
        return f"{table}.{column}: {before!r} in the database, {after!r} in the models"
    if isinstance(target, Table):
        return target.name
    if isinstance(target, Column):
        return f"{next(item for item in arguments if isinstance(item, str))}.{target.name}"
    if target is not None and target.table is not None:
        return f"{target.name} on {target.table.name}"
    return " ".join(str(item) for item in arguments if item is not None)

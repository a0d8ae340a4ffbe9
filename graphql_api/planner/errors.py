"""How the planner abandons an operation: graphql-core then executes the whole of it."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class NotPlannable(Exception):
    """The planner cannot execute an operation.

    A field has no declaration, a value would become an error of GraphQL, or the caller may not read a field.
    """


def non_null(value: T | None) -> T:
    """The value; raises `NotPlannable` for None, which graphql-core reports at its path."""
    if value is None:
        raise NotPlannable
    return value

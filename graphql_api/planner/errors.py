"""How a plan gives up: the operation goes to graphql-core, which answers it whole."""

from __future__ import annotations


class Declined(Exception):
    """This is not for a plan: a field that is no declaration, a value that would be an error, a caller not allowed."""

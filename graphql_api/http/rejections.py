"""Requests that never become an operation, or whose operation never runs."""

from __future__ import annotations

from graphql_api.errors import BadRequest


class HTTPRejection(Exception):
    """The request never becomes an operation: an HTTP status, and a GraphQL error with a code."""

    def __init__(self, status: int, message: str, *, code: str = BadRequest.code, **headers: str) -> None:
        """`headers` are named with underscores for hyphens."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.extensions = {"code": code}
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class OperationNotExecuted(HTTPRejection):
    """A well-formed request whose operation never runs: 200 for plain JSON, whose clients read errors only there."""

    def __init__(self, message: str, *, code: str = BadRequest.code) -> None:
        super().__init__(400, message, code=code)

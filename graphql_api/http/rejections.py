"""Requests that never become an operation."""

from __future__ import annotations

from graphql_api.errors import BadRequest


class HTTPRejection(Exception):
    """The request never became an operation; told with an HTTP status, and as a GraphQL error with a code."""

    def __init__(self, status: int, message: str, *, code: str = BadRequest.code, **headers: str) -> None:
        """Say what is wrong; headers by their names, with underscores for hyphens."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.extensions = {"code": code}
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class OperationNotExecuted(HTTPRejection):
    """A well-formed request whose operation never runs: 200 in plain JSON, whose clients read errors only there."""

    def __init__(self, message: str, *, code: str = BadRequest.code) -> None:
        """Say why not."""
        super().__init__(400, message, code=code)

"""Ours without its planner, and everything else as it is: what graphql-core takes."""

from __future__ import annotations

import sys
from typing import Any

from graphql_api import app, cli, http


def _endpoint(server: http.Server, *_: Any) -> http.Endpoint:
    """The endpoint as it is where nobody plans."""
    return http.Endpoint(server)


if __name__ == "__main__":
    vars(app)["Endpoint"] = _endpoint
    sys.exit(cli.main(["serve"]))
